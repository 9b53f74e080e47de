//! One optimizer step, from crops to moved weights.
//!
//! 1. The teacher sees the global crops. The student sees all crops; for iBOT, some patches of the global
//!    crops are masked.
//! 2. The [terms] of the loss compare the outputs and give their gradients.
//! 3. The student's backward pass adds to the gradients of the parameters. Micro-batches sum theirs.
//! 4. Each parameter's gradient is clipped on its own, and AdamW moves the student.
//! 5. The teacher moves toward the student, and the terms update their state, such as the center.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use engine::ops::patch_embed::Images;
use engine::{Params, Tensor};
use multicrop::recipe::GLOBAL_CROPS;
use report::Metric;
use streams::{Key, Purpose};

use crate::checkpoint::CenterOf;
use crate::config::Config;
use crate::objective::Objective;
use crate::optim::{self, OptimizerState, Update};
use crate::plan;
use crate::schedule::StepValues;
use crate::terms::{self, Gradients, Inputs, OutputGradients, Term, TermReport, Weights};
use vit::{Crops, DropPlan, Network, Outputs, Patches, init};

pub use super::batch::CropBatch;
pub use super::report::{StepReport, Times};
use super::work::{Part, Work};

/// What a watch returns that ends no step.
const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

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
    /// The terms of the loss, with their state.
    pub terms: Vec<Box<dyn Term>>,
}

/// What training needs and never changes: network, objective and settings. [`Training::step`] takes a step.
#[derive(Debug, Clone)]
pub struct Training {
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
    /// A center of the teacher's scores, `[k]`; none if the method has no such center.
    pub fn center(&self, of: CenterOf) -> Option<&Tensor> {
        let mut states = self.terms.iter().flat_map(|term| term.state());
        states.find(|(name, _)| *name == of.name()).map(|(_, values)| values)
    }

    /// Discards what the terms have added to their state, because the step is not taken.
    fn discard_step(&mut self) {
        self.terms.iter_mut().for_each(|term| term.discard_step());
    }
}

impl Training {
    /// The training that a configuration describes.
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
        State {
            step: 0,
            teacher: student.clone(),
            optimizer: OptimizerState::new(&student),
            student,
            terms: terms::of_method(&self.config, &self.network.head, &self.objective),
        }
    }

    /// Takes one step with these micro-batches of equal size; `grads` is scratch in the layout of the
    /// weights.
    ///
    /// # Errors
    /// A loss or gradient that is not finite: nothing was changed.
    pub fn step(
        &self,
        state: &mut State,
        grads: &mut Params,
        batches: &[CropBatch<'_>],
        values: &StepValues,
    ) -> Result<StepReport, NonFinite> {
        let taken = self.step_watched(state, grads, batches, values, &mut |_| GO_ON)?;
        Ok(taken.expect("`GO_ON` ends no step"))
    }

    /// As [`step`](Self::step). `watch` is called after each block of each pass with the share of the step
    /// that is done, in [0, 1]. If it breaks, the step is not taken: `None`, and nothing was changed.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_watched(
        &self,
        state: &mut State,
        grads: &mut Params,
        batches: &[CropBatch<'_>],
        values: &StepValues,
        watch: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Option<StepReport>, NonFinite> {
        let mut clock = Clock::start();
        let work = Work::of(&self.network, &self.config, batches.len(), watch);
        let report = self.gradients(state, grads, batches, values, &work);
        let Some(mut report) = report.inspect_err(|_| state.discard_step())? else {
            state.discard_step();
            return Ok(None);
        };
        clock.lap();
        let grad_norms = optim::grad_norms(grads);
        if let Some(i) = grad_norms.iter().position(|norm| !norm.is_finite()) {
            state.discard_step();
            let what = format!("the gradient of `{}`", grads.table().entries()[i].name);
            return Err(NonFinite { what, value: grad_norms[i], step: state.step });
        }
        let State { student, teacher, optimizer, terms, .. } = state;
        let learns_norms = self.objective.learns_norms;
        let settings = &self.config.optim;
        let update = Update { settings, values, learns_norms, norms: &grad_norms };
        update.apply(student, grads, optimizer);
        report.times.optimizer = clock.lap();
        optim::update_teacher(teacher, student, values.momentum);
        terms.iter_mut().for_each(|term| term.end_step(values));
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
        Ok(Some(report))
    }

    /// Gradients of the mean loss over all micro-batches, into `grads`; what the forward passes report.
    /// `None` if the watch ends the step.
    fn gradients(
        &self,
        state: &mut State,
        grads: &mut Params,
        batches: &[CropBatch<'_>],
        values: &StepValues,
        work: &Work<'_>,
    ) -> Result<Option<StepReport>, NonFinite> {
        let State { student, teacher, terms, step, .. } = state;
        let weights = Weights { student, teacher };
        terms.iter_mut().for_each(|term| term.start_step(weights, values));
        let plan = self.drop_plan(*step, batches);
        grads.clear();
        let mut report = StepReport::default();
        let (share, mut first) = (1.0 / batches.len() as f64, 0);
        for batch in batches {
            let plan = plan.select(&self.sequences_of(batches, first, batch.images));
            first += batch.images;
            let pass = Pass { batch, weights, plan: &plan, share, work };
            match self.add_gradients(&pass, terms, grads, &mut report) {
                Ok(Some(())) => {}
                Ok(None) => return Ok(None),
                Err(terms::NotFinite) => {
                    let value = report.metrics.value(Metric::Loss);
                    return Err(NonFinite { what: "the loss".to_owned(), value, step: *step });
                }
            }
        }
        for term in terms {
            term.of_weights(weights, grads, &mut report.metrics);
        }
        Ok(Some(report))
    }

    /// Forward and backward pass of a micro-batch: adds to `grads` and to the results. `None` if the watch
    /// ends the step.
    fn add_gradients(
        &self,
        pass: &Pass<'_, '_>,
        terms: &mut [Box<dyn Term>],
        grads: &mut Params,
        report: &mut StepReport,
    ) -> Result<Option<()>, terms::NotFinite> {
        let Pass { batch, weights, plan, share, work } = *pass;
        let StepReport { metrics, observations, times, .. } = report;
        let masks = self.config.objective.method.masks();
        let (seen, predicted) =
            if masks { (Patches::All, Patches::Masked) } else { (Patches::None, Patches::None) };
        let mut clock = Clock::start();
        let crops = self.crops(batch);
        let whole = [Crops { mask: None, ..crops[0] }];
        let pulse = || work.add(Part::Teacher);
        let teacher = self.network.infer_with(weights.teacher, &whole, seen, &pulse);
        let Some(teacher) = &teacher else { return Ok(None) };
        times.teacher_forward += clock.lap();
        let (student, pulse) = (weights.student, || work.add(Part::Student));
        let passed = self.network.forward_with(student, &crops, predicted, plan, &pulse);
        let Some((student, saved)) = passed else { return Ok(None) };
        times.student_forward += clock.lap();
        let CropBatch { masks, images, .. } = *batch;
        let inputs = Inputs { weights, student: &student, teacher, masks, images, share };
        let dy = gradients_of_outputs(terms, &inputs, grads, TermReport { metrics, observations })?;
        times.objective += clock.lap();
        let pulse = || work.add(Part::Backward);
        let passed = self.network.backward_with(weights.student, saved, &dy, grads, &pulse);
        times.backward += clock.lap();
        Ok(passed)
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

/// A micro-batch on its way through both networks.
#[derive(Clone, Copy)]
struct Pass<'a, 'w> {
    batch: &'a CropBatch<'a>,
    weights: Weights<'a>,
    plan: &'a DropPlan,
    /// Share of its images in those of the step.
    share: f64,
    work: &'a Work<'w>,
}

/// The gradients of the student's outputs: the sum over all terms. Adds to those of the prototypes.
fn gradients_of_outputs(
    terms: &mut [Box<dyn Term>],
    inputs: &Inputs<'_>,
    grads: &mut Params,
    mut report: TermReport<'_>,
) -> Result<Outputs, terms::NotFinite> {
    let mut outputs = OutputGradients::default();
    for term in terms {
        let mut gradients = Gradients { params: grads, outputs: &mut outputs };
        term.of_outputs(inputs, &mut gradients, &mut report)?;
    }
    Ok(outputs.of(inputs.student))
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
