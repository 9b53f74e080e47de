//! `Observations` are the teacher's outputs in one step that cannot be summed up as scalars while the step
//! goes on: some measures need the whole batch.

use engine::Tensor;
use probe::Matrix;
use report::{Metric, Metrics};

use super::feature_spread::FeatureSpread;

/// The teacher's outputs of one step, of one micro-batch after the other.
#[derive(Debug, Default, PartialEq)]
pub struct Observations {
    /// The teacher's \[CLS\] vectors of all global crops, `[crops · images, r]` of each micro-batch.
    pub teacher_vectors: Matrix,
    spread: FeatureSpread,
    prototypes: Vec<u32>,       // to which [CLS] tokens are assigned
    patch_prototypes: Vec<u32>, // to which patches are assigned
}

impl Observations {
    /// Adds the teacher's \[CLS\] vectors of a micro-batch, `[crop, image, r]`, and the prototype to which
    /// each is assigned.
    pub(crate) fn add_views(&mut self, vectors: &Tensor, crops: usize, prototypes: &[u32]) {
        self.prototypes.extend(prototypes);
        self.spread.add(vectors, crops);
        self.teacher_vectors.push(vectors.on_host().host(), vectors.width());
    }

    /// Adds the prototype to which each of the teacher's patches in a micro-batch is assigned.
    pub(crate) fn add_patches(&mut self, prototypes: &[u32]) {
        self.patch_prototypes.extend(prototypes);
    }

    /// Adds the metrics of the whole batch.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        let (in_use, entropy) = histogram(&self.prototypes);
        metrics.add(Metric::PrototypesInUse, in_use as f64);
        metrics.add(Metric::AssignmentEntropy, entropy);
        metrics.add(Metric::FeatureStd, self.spread.std());
        if let Some(agreement) = self.spread.agreement() {
            metrics.add(Metric::ImageAgreement, agreement);
        }
        if !self.patch_prototypes.is_empty() {
            let (in_use, _) = histogram(&self.patch_prototypes);
            metrics.add(Metric::PatchPrototypesInUse, in_use as f64);
        }
    }
}

/// Number of different values, and the entropy of their histogram in nats.
fn histogram(values: &[u32]) -> (usize, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let count = sorted.len() as f64;
    let shares = sorted.chunk_by(|a, b| a == b).map(|same| same.len() as f64 / count);
    shares.fold((0, 0.0), |(bins, entropy), p| (bins + 1, entropy - p * p.ln()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prototypes_in_use_and_their_entropy_are_those_of_the_whole_batch() {
        let measure = |parts: &[&[u32]]| {
            let mut observations = Observations::default();
            let vectors = Tensor::from_slice(&[2, 2], &[0.6, 0.8, 0.8, -0.6]);
            parts.iter().for_each(|part| observations.add_views(&vectors, 2, part));
            let mut metrics = Metrics::default();
            observations.measure(&mut metrics);
            metrics
        };
        let two = measure(&[&[7, 2], &[7, 2]]);
        assert_eq!(two.get(Metric::PrototypesInUse), Some(2.0));
        assert!((two.value(Metric::AssignmentEntropy) - 2f64.ln()).abs() < 1e-12);
        assert_eq!(two.get(Metric::PatchPrototypesInUse), None);
        let one = measure(&[&[3, 3]]);
        assert_eq!(one.get(Metric::PrototypesInUse), Some(1.0));
        assert_eq!(one.get(Metric::AssignmentEntropy), Some(0.0));
        // Of one image no agreement can be measured.
        assert_eq!(one.get(Metric::ImageAgreement), None);
    }

    #[test]
    fn patches_count_beside_the_views() {
        let mut observations = Observations::default();
        observations.add_patches(&[4, 4, 1]);
        observations.add_patches(&[9]);
        let mut metrics = Metrics::default();
        observations.measure(&mut metrics);
        assert_eq!(metrics.get(Metric::PatchPrototypesInUse), Some(3.0));
    }
}
