//! The sweep of linear probes against PyTorch's SGD in f64; `golden/linear.py` made the values.

use probe::linear::{Settings, Sweep};
use probe::{Features, Matrix};
use safetensors::SafeTensors;

/// f32 against f64: the largest error found is 3e-7 of the largest weight.
const RTOL: f64 = 2e-6;

fn file() -> SafeTensors<'static> {
    SafeTensors::deserialize(include_bytes!("../golden/linear.safetensors")).expect("the fixture")
}

fn values<const N: usize, T>(name: &str, read: fn([u8; N]) -> T) -> Vec<T> {
    let file = file();
    let bytes = file.tensor(name).expect("a tensor").data();
    bytes.chunks_exact(N).map(|bytes| read(bytes.try_into().expect("a value"))).collect()
}

fn features(rows: &str, labels: &str) -> Features {
    let width = file().tensor(rows).expect("rows").shape()[1];
    let labels = values(labels, i64::from_le_bytes).into_iter().map(|label| label as u32).collect();
    Features { rows: Matrix::new(values(rows, f32::from_le_bytes), width), labels }
}

#[test]
fn all_rates_follow_pytorch() {
    let (train, test) = (features("x", "y"), features("x_test", "y_test"));
    let start = values("start", f32::from_le_bytes);
    let settings =
        Settings { rates: vec![0.05, 1.0, 20.0], epochs: 4, batch_size: 32, ..Settings::default() };
    let mut sweep = Sweep::with_weights(&start, train.rows.width, settings);
    let orders = values("orders", i64::from_le_bytes);
    let mut top1 = Vec::new();
    for (epoch, order) in orders.chunks_exact(train.labels.len()).enumerate() {
        let order: Vec<usize> = order.iter().map(|&i| i as usize).collect();
        sweep.train_in_order(epoch, &train, &order, &mut || Ok(())).unwrap();
        sweep.test(epoch, &test, &mut || Ok(())).unwrap();
        top1.push(sweep.outcomes().iter().map(|outcome| outcome.last).collect::<Vec<_>>());
    }
    for (i, outcome) in sweep.outcomes().iter().enumerate() {
        let (weight, bias) = sweep.classifier(i);
        for (found, name) in [(weight, "weight"), (bias, "bias")] {
            let expected = values(&format!("{i}/{name}"), f64::from_le_bytes);
            let scale = expected.iter().fold(0.0f64, |most, x| x.abs().max(most));
            for (x, e) in found.iter().zip(&expected) {
                assert!((f64::from(*x) - e).abs() <= RTOL * scale, "rate {i}, {name}: {x} for {e}");
            }
        }
        let expected = values(&format!("{i}/top1"), f64::from_le_bytes);
        let found: Vec<f64> = top1.iter().map(|of_epoch| of_epoch[i]).collect();
        assert!(
            found.iter().zip(&expected).all(|(x, e)| (x - e).abs() < 1e-9),
            "{found:?} for {expected:?}"
        );
        let best = expected.iter().copied().fold(0.0, f64::max);
        assert!((outcome.best - best).abs() < 1e-9, "{outcome:?}");
        assert!((expected[outcome.best_epoch - 1] - best).abs() < 1e-9, "{outcome:?}");
    }
}

#[test]
fn a_rate_that_diverges_leaves_the_others_as_they_are() {
    let train = features("x", "y");
    let settings =
        |rates: &[f64]| Settings { rates: rates.to_vec(), epochs: 3, batch_size: 32, seed: 1 };
    let weights = |rates: &[f64]| {
        let mut sweep = Sweep::new(train.rows.width, 5, settings(rates));
        for epoch in 0..3 {
            sweep.train(epoch, &train, &mut || Ok(())).unwrap();
            sweep.test(epoch, &train, &mut || Ok(())).unwrap();
        }
        let of_first = sweep.classifier(0).0.to_vec();
        (of_first, sweep.outcomes().to_vec())
    };
    let (healthy, _) = weights(&[0.5, 0.25]);
    let (beside, outcomes) = weights(&[0.5, 1e300]);
    assert_eq!(healthy, beside);
    assert!(outcomes[0].last > 50.0, "{outcomes:?}");
    assert_eq!(outcomes[1].last, 0.0, "{outcomes:?}");
}
