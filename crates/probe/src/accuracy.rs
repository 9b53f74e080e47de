//! Accuracies of predicted classes, in percent, and the place of a label among the scores of all classes.

use serde::Serialize;

/// How many images are classified correctly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassAccuracy {
    /// Share of all images.
    pub top1: f64,
    /// Mean of the shares of each class that has images.
    pub mean_per_class: f64,
}

impl ClassAccuracy {
    /// Of predictions and labels, one for each image.
    ///
    /// # Panics
    /// If there are no images, or unequally many predictions and labels.
    pub fn of(predicted: &[u32], labels: &[u32]) -> Self {
        assert!(
            !labels.is_empty() && predicted.len() == labels.len(),
            "a prediction for each label"
        );
        let classes = labels.iter().max().map_or(0, |&most| most as usize + 1);
        let mut of_class = vec![(0usize, 0usize); classes];
        for (predicted, &label) in predicted.iter().zip(labels) {
            let (right, all) = &mut of_class[label as usize];
            *right += usize::from(*predicted == label);
            *all += 1;
        }
        let right: usize = of_class.iter().map(|(right, _)| right).sum();
        let shares = of_class.iter().filter(|(_, all)| *all > 0);
        let shares: Vec<f64> = shares.map(|(right, all)| *right as f64 / *all as f64).collect();
        Self {
            top1: 100.0 * right as f64 / labels.len() as f64,
            mean_per_class: 100.0 * shares.iter().sum::<f64>() / shares.len() as f64,
        }
    }
}

/// The place of a label among the classes: how many have a higher score, or an equal score and a lower number.
///
/// `scores` are `[classes]`. The label is right by its first score at 0, and among the first five below 5. No class
/// comes before a label whose score is NaN.
///
/// # Panics
/// If there is no such class.
pub fn place<T: Copy + PartialOrd>(scores: &[T], label: u32) -> usize {
    let label = label as usize;
    let own = scores[label];
    let before = |&(class, score): &(usize, &T)| *score > own || (*score == own && class < label);
    scores.iter().enumerate().filter(before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_class_counts_as_much_as_a_large_one() {
        // scikit-learn 1.9: accuracy_score 0.8, balanced_accuracy_score 0.6875.
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 3, 3];
        let predicted = [0, 0, 0, 0, 0, 0, 0, 1, 3, 1];
        let found = ClassAccuracy::of(&predicted, &labels);
        assert_eq!(found, ClassAccuracy { top1: 80.0, mean_per_class: 68.75 });
    }

    #[test]
    fn of_equal_scores_the_class_with_the_lower_number_comes_first() {
        let scores = [0.5f32, 2.0, 0.5, -1.0, 0.5];
        let places: Vec<usize> = (0..5).map(|label| place(&scores, label)).collect();
        assert_eq!(places, [1, 0, 2, 4, 3]);
        assert_eq!([place(&[f64::NAN, 1.0], 0), place(&[f64::NAN, 1.0], 1)], [0, 0]);
    }
}
