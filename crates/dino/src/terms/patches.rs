//! Masked patches: iBOT's second loss.
//!
//! ```text
//! patches = 1 / (2 B) Σ over global crops of  1 / max(1, m) Σ over its m masked patches of
//!           −Σₖ P_t[patch, k] log P_s[patch, k]
//! ```
//!
//! The teacher sees the patch, the student a mask token in its place. A crop without a masked patch counts
//! as zero. The center is a mean over all patches, masked or not.
//!
//! Source: `iBOTLoss` of iBOT's `main_ibot.py`, described in Zhou et al., arXiv:2111.07832.

use engine::Tensor;
use multicrop::recipe::GLOBAL_CROPS;
use report::Metric;

use super::mixture_loss::MixtureLoss;
use super::{Gradients, Inputs, NotFinite, Term, TermReport, Weights};
use crate::checkpoint::CenterOf;
use crate::config;
use crate::objective::{Compared, Objective, Pairs};
use crate::schedule::StepValues;
use vit::Head;

/// The term of masked patches. Its state is the center of patches.
#[derive(Debug, Clone)]
pub struct MaskedPatches {
    loss: MixtureLoss,
}

impl MaskedPatches {
    /// The term that a configuration describes.
    pub fn new(settings: &config::Objective, head: &Head, objective: &Objective) -> Self {
        let (lambda, momentum) = (settings.lambda_patch, settings.patch_center_momentum);
        Self { loss: MixtureLoss::new(objective, head.patch_prototypes, lambda, momentum) }
    }
}

impl Term for MaskedPatches {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn boxed_clone(&self) -> Box<dyn Term> {
        Box::new(self.clone())
    }

    fn start_step(&mut self, weights: Weights<'_>, values: &StepValues) {
        self.loss.start_step(weights, values.patch_temp);
    }

    fn of_outputs(
        &mut self,
        inputs: &Inputs<'_>,
        gradients: &mut Gradients<'_>,
        report: &mut TermReport<'_>,
    ) -> Result<(), NotFinite> {
        let Inputs { student, teacher, share, .. } = *inputs;
        let masked = MaskedRows::of(inputs.masks, GLOBAL_CROPS * inputs.images);
        let pairs = Pairs::Rows { teacher: &masked.rows, weights: &masked.weights };
        let compared = Compared { student: &student.patches, teacher: &teacher.patches, pairs };
        let (output, dy) = self.loss.forward_backward(&compared, inputs, gradients.params);
        let metrics = &mut report.metrics;
        let loss = share * self.loss.lambda * output.loss;
        metrics.add(Metric::Loss, loss);
        metrics.add(Metric::PatchLoss, loss);
        metrics.add(Metric::PatchTeacherEntropy, share * output.teacher_entropy);
        report.observations.add_patches(&output.assigned);
        gradients.outputs.add_patches(dy?);
        Ok(())
    }

    fn end_step(&mut self, values: &StepValues) {
        self.loss.center.update(values.patch_temp);
    }

    fn discard_step(&mut self) {
        self.loss.center.discard_statistic();
    }

    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![(CenterOf::Patches.name(), self.loss.center.values())]
    }

    fn restore(&mut self, name: &str, values: &[f32]) {
        assert_eq!(name, CenterOf::Patches.name(), "state of the term of patches");
        self.loss.center.set_values(values);
    }
}

/// The masked patches among all patches of some crops.
struct MaskedRows {
    /// Their rows, ascending.
    rows: Vec<u32>,
    /// The weight of each: all masked patches of a crop together weigh 1 / crops.
    weights: Vec<f32>,
}

impl MaskedRows {
    fn of(masks: &[bool], crops: usize) -> Self {
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        let patches = masks.len() / crops;
        for (crop, mask) in masks.chunks_exact(patches.max(1)).enumerate() {
            let count = mask.iter().filter(|masked| **masked).count();
            let weight = 1.0 / (crops * count.max(1)) as f64;
            for (patch, _) in mask.iter().enumerate().filter(|(_, masked)| **masked) {
                rows.push((crop * patches + patch) as u32);
                weights.push(weight as f32);
            }
        }
        Self { rows, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_crops_weigh_the_same_whatever_their_number_of_masked_patches() {
        let masks = [false, true, true, false, false, false, true, true, true];
        let masked = MaskedRows::of(&masks, 3);
        assert_eq!(masked.rows, [1, 2, 6, 7, 8]);
        assert_eq!(masked.weights, [1.0 / 6.0, 1.0 / 6.0, 1.0 / 9.0, 1.0 / 9.0, 1.0 / 9.0]);
    }
}
