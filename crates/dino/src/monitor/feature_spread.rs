//! A `FeatureSpread` measures how far the teacher's vectors are spread, and whether that distinguishes images.
//!
//! ```text
//! yₐ         vectors of [CLS] in the bottleneck, of n = crops · images global crops
//! std        = √(mean ‖yₐ‖² − ‖mean yₐ‖²)         0: all the same; 1: no common direction
//! same       = mean of ⟨yₐ, y_b⟩ over all pairs of different crops of one image
//! other      = mean of ⟨yₐ, y_b⟩ over all pairs of crops of different images
//! agreement  = (same − other) / (mean ‖yₐ‖² − other)
//! ```
//!
//! The agreement is the intraclass correlation of a one-way analysis of variance. It is 1 if all crops of
//! an image have the same vector and different images have different vectors. It is 0 on average if the
//! image makes no difference. The spread alone cannot show that: augmentation makes crops of one image
//! differ too.
//!
//! Sums are f64, in the order of the rows.

use engine::Tensor;

/// Sums over the vectors of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FeatureSpread {
    sum: Vec<f64>, // Σ y, [r]
    squares: f64,  // Σ ‖y‖²
    within: f64,   // Σ over images ‖Σ over its crops y‖²
    images: usize,
    crops: usize, // of an image
}

impl FeatureSpread {
    /// Adds the vectors of a micro-batch, `[crop, image, r]`.
    pub(crate) fn add(&mut self, y: &Tensor, crops: usize) {
        let (images, r, y) = (y.rows() / crops, y.width(), y.host());
        self.sum.resize(r, 0.0);
        self.crops = crops;
        self.images += images;
        let mut of_image = vec![0.0; r];
        for image in 0..images {
            of_image.fill(0.0);
            for crop in 0..crops {
                let y = &y[(crop * images + image) * r..][..r];
                for (sum, &y) in of_image.iter_mut().zip(y) {
                    *sum += f64::from(y);
                    self.squares += f64::from(y) * f64::from(y);
                }
            }
            self.within += square(&of_image);
            self.sum.iter_mut().zip(&of_image).for_each(|(sum, y)| *sum += y);
        }
    }

    /// `std` of the formulas above, in [0, 1] for unit vectors.
    pub(crate) fn std(&self) -> f64 {
        let n = (self.crops * self.images).max(1) as f64;
        (self.squares / n - square(&self.sum) / (n * n)).max(0.0).sqrt()
    }

    /// `agreement` of the formulas above, at most 1; 0 if all vectors are equal. Nothing if there is one
    /// image only, or one crop of each image.
    pub(crate) fn agreement(&self) -> Option<f64> {
        let (images, crops) = (self.images as f64, self.crops as f64);
        if self.images < 2 || self.crops < 2 {
            return None;
        }
        let mean = self.squares / (images * crops);
        let same = (self.within - self.squares) / (images * crops * (crops - 1.0));
        let pairs = images * (images - 1.0) * crops * crops;
        let other = (square(&self.sum) - self.within) / pairs;
        // Below this, the vectors differ by rounding errors only.
        let varies = mean - other > 1e-12;
        Some(if varies { (same - other) / (mean - other) } else { 0.0 })
    }
}

fn square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums over two crops of each image, `[crop, image, 2]`.
    fn features(crops: [&[[f32; 2]]; 2]) -> FeatureSpread {
        let mut features = FeatureSpread::default();
        let values = crops.concat().concat();
        features.add(&Tensor::from_slice(&[values.len() / 2, 2], &values), 2);
        features
    }

    const A: [f32; 2] = [0.6, 0.8];
    const B: [f32; 2] = [-0.8, 0.6];

    #[test]
    fn equal_vectors_have_neither_spread_nor_agreement() {
        let same = features([&[A, A, A], &[A, A, A]]);
        assert!(same.std() < 1e-7, "{}", same.std());
        assert_eq!(same.agreement(), Some(0.0));
    }

    #[test]
    fn images_that_differ_agree_and_crops_that_differ_do_not() {
        let by_image = features([&[A, B], &[A, B]]);
        assert!((by_image.std() - 0.5f64.sqrt()).abs() < 1e-7);
        assert!((by_image.agreement().unwrap() - 1.0).abs() < 1e-7);
        let by_crop = features([&[A, A], &[B, B]]);
        assert!((by_crop.std() - 0.5f64.sqrt()).abs() < 1e-7);
        // same = 0, other = ½
        assert!((by_crop.agreement().unwrap() + 1.0).abs() < 1e-6);
    }

    #[test]
    fn parts_of_a_batch_add_up_to_it() {
        let whole = features([&[A, B, A], &[B, B, A]]);
        let mut parts = features([&[A], &[B]]);
        let rest = [B, A, B, A].concat();
        parts.add(&Tensor::from_slice(&[4, 2], &rest), 2);
        assert!((whole.std() - parts.std()).abs() < 1e-12);
        let agreements = [whole, parts].map(|features| features.agreement().unwrap());
        assert!((agreements[0] - agreements[1]).abs() < 1e-12);
    }

    #[test]
    fn the_agreement_of_a_single_image_is_not_defined() {
        assert_eq!(features([&[A], &[B]]).agreement(), None);
    }
}
