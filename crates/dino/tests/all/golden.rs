//! What golden tests share: closeness, weights from fixtures, sizes from JSON.

use std::sync::Arc;

use dino::config::{Centering, DebyeTerms};
use engine::{ParamTable, Params};

use crate::fixtures::Fixture;

/// Every entry lies within `tolerance` times the largest entry of the expected ones.
pub fn assert_near(name: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    assert_within(name, actual, expected, tolerance * scale);
}

/// Every entry lies within `allowed` of the expected one.
pub fn assert_within(name: &str, actual: &[f32], expected: &[f64], allowed: f64) {
    assert_eq!(actual.len(), expected.len(), "numbers in `{name}`");
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - e).abs();
        assert!(error <= allowed, "`{name}`[{i}] is {a}, expected {e} ± {allowed:.3e}");
    }
}

/// Parameters of a table, from the tensors `{prefix}{name}`.
pub fn load(fixture: &Fixture, prefix: &str, table: ParamTable) -> Params {
    let table = Arc::new(table);
    let mut params = Params::zeros(table.clone());
    for entry in table.entries() {
        let (shape, values) = fixture.f32(&format!("{prefix}{}", entry.name));
        assert_eq!(shape, entry.shape, "shape of `{}`", entry.name);
        params.view_mut(entry.param).host_mut().copy_from_slice(&values);
    }
    params
}

/// A whole number of the JSON.
pub fn size(value: &serde_json::Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no size")) as usize
}

/// A number of the JSON.
pub fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A centering, as fixtures spell it.
pub fn centering(value: &serde_json::Value) -> Centering {
    match value.as_str().expect("a name") {
        "logit" => Centering::Logit,
        "prob_a" => Centering::ProbA,
        "prob_b" => Centering::ProbB,
        other => panic!("centering `{other}`"),
    }
}

/// A number of Debye terms; none is the exact normalizer.
pub fn debye_terms(value: &serde_json::Value) -> DebyeTerms {
    value.as_u64().map_or(DebyeTerms::Exact, |terms| DebyeTerms::Terms(terms as u8))
}

/// Keys of an object.
pub fn keys(value: &serde_json::Value) -> Vec<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

/// The same numbers in f64.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}
