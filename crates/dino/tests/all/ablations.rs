//! The flags that ablations turn, beside the grid: each changes what it says, and nothing else.

use std::sync::Arc;

use dino::config::{self, Centering, DebyeTerms, PrototypeNorm};
use dino::objective::{Compared, Networks, Objective, Pairs, Sums};
use dino::optim::{self, OptimizerState};
use dino::schedule::StepValues;
use engine::{ParamTable, Params, Tensor};
use rand::RngExt;
use streams::{Key, Purpose};
use vit::head::Prototypes;
use vit::{Head, HeadShape};
use vmf::Normalizer;

const R: usize = 16;
const K: usize = 12;
const IMAGES: usize = 4;
const TEACHER_CROPS: usize = 2;
const STUDENT_CROPS: usize = 3;
const TEACHER_TEMP: f64 = 0.07;

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(5, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Rows of unit length.
fn unit(rows: usize, index: u64) -> Tensor {
    let mut tensor = Tensor::from_slice(&[rows, R], &noise(rows * R, index));
    for row in tensor.host_mut().chunks_exact_mut(R) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    tensor
}

/// A student and a teacher whose prototypes have norms from 0.5 to 6, one of them negative.
struct World {
    prototypes: Prototypes,
    student: Params,
    teacher: Params,
    student_y: Tensor,
    teacher_y: Tensor,
}

impl World {
    fn new() -> Self {
        let mut table = ParamTable::default();
        let shape = HeadShape {
            embed_dim: 2,
            hidden_dim: 3,
            bottleneck_dim: R,
            prototypes: K,
            patch_prototypes: None,
            precision: engine::matmul::Precision::F32,
        };
        let prototypes = Head::new(&shape, "", &mut table).prototypes;
        let table = Arc::new(table);
        let network = |index| {
            let mut params = Params::zeros(table.clone());
            params.whole_mut().host_mut().copy_from_slice(&noise(table.len(), index));
            for (k, g) in params.view_mut(prototypes.g).host_mut().iter_mut().enumerate() {
                *g = if k == 3 { -2.0 } else { 0.5 + 0.5 * k as f32 };
            }
            params
        };
        let (student, teacher) = (network(0), network(1));
        let student_y = unit(STUDENT_CROPS * IMAGES, 2);
        Self { prototypes, student, teacher, student_y, teacher_y: unit(TEACHER_CROPS * IMAGES, 3) }
    }

    /// Loss and gradients of all parameters by the program.
    fn measure(&self, settings: &config::Objective) -> (f64, Params) {
        let objective = Objective::new(settings, R);
        let mut center = objective.initial_center(0.9, K);
        let (prototypes, student, teacher) = (self.prototypes, &self.student, &self.teacher);
        let networks = Networks { prototypes, student, teacher };
        let pairs = Pairs::Views { teacher_crops: TEACHER_CROPS, student_crops: STUDENT_CROPS };
        let rows = Compared { student: &self.student_y, teacher: &self.teacher_y, pairs };
        let terms = objective.step_vectors(&networks, &center, TEACHER_TEMP);
        let mut grads = Params::zeros(student.table().clone());
        let sums = Sums { grads: &mut grads, center: &mut center };
        let (outcome, dy) = objective.forward_backward(&networks, &rows, &terms, 1.0, sums);
        assert!(dy.is_some());
        (outcome.loss, grads)
    }

    /// Loss by its definition in f64, and its derivative by what is added to the student's logits.
    fn define(&self, student_temp: f64, normalizer: &Normalizer) -> (f64, Vec<f64>) {
        let student =
            |row| self.log_probs(&self.student, &self.student_y, row, student_temp, normalizer);
        let teacher =
            |row| self.log_probs(&self.teacher, &self.teacher_y, row, TEACHER_TEMP, normalizer);
        let (mut loss, mut slope, mut pairs) = (0.0, vec![0.0; K], 0.0);
        for (q, v) in (0..TEACHER_CROPS).flat_map(|q| (0..STUDENT_CROPS).map(move |v| (q, v))) {
            for image in (0..IMAGES).filter(|_| q != v) {
                let (log_s, log_t) = (student(v * IMAGES + image), teacher(q * IMAGES + image));
                pairs += 1.0;
                for k in 0..K {
                    loss -= log_t[k].exp() * log_s[k];
                    slope[k] += log_s[k].exp() - log_t[k].exp();
                }
            }
        }
        slope.iter_mut().for_each(|slope| *slope /= pairs);
        (loss / pairs, slope)
    }

    /// `log_softmax(g ⟨μ, y⟩ / τ + b(|g| / τ))`.
    fn log_probs(
        &self,
        params: &Params,
        y: &Tensor,
        row: usize,
        temperature: f64,
        normalizer: &Normalizer,
    ) -> Vec<f64> {
        let y = &y.host()[row * R..][..R];
        let rows = params.view(self.prototypes.v).host().chunks_exact(R);
        let scores = rows.zip(params.view(self.prototypes.g).host()).map(|(v, &g)| {
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let kappa = f64::from(g.abs()) / temperature;
            f64::from(g) * dot(v, y) / dot(v, v).sqrt() / temperature + normalizer.value(kappa)
        });
        let scores: Vec<f64> = scores.collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = scores.iter().map(|score| (score - top).exp()).sum::<f64>().ln() + top;
        scores.iter().map(|score| score - total).collect()
    }
}

fn settings() -> config::Objective {
    config::Objective {
        prototype_norm: Some(PrototypeNorm::Vmf),
        centering: Some(Centering::ProbA),
        ..config::Objective::default()
    }
}

/// ∂L/∂gₖ = … + ∂L/∂bₖ · b'(κₖ) sign(gₖ) / τₛ; without a gradient through the normalizer the last
/// term is missing, and everything else is the same in every bit.
#[test]
fn stopping_the_gradient_takes_the_part_of_the_normalizer_from_the_norms() {
    let world = World::new();
    let full = settings();
    let stopped = config::Objective { gradient_through_normalizer: false, ..full.clone() };
    let ((loss, full_grads), (same, grads)) = (world.measure(&full), world.measure(&stopped));
    assert_eq!(loss, same);
    let (g, v) = (world.prototypes.g, world.prototypes.v);
    assert_eq!(full_grads.view(v).host(), grads.view(v).host());
    let normalizer = Normalizer::new(R, vmf::DebyeTerms::Zero);
    let (_, slope) = world.define(full.student_temp, &normalizer);
    let (norms, mut largest) = (world.student.view(g).host(), 0.0f64);
    for k in 0..K {
        let kappa = f64::from(norms[k].abs()) / full.student_temp;
        let sign = f64::from(norms[k].signum());
        let part = slope[k] * normalizer.slope(kappa) * sign / full.student_temp;
        let found = f64::from(full_grads.view(g).host()[k]) - f64::from(grads.view(g).host()[k]);
        assert!((found - part).abs() < 1e-5, "prototype {k}: {found} for {part}");
        largest = part.abs().max(largest);
    }
    assert!(largest > 1e-2, "no part of this size can be missed: {largest}");
}

/// At width 16 the leading term errs by up to 1.7e-2 nats.
#[test]
fn each_number_of_debye_terms_has_its_own_loss() {
    let world = World::new();
    let all = (0..4).map(DebyeTerms::Terms).chain([DebyeTerms::Exact]);
    let mut losses = Vec::new();
    for debye_terms in all {
        let settings = config::Objective { debye_terms: Some(debye_terms), ..settings() };
        let terms = match debye_terms {
            DebyeTerms::Terms(count) => vmf::DebyeTerms::from_count(count.into()),
            DebyeTerms::Exact => None,
        };
        let normalizer = Normalizer::new(R, terms.unwrap_or(vmf::DebyeTerms::Exact));
        let (found, _) = world.measure(&settings);
        let (expected, _) = world.define(settings.student_temp, &normalizer);
        assert!((found - expected).abs() < 1e-6 * expected, "{debye_terms:?}: {found}, {expected}");
        losses.push(expected);
    }
    // Far more than the tolerance, so that ignoring the terms would fail.
    let apart = |a: usize, b: usize| (losses[a] - losses[b]).abs() > 2e-5 * losses[b];
    assert!(apart(0, 1) && apart(0, 4) && apart(1, 4), "{losses:?}");
}

/// One step of AdamW takes `lr · decay · g` more from norms that decay.
#[test]
fn decay_of_norms_takes_its_part_of_them_and_of_nothing_else() {
    let world = World::new();
    let (lr, weight_decay) = (0.1, 0.5);
    let values = StepValues {
        lr,
        weight_decay,
        momentum: 1.0,
        teacher_temp: TEACHER_TEMP,
        patch_temp: TEACHER_TEMP,
        epoch: 0,
        freeze_last_layer: false,
        freeze_backbone: false,
    };
    let after = |decay_norms| {
        let settings = config::Optim { decay_norms, ..config::Optim::default() };
        let (mut params, grads) = (world.student.clone(), &world.teacher);
        let mut state = OptimizerState::new(&params);
        let norms = optim::grad_norms(grads);
        let update = optim::Update {
            settings: &settings,
            values: &values,
            learns_norms: true,
            norms: &norms,
        };
        update.apply(&mut params, grads, &mut state);
        params
    };
    let (with, without) = (after(true), after(false));
    for entry in with.table().entries() {
        let (with, without) = (with.view(entry.param).host(), without.view(entry.param).host());
        if !entry.name.ends_with("weight_g") {
            assert_eq!(with, without, "`{}`", entry.name);
            continue;
        }
        for ((with, without), g) in
            with.iter().zip(without).zip(world.student.view(entry.param).host())
        {
            let (found, part) = (f64::from(without - with), lr * weight_decay * f64::from(*g));
            assert!((found - part).abs() < 1e-6, "{found} for {part}");
        }
    }
}

/// Those of the paper where it tells, and of the official recipes otherwise.
#[test]
fn defaults_are_those_of_the_references() {
    let objective = config::Objective::default();
    assert_eq!(objective.debye_terms(), DebyeTerms::Terms(0));
    assert!(objective.gradient_through_normalizer && config::Optim::default().decay_norms);
    for method in [config::Method::DinoVmf, config::Method::IbotVmf] {
        let expected = (PrototypeNorm::Vmf, Centering::ProbA, DebyeTerms::Terms(0));
        assert_eq!(method.defaults(), expected);
    }
}
