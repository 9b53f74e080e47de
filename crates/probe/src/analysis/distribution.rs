//! Summaries of many values: quantiles, histograms, concentration of mass.

use serde::Serialize;

/// Bins of a histogram.
const BINS: usize = 30;

/// Mean and quantiles of values; all 0 if there are no values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Smallest value.
    pub min: f64,
    /// 5 % of the values are below.
    pub p5: f64,
    /// A quarter of the values is below.
    pub p25: f64,
    /// Half of the values are below.
    pub median: f64,
    /// Three quarters of the values are below.
    pub p75: f64,
    /// 95 % of the values are below.
    pub p95: f64,
    /// Largest value.
    pub max: f64,
}

impl Summary {
    /// Summarizes values. Quantiles are interpolated between neighbors, as numpy does by default.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |q: f64| quantile(&sorted, q);
        Self {
            mean: values.iter().sum::<f64>() / values.len().max(1) as f64,
            min: at(0.0),
            p5: at(0.05),
            p25: at(0.25),
            median: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            max: at(1.0),
        }
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q * last as f64;
    let low = place as usize;
    let (a, b) = (sorted[low], sorted[(low + 1).min(last)]);
    a + (b - a) * (place - low as f64)
}

/// Counts in bins of equal width from `low` to `high`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin.
    pub high: f64,
    /// Values in each bin.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Counts values in thirty bins from `low` to `high`, or in one bin if both are equal. Values outside
    /// count in the first or last bin.
    pub fn between(low: f64, high: f64, values: &[f64]) -> Self {
        let mut counts = vec![0; if low < high { BINS } else { 1 }];
        let last = counts.len() - 1;
        for value in values {
            let bin = (value - low) / (high - low) * BINS as f64; // NaN if low = high, which is bin 0
            counts[(bin as usize).min(last)] += 1;
        }
        Self { low, high, counts }
    }
}

/// Entropy of probabilities, in nats: `−Σ p log p`.
pub fn entropy(probabilities: &[f64]) -> f64 {
    let terms = probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln());
    (-terms.sum::<f64>()).max(0.0)
}

/// Gini coefficient: 0 if all values are equal, near 1 if one has the whole sum.
///
/// ```text
/// G = Σᵢ (2i − n − 1) xᵢ / (n Σ x)        x ascending, i from 1
/// ```
pub fn gini(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let ranked = (1..).zip(&sorted).map(|(i, x)| (2.0 * f64::from(i) - n - 1.0) * x);
    let total = sorted.iter().sum::<f64>();
    if total > 0.0 { ranked.sum::<f64>() / (n * total) } else { 0.0 }
}

/// Share of the sum that belongs to the largest 1 % of the values (at least one value).
pub fn top_percent_share(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let top: f64 = sorted[..values.len().div_ceil(100)].iter().sum();
    let total: f64 = sorted.iter().sum();
    if total > 0.0 { top / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbors() {
        let found = Summary::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((found.min, found.median, found.max, found.mean), (1.0, 2.5, 4.0, 2.5));
        assert_eq!((found.p25, found.p75), (1.75, 3.25));
        assert_eq!(Summary::of(&[]), Summary::default());
    }

    #[test]
    fn every_value_is_in_one_bin() {
        let found = Histogram::between(0.0, 3.0, &[0.0, 0.05, 1.5, 2.999, 3.0]);
        assert_eq!((found.counts[0], found.counts[15], found.counts[29]), (2, 1, 2));
        assert_eq!(Histogram::between(25.0, 25.0, &[25.0; 3]).counts, [3]);
    }

    #[test]
    fn mass_is_equal_or_in_one_place() {
        assert!(gini(&[0.25; 4]).abs() < 1e-12);
        assert_eq!(gini(&[0.0, 1.0, 0.0, 0.0]), 0.75);
        assert_eq!(top_percent_share(&[0.0, 1.0, 0.0, 0.0]), 1.0);
        assert_eq!((gini(&[]), top_percent_share(&[])), (0.0, 0.0));
        let uneven: Vec<f64> = (0..200).map(|i| if i < 2 { 0.25 } else { 0.5 / 198.0 }).collect();
        assert!((top_percent_share(&uneven) - 0.5).abs() < 1e-12);
        assert!((entropy(&[0.5, 0.5, 0.0]) - 2f64.ln()).abs() < 1e-15);
    }
}
