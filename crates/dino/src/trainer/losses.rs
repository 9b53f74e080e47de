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

use super::step::{CropBatch, Step};
use crate::matrix::Matrix;
use crate::model::Outputs;
use crate::monitor::features::Features;
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

/// Results summed over micro-batches.
#[derive(Default)]
pub(super) struct Sums {
    /// The whole loss.
    pub(super) loss: f64,
    /// The part of masked patches.
    pub(super) patch_loss: f64,
    /// Mean entropy of the teacher's assignments of \[CLS\] tokens.
    pub(super) teacher_entropy: f64,
    /// Mean divergence of the student's from them.
    pub(super) kl: f64,
    /// Spread and agreement of the teacher's \[CLS\] vectors.
    pub(super) features: Features,
    /// These vectors, `[crops · images, r]` of one micro-batch after the other.
    pub(super) teacher_vectors: Matrix,
    /// Mean entropy of the teacher's assignments of patches, masked or not.
    pub(super) patch_teacher_entropy: f64,
    assigned: Vec<u32>,
    assigned_patches: Vec<u32>,
}

impl<'a> Losses<'a> {
    /// The terms of the method; there is a second center for methods that mask.
    pub(super) fn of(
        step: &'a Step,
        (student, teacher): (&'a Params, &'a Params),
        (center, patch_center): (&'a mut Center, Option<&'a mut Center>),
        values: &StepValues,
    ) -> Self {
        let (objective, settings) = (&step.objective, &step.config.objective);
        let head = &step.network.head;
        let loss = |prototypes, center: &'a mut Center, temperature, lambda| {
            let networks = Networks { prototypes, student, teacher };
            let terms = objective.step_vectors(&networks, center, temperature);
            Loss { networks, terms, center, lambda }
        };
        let cls = loss(head.prototypes, center, values.teacher_temp, settings.lambda_cls);
        let patches = patch_center.map(|center| {
            loss(head.patch_prototypes, center, values.patch_temp, settings.lambda_patch)
        });
        let (crops, lambda_koleo) = (step.config.data.crops(), settings.lambda_koleo);
        Self { objective, crops, cls, patches, lambda_koleo }
    }

    /// Adds the loss of the prototypes' spread to `sums` and its gradient to `grads`.
    pub(super) fn spread_prototypes(&self, grads: &mut Params, sums: &mut Sums) {
        if self.lambda_koleo == 0.0 {
            return;
        }
        let Networks { prototypes, student, .. } = self.cls.networks;
        let (loss, saved) = koleo::forward(student, prototypes.g, prototypes.v, Form::Plain);
        koleo::backward(saved, self.lambda_koleo as f32, prototypes.v, grads);
        sums.loss += self.lambda_koleo * loss;
    }

    /// Adds the loss of a micro-batch to `sums` and its gradients to `grads`; returns those of the
    /// student's vectors, or nothing where the loss is not finite.
    pub(super) fn forward_backward(
        &mut self,
        (student, teacher): (&Outputs, &Outputs),
        batch: &CropBatch<'_>,
        scale: f64,
        grads: &mut Params,
        sums: &mut Sums,
    ) -> Option<Outputs> {
        let pairs = Pairs::Views { teacher_crops: GLOBAL_CROPS, student_crops: self.crops };
        let rows = Compared { student: &student.cls, teacher: &teacher.cls, pairs };
        let (outcome, cls) = self.cls.forward_backward(self.objective, &rows, scale, grads);
        sums.loss += scale * self.cls.lambda * outcome.loss;
        sums.teacher_entropy += scale * outcome.teacher_entropy;
        sums.kl += scale * (outcome.loss - outcome.teacher_entropy);
        sums.assigned.extend(&outcome.assigned);
        sums.features.add(&teacher.cls, GLOBAL_CROPS);
        sums.teacher_vectors.push(teacher.cls.host(), teacher.cls.width());
        let cls = cls?;
        let Some(patches) = &mut self.patches else {
            return Some(Outputs { cls, patches: Tensor::zeros(student.patches.shape()) });
        };
        let (partners, weights) = partners(batch.masks, GLOBAL_CROPS * batch.images);
        let pairs = Pairs::Rows { teacher: &partners, weights: &weights };
        let rows = Compared { student: &student.patches, teacher: &teacher.patches, pairs };
        let (outcome, dy) = patches.forward_backward(self.objective, &rows, scale, grads);
        let loss = scale * patches.lambda * outcome.loss;
        sums.loss += loss;
        sums.patch_loss += loss;
        sums.patch_teacher_entropy += scale * outcome.teacher_entropy;
        sums.assigned_patches.extend(&outcome.assigned);
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

impl Sums {
    /// Number of different prototypes that the teacher's \[CLS\] tokens prefer, and the entropy of
    /// their histogram, in nats.
    pub(super) fn assignments(&self) -> (usize, f64) {
        histogram(&self.assigned)
    }

    /// Number of different prototypes that the teacher's patches prefer.
    pub(super) fn patch_prototypes_in_use(&self) -> usize {
        histogram(&self.assigned_patches).0
    }
}

/// Number of different values, and the entropy of their histogram.
fn histogram(assigned: &[u32]) -> (usize, f64) {
    let mut assigned = assigned.to_vec();
    assigned.sort_unstable();
    let rows = assigned.len() as f64;
    let shares = assigned.chunk_by(|a, b| a == b).map(|same| same.len() as f64 / rows);
    shares.fold((0, 0.0), |(count, entropy), p| (count + 1, entropy - p * p.ln()))
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

    #[test]
    fn assignments_are_counted_and_weighed() {
        let of = |assigned: &[u32]| Sums { assigned: assigned.to_vec(), ..Sums::default() };
        let (count, entropy) = of(&[7, 2, 7, 2]).assignments();
        assert_eq!(count, 2);
        assert!((entropy - 2f64.ln()).abs() < 1e-12);
        assert_eq!(of(&[3, 3, 3]).assignments(), (1, 0.0));
    }
}
