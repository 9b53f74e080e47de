//! One optimizer step: mixed images, forward and backward pass in parts, AdamW with a rate for each layer.
//!
//! The gradient is that of the mean loss over the whole batch. Mixing and drop path are drawn for the whole batch, so
//! the number of parts changes a gradient by rounding alone.

use std::cell::{Cell, RefCell};
use std::ops::{ControlFlow, Range};

use dino::schedule::WarmupCosine;
use engine::Params;
use engine::ops::adamw::{self, AdamW, Moments, Segment};
use engine::ops::grad_norm;
use engine::ops::patch_embed::Images;
use streams::{Key, Purpose};
use vit::{Crops, DropPlan};

use crate::groups::{Group, groups};
use crate::mixing::Mix;
use crate::network::Classifier;
use crate::settings::Settings;
use crate::targets::{cross_entropy, targets};

/// Decay rates of AdamW's moments, and ε: PyTorch's defaults.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPS: f64 = 1e-8;

/// What changes from step to step.
#[derive(Debug, Clone)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// The weights.
    pub weights: Params,
    /// Running means of the gradients.
    pub first: Params,
    /// Running means of their squares.
    pub second: Params,
}

impl State {
    /// Before the first step.
    pub fn new(weights: Params) -> Self {
        let zeros = || Params::zeros(weights.table().clone());
        Self { step: 0, first: zeros(), second: zeros(), weights }
    }
}

/// The images of a step, which mixing changes.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Normalized pixels, `[images, channels, side, side]`.
    pub pixels: &'a mut [f32],
    /// Classes of the images.
    pub labels: &'a [u32],
    /// Side of the images.
    pub side: usize,
}

/// A value of a step that is not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct NotFinite {
    /// Loss, or the name of the gradient.
    pub what: String,
    /// Its value.
    pub value: f64,
}

/// Called with the share of a step that is done; a break ends the step.
pub type Watch<'a> = &'a mut dyn FnMut(f64) -> ControlFlow<()>;

/// Takes steps.
#[derive(Debug, Clone)]
pub struct Training {
    network: Classifier,
    groups: Vec<Group>,
    lr: WarmupCosine,
    settings: Settings,
}

impl Training {
    /// Training with epochs of this number of steps.
    pub fn new(network: Classifier, settings: Settings, steps_per_epoch: u64) -> Self {
        let total_steps = settings.epochs * steps_per_epoch;
        let warmup_steps = (settings.warmup_epochs * steps_per_epoch as f64).round() as u64;
        let lr = WarmupCosine {
            start: settings.min_lr,
            peak: settings.lr * settings.batch_size as f64 / 256.0,
            end: settings.min_lr,
            warmup_steps: warmup_steps.min(total_steps),
            total_steps,
        };
        let groups = groups(network.table(), network.shape().depth, settings.layer_decay);
        Self { network, groups, lr, settings }
    }

    /// The network.
    pub fn network(&self) -> &Classifier {
        &self.network
    }

    /// The learning rate of the last layer in a step, from 0.
    pub fn lr(&self, step: u64) -> f64 {
        self.lr.at(step)
    }

    /// Takes one step with images that are mixed as settings and seed say, and returns the loss: see
    /// [`step_with`](Self::step_with).
    ///
    /// # Errors
    /// As [`step_with`](Self::step_with).
    pub fn step(
        &self,
        state: &mut State,
        grads: &mut Params,
        batch: Batch<'_>,
        watch: Watch<'_>,
    ) -> Result<Option<f64>, NotFinite> {
        let mut rng = Key::new(self.settings.seed, Purpose::Mix).time(state.step).open();
        let mix = self.settings.mixing.draw(batch.side, &mut rng);
        self.step_with(state, grads, batch, mix, watch)
    }

    /// Takes one step and returns the loss; `grads` is scratch. `None` if `watch` ends the step: nothing but the
    /// pixels was changed.
    ///
    /// # Errors
    /// A loss or gradient that is not finite: nothing but the pixels was changed.
    pub fn step_with(
        &self,
        state: &mut State,
        grads: &mut Params,
        batch: Batch<'_>,
        mix: Mix,
        watch: Watch<'_>,
    ) -> Result<Option<f64>, NotFinite> {
        let Batch { pixels, labels, side } = batch;
        let count = labels.len();
        mix.apply(pixels, count);
        let (classes, smoothing) = (self.network.classes(), self.settings.label_smoothing);
        let targets = targets(labels, classes, smoothing, mix.share(), |i| count - 1 - i);
        let work = Work { pixels, targets: &targets, count, side };
        let Some(loss) = self.gradients(state, grads, &work, watch) else { return Ok(None) };
        if !loss.is_finite() {
            return Err(NotFinite { what: "the loss".to_owned(), value: loss });
        }
        let norms = grad_norm::norms(grads);
        if let Some(i) = norms.iter().position(|norm| !norm.is_finite()) {
            let what = format!("the gradient of `{}`", grads.table().entries()[i].name);
            return Err(NotFinite { what, value: norms[i] });
        }
        let norm = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        let scale = self.settings.clip.map_or(1.0, |clip| grad_norm::clip_factor(norm, clip));
        self.update(state, grads, scale);
        Ok(Some(loss))
    }

    /// The mean loss, and its gradient in `grads`. `None` if `watch` ends the pass.
    fn gradients(
        &self,
        state: &State,
        grads: &mut Params,
        work: &Work<'_>,
        watch: Watch<'_>,
    ) -> Option<f64> {
        let (depth, parts) = (self.network.shape().depth, self.settings.accumulate.max(1));
        let key = Key::new(self.settings.seed, Purpose::DropPath).time(state.step);
        let plan = DropPlan::draw(self.settings.drop_path, depth, work.count, key);
        let (done, watch) = (Cell::new(0), RefCell::new(watch));
        let total = (2 * depth * parts).max(1) as f64;
        let pulse = || {
            done.set(done.get() + 1);
            (watch.borrow_mut())(f64::from(done.get()) / total)
        };
        grads.clear();
        let (mut loss, of_part) = (0.0, work.count.div_ceil(parts));
        for first in (0..work.count).step_by(of_part.max(1)) {
            let range = first..(first + of_part).min(work.count);
            let plan = plan.select(&range.clone().collect::<Vec<_>>());
            let crops = work.crops(range.clone(), self.network.shape().channels);
            let (mut scores, saved) =
                self.network.forward(&state.weights, &crops, &plan, &pulse)?;
            let classes = self.network.classes();
            let targets = &work.targets[range.start * classes..range.end * classes];
            loss += cross_entropy(scores.host_mut(), targets, classes, 1.0 / work.count as f64);
            self.network.backward(&state.weights, saved, &scores, grads, &pulse)?;
        }
        Some(loss / work.count as f64)
    }

    /// Moves the weights.
    fn update(&self, state: &mut State, grads: &Params, gradient_scale: f32) {
        let lr = self.lr(state.step);
        state.step += 1;
        for Group { scale, params, .. } in &self.groups {
            let segment = |&(param, decayed): &(_, bool)| Segment {
                param,
                decay: if decayed { self.settings.weight_decay } else { 0.0 },
                gradient_scale,
                step: state.step,
            };
            let segments: Vec<_> = params.iter().map(segment).collect();
            let adamw = AdamW { lr: lr * scale, betas: BETAS, eps: EPS };
            let moments = Moments { first: &mut state.first, second: &mut state.second };
            adamw::update(&adamw, &segments, &mut state.weights, grads, moments);
        }
    }
}

/// What the passes of a step need.
struct Work<'a> {
    pixels: &'a [f32],
    targets: &'a [f32],
    count: usize,
    side: usize,
}

impl<'a> Work<'a> {
    /// Some of the images.
    fn crops(&self, range: Range<usize>, channels: usize) -> Crops<'a> {
        let len = channels * self.side * self.side;
        let images = Images { count: range.len(), channels, height: self.side, width: self.side };
        Crops::new(&self.pixels[range.start * len..range.end * len], images)
    }
}
