//! Weighted k-NN against an independent implementation: votes, predictions, accuracies.

use crate::fixtures::fixture;
use probe::knn::{Voters, classify};
use probe::{Features, Matrix};

/// "votes rtol 1e-5 in float32 (exp(cos/T) amplifies 1e-7 by 1/T); predictions equal where the margin
/// allows"
const VOTES: f64 = 1e-5;

/// A whole number of the JSON.
fn size(value: &serde_json::Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no size")) as usize
}

#[goldens::test(evaluate)]
fn golden_votes_predictions_and_accuracies() {
    let fixture = fixture("evaluate");
    let settings = &fixture.json["knn"];
    let classes = size(&settings["classes"]);
    let temperature = settings["temperature"].as_f64().expect("a temperature");
    let features = |name: &str| {
        let (shape, values) = fixture.f32(&format!("knn/{name}"));
        let labels = fixture.usize(&format!("knn/{name}_labels")).1;
        let labels = labels.into_iter().map(|label| label as u32).collect();
        Features { rows: Matrix::new(values, shape[1]), labels }
    };
    let (train, test) = (features("train"), features("test"));
    let ks: Vec<usize> = settings["k"].as_array().expect("a list").iter().map(size).collect();
    let scores = classify(&train, &test, &ks, temperature);
    let voters = Voters { train: &train, k: &ks, temperature, classes };
    for ((k, votes), score) in ks.iter().zip(voters.votes(&test.rows)).zip(scores) {
        let expected = fixture.f64(&format!("knn/votes_k{k}")).1;
        for (i, (v, e)) in votes.iter().zip(&expected).enumerate() {
            assert!((v - e).abs() <= VOTES * e.abs(), "k = {k}, vote {i}: {v} for {e}");
        }
        let accuracy = &settings["accuracy"][k.to_string()];
        for (found, expected) in [(score.top1, &accuracy[0]), (score.top5, &accuracy[1])] {
            let expected = expected.as_f64().expect("a percentage");
            assert!((found - expected).abs() < 1e-9, "k = {k}: {found} for {expected}");
        }
    }
}
