//! Logistic regression against an independent optimum.

use crate::fixtures::fixture;
use probe::logistic::{Classifier, Regression, Settings, Tolerance};
use probe::{Features, Matrix};

/// "loss 1e-9 relative, weights 1e-5 absolute when your gradient norm is below 1e-8"
const LOSS: f64 = 1e-9;
const WEIGHTS: f64 = 1e-5;

/// An intercept is determined up to a constant that all classes share.
fn free_of_constant(bias: &[f64]) -> Vec<f64> {
    let mean = bias.iter().sum::<f64>() / bias.len() as f64;
    bias.iter().map(|b| b - mean).collect()
}

#[goldens::test(evaluate)]
fn golden_optima_from_any_start() {
    let fixture = fixture("evaluate");
    let settings = &fixture.json["logistic"];
    let (shape, values) = fixture.f32("logistic/x");
    let labels = fixture.usize("logistic/y").1.into_iter().map(|label| label as u32).collect();
    let train = Features { rows: Matrix::new(values, shape[1]), labels };
    let classes = settings["classes"].as_u64().expect("a number") as usize;
    let mut start: Option<Classifier> = None;
    for (i, fit) in settings["fits"].as_array().expect("a list").iter().enumerate() {
        let number = |key: &str| fit[key].as_f64().expect("a number");
        let intercept = fit["bias"].as_bool().expect("a flag");
        let regression = Regression::new(&train, classes, intercept);
        let settings = Settings {
            weight_decay: number("wd"),
            tolerance: Tolerance::Absolute(1e-10),
            ..Settings::default()
        };
        let start = if intercept { start.take() } else { None };
        let found = regression.fit(&settings, start.as_ref(), &mut || Ok(())).expect("a fit");
        assert!(
            found.converged && found.iterations < 60,
            "fit {i}: {} iterations",
            found.iterations
        );
        let (loss, expected) = (found.loss, number("loss"));
        assert!((loss - expected).abs() <= LOSS * expected, "fit {i}: {loss} for {expected}");
        let expected = fixture.f64(&format!("logistic/{i}/weight")).1;
        for (w, e) in found.classifier.weight.iter().zip(&expected) {
            assert!((w - e).abs() <= WEIGHTS, "fit {i}: {w} for {e}");
        }
        if intercept {
            let expected = fixture.f64(&format!("logistic/{i}/bias")).1;
            let pairs = [&found.classifier.bias, &expected].map(|bias| free_of_constant(bias));
            for (b, e) in pairs[0].iter().zip(&pairs[1]) {
                assert!((b - e).abs() <= WEIGHTS, "fit {i}: intercept {b} for {e}");
            }
        }
    }
}

/// Two far groups and little regularization: the loss of the optimum is small, and so must be the gradient.
#[test]
fn the_default_tolerance_is_close_to_an_optimum_of_small_loss() {
    let groups = [(0, -3.0f32), (1, 3.0)];
    let row = |i: usize| {
        let (label, center) = groups[i % 2];
        let noise = |j: usize| ((i * 7 + j * 13) % 11) as f32 / 11.0 - 0.5;
        ((0..8).map(|j| center + noise(j)).collect::<Vec<f32>>(), label)
    };
    let (values, labels): (Vec<Vec<f32>>, Vec<u32>) = (0..60).map(row).unzip();
    let train = Features { rows: Matrix::new(values.concat(), 8), labels };
    let regression = Regression::new(&train, 2, true);
    let fit = |settings: Settings| regression.fit(&settings, None, &mut || Ok(())).expect("a fit");
    for weight_decay in [1e-3, 1e-4, 1e-5] {
        let settings = Settings { weight_decay, ..Settings::default() };
        let found = fit(settings);
        let best = fit(Settings { tolerance: Tolerance::Absolute(1e-13), ..settings });
        assert!(found.converged && best.loss < 0.02, "{found:?}");
        let gap = found.loss / best.loss - 1.0;
        assert!(gap <= 1e-6, "{weight_decay}: {gap} above the optimum {}", best.loss);
    }
}
