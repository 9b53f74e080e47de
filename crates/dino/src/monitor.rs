//! Watches a run: names what goes wrong, while it goes wrong.
//!
//! | alarm | condition | for |
//! | --- | --- | --- |
//! | `feature-collapse` | agreement of an image's crops below 0.03, or spread below 0.01 (`monitor/features.rs`) | 20 steps |
//! | `uniform-collapse` | entropy and cross-entropy of \[CLS\] within 1 % of ln K, after the plateau | 50 steps |
//! | `one-hot-collapse` | fewer than 1.5 prototypes assigned (e^entropy), teacher's entropy below 0.1 ln K | 50 steps |
//! | `partial-collapse` | less than half of the prototypes unique at a cosine of 0.975 | 2 diagnoses |
//! | `aliased-teacher` | momentum below 0.5, or teacher closer to the student than 1e-6 of its norm | 20 steps |
//! | `exploding-norms` | largest κ above 10 times its start, 1 / τₛ | 1 step |
//! | `exploding-gradients` | norm above 10 and above 100 times its running median | 10 steps |
//! | `exploding-weights` | norm of all weights above 10 times its start | 2 diagnoses |
//!
//! Conditions on collapses look at running means over about 20 steps, that on the agreement over 100;
//! none is judged before step 40 of a process. The reasons for the numbers stand beside the constants.
//! An alarm is reported when it starts and when it ends, and it ends when its condition has not held
//! for as long as it takes to start it. All but `partial-collapse` end a run that shall stop on them
//! ([`Kind::ends_run`]).
//!
//! A pure function of what it was fed: it reads no clock and writes nothing. It is not part of a
//! checkpoint: a run that goes on is watched anew, and what still is wrong is named again.

mod alarm;
pub mod diagnostics;
pub(crate) mod features;
mod history;

use crate::config::Config;
use crate::schedule::Schedules;

pub use alarm::{Alarm, Kind};
pub use diagnostics::Diagnostics;

use history::{Mean, Median, Switch};

/// Steps that a running mean is over.
const WINDOW: u64 = 20;
/// The same for the agreement, which scatters: by 0.1 from batch to batch of 64 images, by 0.3 of 8.
const AGREEMENT_WINDOW: u64 = 100;
/// Steps of a process before running means are judged: as soon as they mean something.
const START: u64 = 40;

/// Agreement of the crops of an image below which the image does not matter. A healthy run has more
/// than 0.1 from the first step on, because a random network sees colors and shapes too, and 0.9
/// later. Where the image does not matter, only scatter around 0 remains
/// (docs/log/2026-11-26-health-signals.md).
const AGREEMENT: f64 = 0.03;
/// Spread of unit vectors below which the network is dead. Random networks have 0.7, healthy runs
/// more than 0.15 even where they rest at ln K.
const SPREAD: f64 = 0.01;
const FEATURE_PATIENCE: u32 = 20;

/// Part of ln K by which entropy and cross-entropy may miss it. On the plateau of a healthy run the
/// entropy is 0.96 ln K.
const UNIFORM: f64 = 0.01;
/// Steps after the learning rate's warm-up in which a run may rest at ln K: healthy runs leave that
/// plateau after some hundred steps. A short run has half of its steps.
const PLATEAU: u64 = 500;
const ASSIGNMENT_PATIENCE: u32 = 50;

/// Prototypes in use, as e^entropy of the assignments: all but a few rows have the same one.
const ONE_HOT: f64 = 1.5;
/// Part of ln K: a teacher that prefers one prototype by a hair is not one-hot, but uniform.
const SHARP: f64 = 0.1;

/// Part of the prototypes that must be unique. By the paper's definition any copy is a partial
/// collapse; from half of them on, most of the objective's work is wasted.
const UNIQUE: f64 = 0.5;
/// Relative distance of teacher and student: some units of rounding of f32. Healthy runs have 1e-2.
const ALIASED: f64 = 1e-6;
/// Momentum below which the teacher is less than a step behind: a student that moves by Δ in each step
/// is m / (1 − m) Δ ahead.
const MOMENTUM: f64 = 0.5;
const ALIASED_PATIENCE: u32 = 20;
/// Growth of the largest κ: in healthy runs it is a few percent in thousands of steps.
const KAPPA_GROWTH: f64 = 10.0;
/// Growth of the norm of all weights: in healthy runs it is a few percent in thousands of steps.
const WEIGHT_GROWTH: f64 = 10.0;
/// A norm of gradients above this multiple of its median, and above the second number, is more than a
/// hard batch.
const GRADIENT_GROWTH: (f64, f64) = (100.0, 10.0);
const GRADIENT_PATIENCE: u32 = 10;
const DIAGNOSES: u32 = 2;

/// What one step tells the monitor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Steps done.
    pub step: u64,
    /// Mean entropy of the teacher's assignments of \[CLS\], nats.
    pub teacher_entropy: f64,
    /// Mean divergence of the student's from them, nats.
    pub kl: f64,
    /// Entropy of the histogram of preferred prototypes, nats.
    pub assignment_entropy: f64,
    /// Spread of the teacher's vectors.
    pub feature_std: f64,
    /// Agreement of the crops of an image, if it can be told.
    pub image_agreement: Option<f64>,
    /// Largest concentration.
    pub kappa_max: f64,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: f64,
    /// The teacher's momentum.
    pub momentum: f64,
}

/// What stays the same during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// ln K, nats.
    pub log_prototypes: f64,
    /// Steps until which a run may rest at ln K.
    pub plateau_until: u64,
    /// κ of all prototypes at the start.
    pub kappa: f64,
    /// Norm of all weights at the start.
    pub weight_norm: f64,
}

impl Limits {
    /// Those of a run whose weights start with this norm.
    pub fn new(config: &Config, schedules: &Schedules, weight_norm: f64) -> Self {
        let plateau = PLATEAU.min(schedules.horizon.total_steps / 2);
        Self {
            log_prototypes: (config.model.prototypes as f64).ln(),
            plateau_until: schedules.lr.warmup_steps + plateau,
            kappa: 1.0 / config.objective.student_temp,
            weight_norm,
        }
    }
}

/// Watches a run.
#[derive(Debug, Clone)]
pub struct Monitor {
    limits: Limits,
    seen: u64,
    teacher_distance: Option<f64>, // at the last diagnosis
    teacher_entropy: Mean,
    kl: Mean,
    assignment_entropy: Mean,
    feature_std: Mean,
    image_agreement: Mean,
    gradients: Median,
    switches: [Switch; Kind::ALL.len()],
}

impl Monitor {
    /// Before the first step.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            seen: 0,
            teacher_distance: None,
            teacher_entropy: Mean::over(WINDOW),
            kl: Mean::over(WINDOW),
            assignment_entropy: Mean::over(WINDOW),
            feature_std: Mean::over(WINDOW),
            image_agreement: Mean::over(AGREEMENT_WINDOW),
            gradients: Median::default(),
            switches: Default::default(),
        }
    }

    /// The alarms that are on.
    pub fn active(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.switches[*kind as usize].is_on()).collect()
    }

    /// Takes in a step; the alarms that start or end with it.
    pub fn step(&mut self, reading: &Reading) -> Vec<Alarm> {
        self.seen += 1;
        self.teacher_entropy.add(reading.teacher_entropy);
        self.kl.add(reading.kl);
        self.assignment_entropy.add(reading.assignment_entropy);
        self.feature_std.add(reading.feature_std);
        self.image_agreement.add(reading.image_agreement.unwrap_or(1.0));
        let mut alarms = Vec::new();
        if self.seen >= START {
            alarms.extend(self.judge_features(reading.step));
            alarms.extend(self.judge_uniform(reading.step));
            alarms.extend(self.judge_one_hot(reading.step));
        }
        alarms.extend(self.judge_teacher(reading));
        alarms.extend(self.judge_kappa(reading));
        alarms.extend(self.judge_gradient(reading));
        alarms
    }

    /// Takes in a diagnosis; the alarms that start or end with it.
    pub fn diagnose(&mut self, found: &Diagnostics) -> Vec<Alarm> {
        self.teacher_distance = Some(found.teacher_distance);
        let mut alarms = Vec::new();
        let (step, all) = (found.step, found.prototypes_compared);
        let unique = found.unique.at_0_975;
        let text = || format!("{unique} of {all} prototypes differ by a cosine distance of 0.025");
        let holds = (unique as f64) < UNIQUE * all as f64;
        alarms.extend(self.judge(step, Kind::Partial, DIAGNOSES, holds, text));

        let (norm, start) = (found.weight_norm, self.limits.weight_norm);
        let text = || format!("the weights' norm is {norm:.3}, {start:.3} at the start");
        let holds = norm > WEIGHT_GROWTH * start;
        alarms.extend(self.judge(step, Kind::Weights, DIAGNOSES, holds, text));
        alarms
    }

    fn judge_features(&mut self, step: u64) -> Option<Alarm> {
        let (std, agreement) = (self.feature_std.get(), self.image_agreement.get());
        let found = || {
            format!(
                "the teacher's vectors have a spread of {std:.1e}, and crops of one image agree by \
             {agreement:.3} more than others"
            )
        };
        let holds = agreement < AGREEMENT || std < SPREAD;
        self.judge(step, Kind::Feature, FEATURE_PATIENCE, holds, found)
    }

    fn judge_uniform(&mut self, step: u64) -> Option<Alarm> {
        let (log_k, entropy) = (self.limits.log_prototypes, self.teacher_entropy.get());
        let loss = entropy + self.kl.get();
        let found = || {
            format!(
                "the teacher's entropy is {entropy:.3} and the loss {loss:.3}, of ln K = {log_k:.3} nats"
            )
        };
        let near = |nats: f64| (nats - log_k).abs() <= UNIFORM * log_k;
        let holds = near(entropy) && near(loss) && step > self.limits.plateau_until;
        self.judge(step, Kind::Uniform, ASSIGNMENT_PATIENCE, holds, found)
    }

    fn judge_one_hot(&mut self, step: u64) -> Option<Alarm> {
        let (entropy, in_use) = (self.teacher_entropy.get(), self.assignment_entropy.get().exp());
        let found = || {
            format!(
                "{in_use:.2} prototypes are in use, and the teacher's entropy is {entropy:.3} nats"
            )
        };
        let holds = in_use < ONE_HOT && entropy < SHARP * self.limits.log_prototypes;
        self.judge(step, Kind::OneHot, ASSIGNMENT_PATIENCE, holds, found)
    }

    fn judge_teacher(&mut self, reading: &Reading) -> Option<Alarm> {
        let (momentum, distance) = (reading.momentum, self.teacher_distance);
        let found = || match distance {
            Some(distance) => format!(
                "the teacher's momentum is {momentum:.3}, and it is {distance:.1e} of the weights' norm \
                 from the student"
            ),
            None => format!("the teacher's momentum is {momentum:.3}"),
        };
        let equal = distance.is_some_and(|distance| distance <= ALIASED) && self.seen >= START;
        let holds = momentum < MOMENTUM || equal;
        self.judge(reading.step, Kind::Aliased, ALIASED_PATIENCE, holds, found)
    }

    fn judge_kappa(&mut self, reading: &Reading) -> Option<Alarm> {
        let (kappa, start) = (reading.kappa_max, self.limits.kappa);
        let found = || format!("the largest κ is {kappa:.1}, {start:.1} at the start");
        self.judge(reading.step, Kind::Norms, 1, kappa > KAPPA_GROWTH * start, found)
    }

    fn judge_gradient(&mut self, reading: &Reading) -> Option<Alarm> {
        let norm = reading.grad_norm;
        let median = self.gradients.get();
        let (growth, least) = GRADIENT_GROWTH;
        let holds = median.is_some_and(|median| norm > growth * median) && norm > least;
        if !holds {
            // What is far above the median does not become it.
            self.gradients.add(norm);
        }
        let median = median.unwrap_or(norm);
        let found =
            || format!("the gradient's norm is {norm:.3}, {median:.3} in the median before");
        self.judge(reading.step, Kind::Gradients, GRADIENT_PATIENCE, holds, found)
    }

    fn judge(
        &mut self,
        step: u64,
        kind: Kind,
        patience: u32,
        holds: bool,
        found: impl FnOnce() -> String,
    ) -> Option<Alarm> {
        let switch = &mut self.switches[kind as usize];
        let changes = switch.note(holds, patience);
        changes.then(|| Alarm::new(step, kind, holds, found()))
    }
}

#[cfg(test)]
mod tests;
