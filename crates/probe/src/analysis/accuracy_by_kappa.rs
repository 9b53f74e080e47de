//! Accuracy of k-NN by concentration: are images of components with a large κ easier to classify?
//!
//! Source: Govindarajan et al., *DINO as a von Mises-Fisher mixture model*, arXiv:2405.10939. The paper
//! finds that a component's κ grows with how easy its images are for downstream tasks.

use serde::Serialize;

/// Number of groups of images.
const GROUPS: usize = 5;

/// Images whose components have similar κ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Smallest and largest κ of their components.
    pub kappa: [f64; 2],
    /// Their number.
    pub images: usize,
    /// Percent of them that k-NN classifies correctly.
    pub accuracy: f64,
}

/// Splits images into fifths by the κ of their component, from low to high, and measures each.
///
/// Images of equal κ stay together, and so do all images of a component. Fifths may therefore differ in
/// size, and some may be missing: an image belongs to the fifth that holds the mean rank of all images
/// with its κ.
///
/// `kappas` and `correct` have one entry for each image.
pub fn groups(kappas: &[f64], correct: &[bool]) -> Vec<Group> {
    let ranks = ranks(kappas);
    let fifth = |rank: f64| (GROUPS as f64 * (rank - 0.5) / kappas.len() as f64) as usize;
    let group = |wanted: usize| {
        let members = (0..kappas.len()).filter(|&i| fifth(ranks[i]).min(GROUPS - 1) == wanted);
        let members: Vec<usize> = members.collect();
        let low = members.iter().map(|&i| kappas[i]).fold(f64::INFINITY, f64::min);
        let high = members.iter().map(|&i| kappas[i]).fold(f64::NEG_INFINITY, f64::max);
        let hits = members.iter().filter(|&&i| correct[i]).count();
        let accuracy = 100.0 * hits as f64 / members.len().max(1) as f64;
        let images = members.len();
        (images > 0).then_some(Group { kappa: [low, high], images, accuracy })
    };
    (0..GROUPS).filter_map(group).collect()
}

/// Spearman's rank correlation, in \[−1, 1\]; `None` if `x` or `y` is constant.
///
/// ```text
/// ρ = cov(rank x, rank y) / √(var rank x · var rank y)        equal values share their mean rank
/// ```
///
/// Equal to `scipy.stats.spearmanr` within 1e-12 (`tests/all/golden_analysis.rs`).
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() as f64 + 1.0) / 2.0;
    let moment = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (moment(&x, &x) * moment(&y, &y)).sqrt();
    (scale > 0.0).then(|| moment(&x, &y) / scale)
}

/// Ranks from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&i| ranks[i] = mean);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn fifths_keep_components_together() {
        let kappas: Vec<f64> = (0..10).map(f64::from).collect();
        let correct: Vec<bool> = (0..10).map(|i| i >= 5).collect();
        let found = groups(&kappas, &correct);
        let accuracies: Vec<f64> = found.iter().map(|group| group.accuracy).collect();
        assert_eq!(accuracies, [0.0, 0.0, 50.0, 100.0, 100.0]);
        assert_eq!((found[4].kappa, found[4].images), ([8.0, 9.0], 2));
        let fixed = groups(&[25.0; 7], &[true; 7]);
        assert_eq!((fixed.len(), fixed[0].images, fixed[0].accuracy), (1, 7, 100.0));
        assert!(groups(&[], &[]).is_empty());
    }

    #[test]
    fn correlation_is_one_where_order_is_kept_and_nothing_of_constants() {
        assert_eq!(spearman(&[1.0, 5.0, 9.0], &[2.0, 3.0, 100.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 5.0, 9.0], &[0.0, 0.0, 0.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }
}
