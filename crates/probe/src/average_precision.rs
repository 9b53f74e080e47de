//! Average precision at eleven points of recall, the measure of PASCAL VOC 2007.
//!
//! ```text
//! AP = 1/11 Σ_t max { precision(s) : recall(s) ≥ t }      t = 0, 0.1, …, 1
//! ```
//!
//! over the thresholds `s`, with images of equal scores together. As in scikit-learn's curve, on which transfer is
//! usually measured, a threshold above all scores has the recall 0 and the precision 1. VOC's own program has no
//! such threshold: its value is lower by `(1 − p) / 11`, with `p` the best precision of all thresholds.
//!
//! Source: Everingham et al., *The PASCAL visual object classes (VOC) challenge*, IJCV 2010, section 4.2.

/// The average precision of scores that should be high for `relevant` images, 0 to 1. `None` if no image is
/// relevant.
///
/// # Panics
/// If there are unequally many of both.
pub fn eleven_points(relevant: &[bool], scores: &[f32]) -> Option<f64> {
    assert_eq!(relevant.len(), scores.len(), "a score for each image");
    let positives = relevant.iter().filter(|relevant| **relevant).count();
    if positives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut found, mut all) = (0, 0);
    let mut best = [0.0f64; 11];
    best[0] = 1.0;
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        found += equal.iter().filter(|&&image| relevant[image]).count();
        all += equal.len();
        let (recall, precision) = (found as f64 / positives as f64, found as f64 / all as f64);
        for (point, best) in best.iter_mut().enumerate() {
            // The products that NumPy's `linspace` has, so that a recall of 0.3 is on the same side of 0.3.
            if recall >= point as f64 * 0.1 {
                *best = best.max(precision);
            }
        }
    }
    Some(best.iter().sum::<f64>() / 11.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9, `precision_recall_curve`, and the best precision at or right of `numpy.linspace(0, 1, 11)`.
    #[test]
    fn precision_is_that_of_scikit_learn() {
        let relevant = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1].map(|bit| bit == 1);
        let scores = [9., 8., 8., 7., 6., 5., 5., 4., 4., 3., 2., 1., 1., 1., 0., -2.];
        let found = eleven_points(&relevant, &scores).unwrap();
        assert!((found - 0.6801948051948051).abs() < 1e-12, "{found}");
        // Ten relevant images: recalls of 0.3, 0.6 and 0.7 lie a rounding error below `linspace`.
        let relevant = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0];
        let scores: Vec<f32> = (0..20).map(|place| -(place as f32)).collect();
        let found = eleven_points(&relevant.map(|bit| bit == 1), &scores).unwrap();
        assert!((found - 0.6944444444444443).abs() < 1e-12, "{found}");
        assert_eq!(eleven_points(&[false; 3], &[1.0; 3]), None);
        assert_eq!(eleven_points(&[true, false], &[1.0, 0.0]), Some(1.0));
    }
}
