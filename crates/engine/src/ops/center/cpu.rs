//! The center on the CPU.

use super::Rule;
use crate::tensor::Tensor;

pub(super) fn update(
    center: &mut Tensor,
    statistic: &Tensor,
    rows: usize,
    momentum: f64,
    rule: Rule,
) {
    let rows = rows as f64;
    for (c, &sum) in center.host_mut().iter_mut().zip(statistic.host()) {
        let (old, sum) = (f64::from(*c), f64::from(sum));
        let new = match rule {
            Rule::MeanOfScores(temperature) => {
                momentum * old + (1.0 - momentum) * temperature * sum / rows
            }
            Rule::MeanOfLogs => momentum * old + (1.0 - momentum) * (sum - rows.ln()),
            Rule::LogOfMeans => log_add(old + momentum.ln(), sum - rows.ln() + (-momentum).ln_1p()),
        };
        *c = new as f32;
    }
}

pub(super) fn divided(center: &Tensor, temperature: f64) -> Tensor {
    let values: Vec<f32> =
        center.host().iter().map(|&c| (f64::from(c) / temperature) as f32).collect();
    Tensor::from_slice(center.shape(), &values)
}

/// `log(eᵃ + eᵇ)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}
