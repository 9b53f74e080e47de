//! The terms of a step's loss: \[CLS\] tokens across views, masked patches, and the spread of the
//! prototypes.
//!
//! ```text
//! loss = λ_cls · mean over pairs of views + λ_patch · patches + λ_koleo · spread
//! patches = 1 / (2 B) Σ over global crops of  1 / max(1, m) Σ over its m masked patches of CE
//! ```
//!
//! A crop without a masked patch counts as zero. The center of patches is a mean over all of them,
//! masked or not. The spread is KoLeo-proto's ([`engine::ops::koleo`]), of the prototypes of \[CLS\]
//! tokens, once in a step.
//!
//! Source: `iBOTLoss` of iBOT's `main_ibot.py`, described in Zhou et al., arXiv:2111.07832.

use engine::ops::koleo::{self, Form};
use engine::ops::mixture_cross_entropy::Output;
use engine::{Params, Tensor};
use multicrop::recipe::GLOBAL_CROPS;

use super::batch::CropBatch;
use super::report::StepReport;
use crate::config::Config;
use crate::metrics::{Metric, Metrics};
use crate::model::{Head, Outputs};
use crate::objective::{self, Center, Compared, Networks, Objective, Pairs, StepVectors};
use crate::schedule::StepValues;

/// All terms of the loss of one step.
pub(super) struct Losses<'a> {
    objective: &'a Objective,
    crops: usize, // of an image
    cls: Loss<'a>,
    patches: Option<Loss<'a>>,
    lambda_koleo: f64,
}

/// One term: its prototypes, its center, its weight.
struct Loss<'a> {
    networks: Networks<'a>,
    terms: StepVectors,
    center: &'a mut Center,
    lambda: f64,
}

/// What the terms need and no step changes.
pub(super) struct Setting<'a> {
    pub(super) objective: &'a Objective,
    pub(super) head: &'a Head,
    pub(super) config: &'a Config,
}

impl<'a> Losses<'a> {
    /// The terms of the method; there is a second center for methods that mask.
    pub(super) fn of(
        Setting { objective, head, config }: Setting<'a>,
        (student, teacher): (&'a Params, &'a Params),
        (center, patch_center): (&'a mut Center, Option<&'a mut Center>),
        values: &StepValues,
    ) -> Self {
        let settings = &config.objective;
        let loss = |prototypes, center: &'a mut Center, temperature, lambda| {
            let networks = Networks { prototypes, student, teacher };
            let terms = objective.step_vectors(&networks, center, temperature);
            Loss { networks, terms, center, lambda }
        };
        let cls = loss(head.prototypes, center, values.teacher_temp, settings.lambda_cls);
        let patches = patch_center.map(|center| {
            loss(head.patch_prototypes, center, values.patch_temp, settings.lambda_patch)
        });
        let (crops, lambda_koleo) = (config.data.crops(), settings.lambda_koleo);
        Self { objective, crops, cls, patches, lambda_koleo }
    }

    /// Adds the loss of the prototypes' spread to `metrics` and its gradient to `grads`.
    pub(super) fn spread_prototypes(&self, grads: &mut Params, metrics: &mut Metrics) {
        if self.lambda_koleo == 0.0 {
            return;
        }
        let Networks { prototypes, student, .. } = self.cls.networks;
        let (loss, saved) = koleo::forward(student, prototypes.g, prototypes.v, Form::Plain);
        koleo::backward(saved, self.lambda_koleo as f32, prototypes.v, grads);
        metrics.add(Metric::Loss, self.lambda_koleo * loss);
    }

    /// Adds the metrics and observations of a micro-batch to `report` and its gradients to `grads`; `scale`
    /// is its share of the images. Returns the gradients of the student's vectors, or nothing if the loss
    /// is not finite.
    pub(super) fn forward_backward(
        &mut self,
        (student, teacher): (&Outputs, &Outputs),
        batch: &CropBatch<'_>,
        scale: f64,
        grads: &mut Params,
        report: &mut StepReport,
    ) -> Option<Outputs> {
        let StepReport { metrics, observations, .. } = report;
        let pairs = Pairs::Views { teacher_crops: GLOBAL_CROPS, student_crops: self.crops };
        let rows = Compared { student: &student.cls, teacher: &teacher.cls, pairs };
        let (outcome, cls) = self.cls.forward_backward(self.objective, &rows, scale, grads);
        metrics.add(Metric::Loss, scale * self.cls.lambda * outcome.loss);
        metrics.add(Metric::TeacherEntropy, scale * outcome.teacher_entropy);
        metrics.add(Metric::Kl, scale * (outcome.loss - outcome.teacher_entropy));
        observations.add_views(&teacher.cls, GLOBAL_CROPS, &outcome.assigned);
        let cls = cls?;
        let Some(patches) = &mut self.patches else {
            return Some(Outputs { cls, patches: Tensor::zeros(student.patches.shape()) });
        };
        let (partners, weights) = partners(batch.masks, GLOBAL_CROPS * batch.images);
        let pairs = Pairs::Rows { teacher: &partners, weights: &weights };
        let rows = Compared { student: &student.patches, teacher: &teacher.patches, pairs };
        let (outcome, dy) = patches.forward_backward(self.objective, &rows, scale, grads);
        let loss = scale * patches.lambda * outcome.loss;
        metrics.add(Metric::Loss, loss);
        metrics.add(Metric::PatchLoss, loss);
        metrics.add(Metric::PatchTeacherEntropy, scale * outcome.teacher_entropy);
        observations.add_patches(&outcome.assigned);
        Some(Outputs { cls, patches: dy? })
    }
}

impl Loss<'_> {
    /// The loss without its weight, and its gradients with it.
    fn forward_backward(
        &mut self,
        objective: &Objective,
        rows: &Compared<'_>,
        scale: f64,
        grads: &mut Params,
    ) -> (Output, Option<Tensor>) {
        let (networks, terms, scale) = (&self.networks, &self.terms, scale * self.lambda);
        let sums = objective::Sums { grads, center: &mut *self.center };
        objective.forward_backward(networks, rows, terms, scale, sums)
    }
}

/// Numbers of the masked patches, and what each weighs: as much as all of its crop together.
fn partners(masks: &[bool], crops: usize) -> (Vec<u32>, Vec<f32>) {
    let (mut partners, mut weights) = (Vec::new(), Vec::new());
    let patches = masks.len() / crops;
    for (crop, mask) in masks.chunks_exact(patches.max(1)).enumerate() {
        let masked = mask.iter().filter(|masked| **masked).count();
        let weight = 1.0 / (crops * masked.max(1)) as f64;
        for (patch, _) in mask.iter().enumerate().filter(|(_, masked)| **masked) {
            partners.push((crop * patches + patch) as u32);
            weights.push(weight as f32);
        }
    }
    (partners, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_weighs_the_same_however_many_patches_it_loses() {
        let masks = [false, true, true, false, false, false, true, true, true];
        let (partners, weights) = partners(&masks, 3);
        assert_eq!(partners, [1, 2, 6, 7, 8]);
        assert_eq!(weights, [1.0 / 6.0, 1.0 / 6.0, 1.0 / 9.0, 1.0 / 9.0, 1.0 / 9.0]);
    }
}
