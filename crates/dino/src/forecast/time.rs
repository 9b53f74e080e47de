//! [`RunTime`]: the time of a run, from the measured times of a step and of an image.

use probe::{Evaluated, Evaluation};
use serde::Serialize;

use super::{LoaderSpeed, StepTime, Subject, cores, work};
use crate::config::{Config, During};
use crate::evaluation;

/// What limits the speed of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// The steps.
    Compute,
    /// Reading, decoding and cropping images.
    Loader,
}

/// The time of a run, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunTime {
    /// Of a step, with loading.
    pub step: f64,
    /// Of computing a step alone.
    pub compute: f64,
    /// Of loading a batch alone, with a core for each worker.
    pub load: f64,
    /// Which of the two takes longer.
    pub limit: Limit,
    /// Of all steps that are left.
    pub training: f64,
    /// Evaluations that are left, those of raw pixels and of the untrained network included.
    pub evaluations: u64,
    /// Of these evaluations.
    pub evaluating: f64,
    /// Of the whole run.
    pub total: f64,
}

impl RunTime {
    pub(super) fn of(subject: &Subject<'_>, step: &StepTime, loader: &LoaderSpeed) -> Self {
        let Subject { plan, first_step, .. } = *subject;
        let config = &plan.config;
        let steps = plan.horizon().total_steps.saturating_sub(first_step);
        let load = config.optim.batch_size as f64 / loader.images_per_second.max(1e-9);
        let threads = rayon::current_num_threads();
        let together = Together { threads, workers: loader.workers, cores: cores() };
        let seconds = together.seconds(step.seconds, load);
        let training = steps as f64 * seconds;
        let (evaluations, evaluating) = match subject.evaluation {
            Some(evaluation) if steps > 0 => evaluating(subject, evaluation, step, loader),
            _ => (0, 0.0),
        };
        Self {
            step: seconds,
            compute: step.seconds,
            load,
            limit: if load > step.seconds { Limit::Loader } else { Limit::Compute },
            training,
            evaluations,
            evaluating,
            total: training + evaluating,
        }
    }
}

/// Threads that share the cores.
struct Together {
    threads: usize,
    workers: usize,
    cores: usize,
}

impl Together {
    /// Seconds of a step, where computing alone takes `compute` and loading alone `load`.
    fn seconds(&self, compute: f64, load: f64) -> f64 {
        let Self { threads, workers, cores } = *self;
        let busy = compute * threads.min(cores) as f64 + load * workers as f64;
        compute.max(load).max(busy / cores as f64)
    }
}

/// Number and seconds of the evaluations: each reads its images, computes features and compares them.
fn evaluating(
    subject: &Subject<'_>,
    labelled: &Evaluation,
    step: &StepTime,
    loader: &LoaderSpeed,
) -> (u64, f64) {
    let config = &subject.plan.config;
    let Evaluated { images, side, .. } = labelled.size();
    let flops = step.flops_per_second.max(1.0);
    let threads = rayon::current_num_threads().min(cores()) as f64;
    let read = images as f64 * loader.decode_seconds_per_image / threads;
    let forward = images as f64 * work::of_features(config, side) / flops;
    let compare = labelled.flops_of_probes(&|kind| evaluation::width(config, kind)) / flops;
    let pixels = config.data.channels * side * side;
    let of_network = read + forward + compare;
    let judges_pixels = config.eval.during.contains(&During::Knn);
    let of_pixels =
        if judges_pixels { read + labelled.flops_of_pixels(pixels) / flops } else { 0.0 };
    let trained = trained_evaluations(config, subject);
    (trained + 1 + u64::from(judges_pixels), of_pixels + (trained + 1) as f64 * of_network)
}

/// Evaluations of the trained network that are left: those on the way, and that at the end.
fn trained_evaluations(config: &Config, subject: &Subject<'_>) -> u64 {
    subject.due(config.eval.every_epochs * subject.plan.horizon().steps_per_epoch) + 1
}

#[cfg(test)]
mod tests {
    use super::Together;

    #[test]
    fn training_and_loading_share_the_cores() {
        let own = Together { threads: 1, workers: 1, cores: 2 };
        assert_eq!(own.seconds(3.0, 1.0), 3.0, "a core for each");
        assert_eq!(own.seconds(1.0, 3.0), 3.0);
        let shared = Together { threads: 2, workers: 2, cores: 2 };
        assert_eq!(shared.seconds(3.0, 1.0), 4.0, "both on both cores");
        let many = Together { threads: 64, workers: 2, cores: 2 };
        assert_eq!(many.seconds(3.0, 1.0), 4.0, "a thread without a core does nothing");
    }
}
