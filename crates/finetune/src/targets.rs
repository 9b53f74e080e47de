//! Soft targets, and the cross-entropy with them.
//!
//! ```text
//! one(y)_c = 1 − s + s / C  if c = y, else s / C                  s: label smoothing, C classes
//! t_i      = λ one(y_i) + (1 − λ) one(y_j)                        image j is mixed into image i
//! loss     = −1/n Σ_i Σ_c t_ic log softmax(z_i)_c                 n images
//! dz_ic    = (softmax(z_i)_c − t_ic) / n
//! ```
//!
//! Source: `mixup_target` and `SoftTargetCrossEntropy` of timm.

/// The targets of all images of a batch, `[images, classes]`. `partner(i)` is the image that is mixed into image `i`,
/// of which `share` is left.
pub fn targets(
    labels: &[u32],
    classes: usize,
    smoothing: f64,
    share: f64,
    partner: impl Fn(usize) -> usize,
) -> Vec<f32> {
    let off = smoothing / classes as f64;
    let on = 1.0 - smoothing;
    let mut targets = vec![0.0; labels.len() * classes];
    for (i, row) in targets.chunks_exact_mut(classes.max(1)).enumerate() {
        let of = |label: u32, class: usize| off + if label as usize == class { on } else { 0.0 };
        for (class, target) in row.iter_mut().enumerate() {
            let (own, other) = (of(labels[i], class), of(labels[partner(i)], class));
            *target = (share * own + (1.0 - share) * other) as f32;
        }
    }
    targets
}

/// The sum of the losses of these images; writes `scale (softmax − target)` over the scores, `[images, classes]`.
/// Each row of targets sums to 1.
pub fn cross_entropy(scores: &mut [f32], targets: &[f32], classes: usize, scale: f64) -> f64 {
    let mut loss = 0.0;
    for (scores, targets) in
        scores.chunks_exact_mut(classes.max(1)).zip(targets.chunks_exact(classes.max(1)))
    {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = |score: f32| f64::from(score) - f64::from(most);
        let sum: f64 = scores.iter().map(|&score| shifted(score).exp()).sum();
        let log_sum = sum.ln();
        for (score, &target) in scores.iter_mut().zip(targets) {
            let log_prob = shifted(*score) - log_sum;
            loss -= f64::from(target) * log_prob;
            *score = (scale * (log_prob.exp() - f64::from(target))) as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `mixup_target(torch.tensor([0, 2, 1]), 4, lam=0.3, smoothing=0.1)` of timm 1.0.31.
    #[test]
    fn targets_are_smoothed_and_mixed_as_in_timm() {
        let found = targets(&[0, 2, 1], 4, 0.1, 0.3, |i| 2 - i);
        let expected = [
            [0.295, 0.655, 0.025, 0.025],
            [0.025, 0.025, 0.925, 0.025],
            [0.655, 0.295, 0.025, 0.025],
        ];
        for (found, expected) in found.iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_central_differences() {
        let scores: Vec<f32> = (0..12).map(|i| ((i * 7 % 12) as f32 - 5.0) / 3.0).collect();
        let targets = targets(&[3, 0, 2], 4, 0.1, 0.7, |i| (i + 1) % 3);
        let loss = |scores: &[f32]| cross_entropy(&mut scores.to_vec(), &targets, 4, 1.0) / 3.0;
        let mut gradient = scores.clone();
        cross_entropy(&mut gradient, &targets, 4, 1.0 / 3.0);
        let step = 1.0 / 256.0;
        for i in 0..12 {
            let at = |change: f32| {
                let mut moved = scores.clone();
                moved[i] += change;
                loss(&moved)
            };
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[i]);
            assert!((found - slope).abs() < 1e-5, "{i}: {found} for {slope}");
        }
    }

    #[test]
    fn scores_that_are_not_finite_give_a_loss_that_is_not() {
        for bad in [f32::NAN, f32::INFINITY] {
            let targets = targets(&[0], 2, 0.0, 1.0, |i| i);
            assert!(!cross_entropy(&mut [bad, 0.0], &targets, 2, 1.0).is_finite());
        }
    }
}
