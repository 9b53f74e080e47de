//! Whether two accuracies on the same test images differ, by the paired bootstrap.
//!
//! ```text
//! d_i = a_i − b_i                              a_i, b_i: credit for test image i, 0 to 1
//! interval: the 2.5 % and 97.5 % quantiles of mean(d*),  d*: n images drawn with replacement, 2000 times
//! ```
//!
//! Source: Efron and Tibshirani, *An introduction to the bootstrap*, 1993, chapter 13.

use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;
use streams::{Key, Purpose};

const RESAMPLES: u64 = 2000;

/// A difference of two accuracies, in points of percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Of the accuracies themselves.
    pub mean: f64,
    /// Lower end of the interval that holds it with 95 % confidence.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Difference {
    /// Accuracy `a` minus accuracy `b`, from the credits for the same images; `seed` decides the resamples.
    ///
    /// # Panics
    /// If there are no images, or unequally many.
    pub fn paired(a: &[f64], b: &[f64], seed: u64) -> Self {
        assert!(!a.is_empty() && a.len() == b.len(), "credits for the same images");
        let d: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let n = d.len();
        let resample = |number: u64| {
            let mut rng = Key::new(seed, Purpose::Estimate).index(4).time(number).open();
            (0..n).map(|_| d[rng.random_range(0..n)]).sum::<f64>() / n as f64
        };
        let mut means: Vec<f64> = (0..RESAMPLES).into_par_iter().map(resample).collect();
        means.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| means[(share * (means.len() - 1) as f64).round() as usize];
        let percent = |share: f64| 100.0 * share;
        Self {
            mean: percent(d.iter().sum::<f64>() / n as f64),
            low: percent(quantile(0.025)),
            high: percent(quantile(0.975)),
        }
    }

    /// Whether the interval leaves out 0.
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_central_limit() {
        // 1000 images: 120 only a gets right, 80 only b. Standard error of the mean difference by numpy:
        // sqrt(var(d) / n) = 1.4085 points, so the interval is 4 ± 2.761.
        let a: Vec<f64> =
            (0..1000).map(|i| f64::from(u8::from(!(120..500).contains(&i)))).collect();
        let b: Vec<f64> =
            (0..1000).map(|i| f64::from(u8::from((120..200).contains(&i) || i >= 500))).collect();
        let found = Difference::paired(&a, &b, 0);
        assert!((found.mean - 4.0).abs() < 1e-9, "{found:?}");
        assert!((found.low - 1.239).abs() < 0.3 && (found.high - 6.761).abs() < 0.3, "{found:?}");
        assert!(found.is_significant());
        assert!(!Difference::paired(&a, &a, 0).is_significant());
    }
}
