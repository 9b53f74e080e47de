//! One optimizer step, from crops to moved weights.
//!
//! In words: the teacher looks at the global crops, the student at all (for iBOT with patches of the
//! global ones hidden); the objective compares them;
//! gradients flow back and are summed over micro-batches; each tensor is clipped on its own; AdamW
//! moves the student; the teacher follows; the center follows the teacher's scores.

use std::time::{Duration, Instant};

use engine::Params;
use engine::ops::patch_embed::Images;
use multicrop::recipe::GLOBAL_CROPS;
use streams::{Key, Purpose};

use super::losses::{Losses, Setting};
use crate::config::Config;
use crate::metrics::Metric;
use crate::model::{Crops, DropPlan, Head, Network, Patches, init};
use crate::objective::{Center, Objective};
use crate::optim::{self, OptimizerState, Update};
use crate::plan;
use crate::schedule::StepValues;

pub use super::batch::CropBatch;
pub use super::report::{StepReport, Times};

/// Everything that a step changes.
#[derive(Debug, Clone)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// The student's weights.
    pub student: Params,
    /// The teacher's weights.
    pub teacher: Params,
    /// Moments and counts of the optimizer.
    pub optimizer: OptimizerState,
    /// The center of the teacher's scores.
    pub center: Center,
    /// That of its patches, for methods that mask.
    pub patch_center: Option<Center>,
}

/// What does not change during a run: the description of the network and of the step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The network of student and teacher.
    pub network: Network,
    /// The objective.
    pub objective: Objective,
    /// The run's configuration.
    pub config: Config,
}

/// A step that was not taken because a number was not finite. The state is as before.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} is {value} at step {step}")]
pub struct NonFinite {
    /// `the loss`, or the tensor whose gradient it is.
    pub what: String,
    /// The number.
    pub value: f64,
    /// The step.
    pub step: u64,
}

impl State {
    /// Discards the statistics of the centers: for a step that is not taken.
    fn discard_statistics(&mut self) {
        self.center.discard_statistic();
        if let Some(center) = &mut self.patch_center {
            center.discard_statistic();
        }
    }
}

impl Step {
    /// The step of a configuration.
    pub fn new(config: Config) -> Self {
        let (vit, head) = plan::shapes(&config);
        let network = Network::new(&vit, &head);
        let objective = Objective::new(&config.objective, head.bottleneck_dim);
        Self { network, objective, config }
    }

    /// The state before the first step: random weights, teacher equal to student.
    pub fn initial_state(&self) -> State {
        self.state_from(init::draw(&self.network, self.config.seed, self.config.model.init_std))
    }

    /// The state before the first step with these weights.
    pub fn state_from(&self, student: Params) -> State {
        let settings = &self.config.objective;
        let Head { prototypes, patch_prototypes, .. } = self.network.head;
        State {
            step: 0,
            teacher: student.clone(),
            optimizer: OptimizerState::new(&student),
            student,
            center: self.objective.initial_center(settings.center_momentum, prototypes.count),
            patch_center: settings.method.masks().then(|| {
                let momentum = settings.patch_center_momentum;
                self.objective.initial_center(momentum, patch_prototypes.count)
            }),
        }
    }

    /// Takes one step with these micro-batches of equal size; `grads` is scratch in the layout of the
    /// weights.
    ///
    /// # Errors
    /// A loss or gradient that is not finite: nothing was changed.
    pub fn take(
        &self,
        state: &mut State,
        grads: &mut Params,
        batches: &[CropBatch<'_>],
        values: &StepValues,
    ) -> Result<StepReport, NonFinite> {
        let mut clock = Clock::start();
        let report = self.gradients(state, grads, batches, values);
        let mut report = report.inspect_err(|_| state.discard_statistics())?;
        clock.lap();
        let grad_norms = optim::grad_norms(grads);
        if let Some(i) = grad_norms.iter().position(|norm| !norm.is_finite()) {
            state.discard_statistics();
            let what = format!("the gradient of `{}`", grads.table().entries()[i].name);
            return Err(NonFinite { what, value: grad_norms[i], step: state.step });
        }
        let State { student, teacher, optimizer, center, patch_center, .. } = state;
        let learns_norms = self.objective.learns_norms;
        let settings = &self.config.optim;
        let update = Update { settings, values, learns_norms, norms: &grad_norms };
        update.apply(student, grads, optimizer);
        report.times.optimizer = clock.lap();
        optim::update_teacher(teacher, student, values.momentum);
        center.update(values.teacher_temp);
        if let Some(center) = patch_center {
            center.update(values.patch_temp);
        }
        report.times.teacher_update = clock.lap();
        state.step += 1;
        let StepReport { metrics, observations, .. } = &mut report;
        observations.measure(metrics);
        let kappa =
            self.objective.kappa(&state.student.view(self.network.head.prototypes.g).on_host());
        metrics.add(Metric::KappaMean, kappa.mean);
        metrics.add(Metric::KappaMax, kappa.max);
        let squares = grad_norms.iter().map(|norm| norm * norm);
        metrics.add(Metric::GradNorm, squares.sum::<f64>().sqrt());
        report.grad_norms = grad_norms;
        Ok(report)
    }

    /// Gradients of the mean loss over all micro-batches, into `grads`; what the forward passes report.
    fn gradients(
        &self,
        state: &mut State,
        grads: &mut Params,
        batches: &[CropBatch<'_>],
        values: &StepValues,
    ) -> Result<StepReport, NonFinite> {
        let State { student, teacher, center, patch_center, step, .. } = state;
        let (student, teacher, step) = (&*student, &*teacher, *step);
        let Self { network, objective, config } = self;
        let setting = Setting { objective, head: &network.head, config };
        let mut losses =
            Losses::of(setting, (student, teacher), (center, patch_center.as_mut()), values);
        let plan = self.drop_plan(step, batches);
        let masks = self.config.objective.method.masks();
        let (seen, predicted) =
            if masks { (Patches::All, Patches::Masked) } else { (Patches::None, Patches::None) };
        grads.clear();
        let mut report = StepReport::default();
        let (scale, mut first) = (1.0 / batches.len() as f64, 0);
        for batch in batches {
            let mut clock = Clock::start();
            let crops = self.crops(batch);
            let whole = [Crops { mask: None, ..crops[0] }];
            let teacher_y = self.network.infer(teacher, &whole, seen);
            report.times.teacher_forward += clock.lap();
            let plan = plan.select(&self.sequences_of(batches, first, batch.images));
            first += batch.images;
            let (student_y, saved) = self.network.forward(student, &crops, predicted, &plan);
            report.times.student_forward += clock.lap();
            let vectors = (&student_y, &teacher_y);
            let dy = losses.forward_backward(vectors, batch, scale, grads, &mut report);
            let Some(dy) = dy else {
                let what = "the loss".to_owned();
                return Err(NonFinite { what, value: report.metrics.value(Metric::Loss), step });
            };
            report.times.objective += clock.lap();
            self.network.backward(student, saved, &dy, grads);
            report.times.backward += clock.lap();
        }
        losses.spread_prototypes(grads, &mut report.metrics);
        Ok(report)
    }

    /// The groups of a batch: global crops, then local ones if there are any.
    fn crops<'a>(&self, batch: &CropBatch<'a>) -> Vec<Crops<'a>> {
        let data = &self.config.data;
        let group = |pixels, crops: usize, size| {
            let count = crops * batch.images;
            let channels = data.channels;
            Crops::new(pixels, Images { count, channels, height: size, width: size })
        };
        let globals = group(batch.globals, GLOBAL_CROPS, data.global_size);
        let mask = (!batch.masks.is_empty()).then_some(batch.masks);
        let mut groups = vec![Crops { mask, ..globals }];
        if data.local_crops > 0 {
            groups.push(group(batch.locals, data.local_crops, data.local_size));
        }
        groups
    }

    /// Drop path for the step's whole batch, so that splitting it changes nothing.
    fn drop_plan(&self, step: u64, batches: &[CropBatch<'_>]) -> DropPlan {
        let images: usize = batches.iter().map(|batch| batch.images).sum();
        let sequences = images * self.config.data.crops();
        let depth = self.network.backbone.shape().depth;
        let key = Key::new(self.config.seed, Purpose::DropPath).time(step);
        DropPlan::draw(self.config.model.drop_path, depth, sequences, key)
    }

    /// The numbers that the sequences of images `first..first + images` have in the whole batch.
    fn sequences_of(&self, batches: &[CropBatch<'_>], first: usize, images: usize) -> Vec<usize> {
        let all: usize = batches.iter().map(|batch| batch.images).sum();
        let crops = 0..self.config.data.crops();
        crops.flat_map(|crop| (first..first + images).map(move |i| crop * all + i)).collect()
    }
}

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the last lap.
    fn lap(&mut self) -> Duration {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap
    }
}
