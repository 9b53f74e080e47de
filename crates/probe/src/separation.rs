//! [`Separation`]: how well a score tells images of unknown classes from those of known ones.

use rayon::prelude::*;

/// How well a score separates images of unknown classes from those of known ones.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Separation {
    /// Probability that a random unknown image has a higher score than a random known one, equal scores
    /// counted half: the area under the ROC curve, 0 to 1.
    pub auroc: f64,
    /// Share of known images that are taken for unknown where 95 % of the unknown ones are found.
    pub fpr95: f64,
}

impl Separation {
    /// The separation of scores that should be low for `known` images and high for `unknown` ones. `None` if
    /// a set is empty or a score is NaN.
    ///
    /// AUROC = (R − u (u + 1) / 2) / (u k), with R the sum of the ranks of the u unknown scores among all,
    /// equal scores at their mean rank (Mann and Whitney).
    pub fn of(known: &[f64], unknown: &[f64]) -> Option<Self> {
        if known.is_empty() || unknown.is_empty() {
            return None;
        }
        let tagged = |is_unknown| move |&score: &f64| (score, is_unknown);
        let known_scores = known.iter().map(tagged(false));
        let mut all: Vec<(f64, bool)> =
            known_scores.chain(unknown.iter().map(tagged(true))).collect();
        if all.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        all.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let (k, u) = (known.len() as f64, unknown.len() as f64);
        let (mut ranks, mut before) = (0.0, 0);
        for equal in all.chunk_by(|a, b| a.0 == b.0) {
            let mean = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
            ranks += mean * equal.iter().filter(|(_, is_unknown)| *is_unknown).count() as f64;
            before += equal.len();
        }
        let auroc = (ranks - u * (u + 1.0) / 2.0) / (u * k);
        Some(Self { auroc, fpr95: false_positives(&all, 0.95 * u) / k })
    }
}

/// Known scores at or above the highest threshold that finds `wanted` unknown ones; scores ascend.
fn false_positives(ascending: &[(f64, bool)], wanted: f64) -> f64 {
    let (mut found, mut wrong) = (0, 0);
    for equal in ascending.chunk_by(|a, b| a.0 == b.0).rev() {
        let unknown = equal.iter().filter(|(_, is_unknown)| *is_unknown).count();
        found += unknown;
        wrong += equal.len() - unknown;
        if found as f64 >= wanted {
            break;
        }
    }
    f64::from(wrong as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separation_is_that_of_the_definition() {
        let (known, unknown) = ([0.1, 0.4, 0.35, 0.8], [0.4, 0.9, 0.7, 0.2, 0.8]);
        let pairs = known.iter().flat_map(|k| unknown.iter().map(move |u| (k, u)));
        let won: f64 = pairs
            .map(|(k, u)| {
                if u > k {
                    1.0
                } else if u == k {
                    0.5
                } else {
                    0.0
                }
            })
            .sum();
        let found = Separation::of(&known, &unknown).unwrap();
        assert!((found.auroc - won / 20.0).abs() < 1e-12, "{found:?}");
        // All five unknown scores are needed for 95 %: three of four known ones are at or above 0.2.
        assert_eq!(found.fpr95, 0.75);
    }

    #[test]
    fn equal_scores_separate_nothing_and_perfect_ones_everything() {
        let found = Separation::of(&[1.0; 3], &[1.0; 7]).unwrap();
        assert_eq!((found.auroc, found.fpr95), (0.5, 1.0));
        let found = Separation::of(&[0.0, -1.0], &[1.0, 2.0]).unwrap();
        assert_eq!((found.auroc, found.fpr95), (1.0, 0.0));
        assert_eq!(Separation::of(&[], &[1.0]), None);
        assert_eq!(Separation::of(&[f64::NAN], &[1.0]), None);
    }
}
