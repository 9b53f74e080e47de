//! A [`Monitor`] reads the metrics of each step and raises an alarm while training goes wrong.
//!
//! | alarm | condition | for |
//! | --- | --- | --- |
//! | `feature-collapse` | agreement of an image's crops below 0.03, or spread below 0.01 (`monitor/feature_spread.rs`) | 20 steps |
//! | `uniform-collapse` | entropy and cross-entropy of \[CLS\] within 1 % of ln K, after the plateau | 50 steps |
//! | `one-hot-collapse` | fewer than 1.5 prototypes assigned (e^entropy), teacher's entropy below 0.1 ln K | 50 steps |
//! | `partial-collapse` | less than half of the prototypes unique at a cosine of 0.975 | 2 diagnoses |
//! | `aliased-teacher` | momentum below 0.5, or teacher closer to the student than 1e-6 of its norm | 20 steps |
//! | `exploding-norms` | largest κ above 10 times its start, 1 / τₛ | 1 step |
//! | `exploding-gradients` | norm above 10 and above 100 times its running median | 10 steps |
//! | `exploding-weights` | norm of all weights above 10 times its start | 2 diagnoses |
//!
//! Collapses are judged by running means over about 20 steps, the agreement by one over 100 steps, and none
//! before step 40 of a process. The constants below give the reason for each threshold. An alarm is raised
//! when its condition has held for the time in the table, and cleared when it has not held for as long.
//! With `run.on_collapse = "stop"`, every alarm but `partial-collapse` ends the run ([`Kind::ends_run`]).
//!
//! The monitor is a pure function of its input: it reads no clock and writes nothing. It is not part of a
//! checkpoint, so a resumed run raises an alarm again if its condition still holds.
//!
//! | module | |
//! | --- | --- |
//! | `alarm` | names, causes and remedies of the alarms |
//! | `observations`, `feature_spread` | what a step keeps for measures of the whole batch |
//! | `diagnostics` | expensive measures, made every `run.diagnose_every_steps` |
//! | `history` | running means, medians and switches |

pub mod alarm;
pub mod diagnostics;
mod feature_spread;
mod history;
pub mod observations;
pub mod remedy;

use crate::config::Config;
use crate::schedule::Schedules;

pub use alarm::{Alarm, Kind};
pub use diagnostics::Diagnostics;

use history::{Mean, Median, Switch};
use report::{Metric, Metrics};

/// Steps in a running mean.
const WINDOW: u64 = 20;
/// Steps in the running mean of the agreement, which is noisy: it varies by 0.1 between batches of 64 images,
/// by 0.3 between batches of 8.
const AGREEMENT_WINDOW: u64 = 100;
/// Steps of a process before running means are judged. Earlier they hold too few values.
const START: u64 = 40;

/// Agreement of an image's crops below which the features do not depend on the image. Healthy runs have more
/// than 0.1 from the first step on, because even a random network responds to colors and shapes, and 0.9
/// later (docs/log/2026-11-26-health-signals.md). Features that do not depend on the image have 0, plus
/// noise.
const AGREEMENT: f64 = 0.03;
/// Spread of unit vectors below which the network is dead. Random networks have 0.7. Healthy runs have more
/// than 0.15, even on the plateau at ln K.
const SPREAD: f64 = 0.01;
const FEATURE_PATIENCE: u32 = 20;

/// Relative distance from ln K below which entropy and cross-entropy count as uniform. On the plateau of a
/// healthy run the entropy is 0.96 ln K.
const UNIFORM: f64 = 0.01;
/// Steps after the learning rate's warm-up in which a run may stay at ln K: healthy runs leave this plateau
/// after some hundred steps. At most half of the run's steps.
const PLATEAU: u64 = 500;
const ASSIGNMENT_PATIENCE: u32 = 50;

/// Prototypes in use, e^entropy of the assignments. Below this, all but a few crops have the same one.
const ONE_HOT: f64 = 1.5;
/// Share of ln K. A teacher with a higher entropy that slightly prefers one prototype is uniform, not one-hot.
const SHARP: f64 = 0.1;

/// Share of the prototypes that must be unique. By the paper's definition a single near-duplicate is already
/// a partial collapse. If half are near-duplicates, half of the objective's work is wasted.
const UNIQUE: f64 = 0.5;
/// Relative distance of teacher and student that f32 rounding alone explains. Healthy runs have 1e-2.
const ALIASED: f64 = 1e-6;
/// Momentum below which the teacher is less than one step behind: a student that moves by Δ in each step is
/// m / (1 − m) Δ ahead.
const MOMENTUM: f64 = 0.5;
const ALIASED_PATIENCE: u32 = 20;
/// Growth of the largest κ. In healthy runs it is a few percent in thousands of steps.
const KAPPA_GROWTH: f64 = 10.0;
/// Growth of the norm of all weights. In healthy runs it is a few percent in thousands of steps.
const WEIGHT_GROWTH: f64 = 10.0;
/// A gradient norm above this multiple of its median and above the second value is more than a hard batch.
const GRADIENT_GROWTH: (f64, f64) = (100.0, 10.0);
const GRADIENT_PATIENCE: u32 = 10;
const DIAGNOSES: u32 = 2;

/// The values of a run with which its metrics are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// ln K, nats.
    pub log_prototypes: f64,
    /// Steps until which a run may stay at ln K.
    pub plateau_until: u64,
    /// κ of all prototypes at the start.
    pub kappa: f64,
    /// Norm of all weights at the start.
    pub weight_norm: f64,
}

impl Limits {
    /// The limits of a run whose initial weights have this norm.
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

/// Running means and switches over the steps of a process.
#[derive(Debug, Clone)]
pub struct Monitor {
    limits: Limits,
    remedies: [String; Kind::ALL.len()],
    steps: u64,                    // of this process
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
    /// Before the first step. `remedies` say what to try against each kind ([`remedy::all`]).
    pub fn new(limits: Limits, remedies: [String; Kind::ALL.len()]) -> Self {
        Self {
            limits,
            remedies,
            steps: 0,
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

    /// The alarms that are raised.
    pub fn active(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.switches[*kind as usize].is_on()).collect()
    }

    /// Reads the metrics of a step, `step` steps into the run. Returns the alarms that are raised or cleared.
    /// A metric without a value raises no alarm.
    pub fn step(&mut self, step: u64, metrics: &Metrics) -> Vec<Alarm> {
        self.steps += 1;
        self.teacher_entropy.add(metrics.get(Metric::TeacherEntropy));
        self.kl.add(metrics.get(Metric::Kl));
        self.assignment_entropy.add(metrics.get(Metric::AssignmentEntropy));
        self.feature_std.add(metrics.get(Metric::FeatureStd));
        self.image_agreement.add(metrics.get(Metric::ImageAgreement).or(Some(1.0)));
        let mut alarms = Vec::new();
        if self.steps >= START {
            alarms.extend(self.judge_features(step));
            alarms.extend(self.judge_uniform(step));
            alarms.extend(self.judge_one_hot(step));
        }
        alarms.extend(self.judge_teacher(step, metrics.value(Metric::Momentum)));
        alarms.extend(self.judge_kappa(step, metrics.value(Metric::KappaMax)));
        alarms.extend(self.judge_gradient(step, metrics.value(Metric::GradNorm)));
        alarms
    }

    /// Reads a diagnosis. Returns the alarms that are raised or cleared.
    pub fn diagnose(&mut self, found: &Diagnostics) -> Vec<Alarm> {
        self.teacher_distance = Some(found.teacher_distance);
        let mut alarms = Vec::new();
        let (step, all) = (found.step, found.prototypes_compared);
        let unique = found.unique.at_0_975;
        let text =
            || format!("{unique} of {all} prototypes are unique at a cosine distance of 0.025");
        let holds = (unique as f64) < UNIQUE * all as f64;
        alarms.extend(self.judge(step, Kind::Partial, DIAGNOSES, holds, text));

        let (norm, start) = (found.weight_norm, self.limits.weight_norm);
        let text =
            || format!("the norm of the weights is {norm:.3}, and was {start:.3} at the start");
        let holds = norm > WEIGHT_GROWTH * start;
        alarms.extend(self.judge(step, Kind::Weights, DIAGNOSES, holds, text));
        alarms
    }

    fn judge_features(&mut self, step: u64) -> Option<Alarm> {
        let (std, agreement) = (self.feature_std.get(), self.image_agreement.get());
        let found = || {
            format!(
                "the agreement of crops of one image is {agreement:.3} (collapsed below {AGREEMENT}), \
                 and the spread of the teacher's vectors is {std:.1e} (collapsed below {SPREAD})"
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
                "the teacher's entropy is {entropy:.3} nats and the cross-entropy {loss:.3} nats; ln K = \
                 {log_k:.3} nats is uniform"
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
                "{in_use:.2} prototypes are in use (e^entropy of the assignments), and the teacher's \
                 entropy is {entropy:.3} nats"
            )
        };
        let holds = in_use < ONE_HOT && entropy < SHARP * self.limits.log_prototypes;
        self.judge(step, Kind::OneHot, ASSIGNMENT_PATIENCE, holds, found)
    }

    fn judge_teacher(&mut self, step: u64, momentum: f64) -> Option<Alarm> {
        let distance = self.teacher_distance;
        let found = || match distance {
            Some(distance) => format!(
                "the teacher's momentum is {momentum:.3}, and its distance from the student is \
                 {distance:.1e} of the norm of the weights"
            ),
            None => format!("the teacher's momentum is {momentum:.3}"),
        };
        let equal = distance.is_some_and(|distance| distance <= ALIASED) && self.steps >= START;
        let holds = momentum < MOMENTUM || equal;
        self.judge(step, Kind::Aliased, ALIASED_PATIENCE, holds, found)
    }

    fn judge_kappa(&mut self, step: u64, kappa: f64) -> Option<Alarm> {
        let start = self.limits.kappa;
        let found = || format!("the largest κ is {kappa:.1}, and was {start:.1} at the start");
        self.judge(step, Kind::Norms, 1, kappa > KAPPA_GROWTH * start, found)
    }

    fn judge_gradient(&mut self, step: u64, norm: f64) -> Option<Alarm> {
        let median = self.gradients.get();
        let (growth, least) = GRADIENT_GROWTH;
        let holds = median.is_some_and(|median| norm > growth * median) && norm > least;
        if !holds {
            // Outliers are left out, so that a long explosion does not become the median.
            self.gradients.add(norm);
        }
        let median = median.unwrap_or(norm);
        let found =
            || format!("the norm of the gradient is {norm:.3}, and its median was {median:.3}");
        self.judge(step, Kind::Gradients, GRADIENT_PATIENCE, holds, found)
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
        let changes = switch.update(holds, patience);
        let remedy = &self.remedies[kind as usize];
        changes.then(|| Alarm {
            step,
            kind,
            raised: holds,
            found: found(),
            cause: kind.cause(),
            remedy: remedy.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
