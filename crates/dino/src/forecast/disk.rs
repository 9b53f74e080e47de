//! [`Disk`]: the space that a run needs, and the space that is free.

use serde::Serialize;

use super::Subject;
use crate::checkpoint::Retention;
use crate::config::{Config, Horizon, to_steps};
use crate::error::{Error, Result};
use crate::memory::{self, Bytes, free_disk};

/// Bytes of a logged step in `metrics.jsonl` and in the TensorBoard file together.
const BYTES_OF_METRICS: f64 = 1200.0;
/// Student, teacher and both moments, as f32.
const BYTES_OF_PARAMETER: f64 = 16.0;

/// Space on disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Disk {
    /// Of one checkpoint.
    pub checkpoint: f64,
    /// Most checkpoints that exist at once: those that are kept, and the one that is being written.
    pub checkpoints: u64,
    /// What the run still writes and keeps at most: checkpoints and metrics.
    pub needed: f64,
    /// Free space, if it is known.
    pub free: Option<f64>,
}

impl Disk {
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let Subject { plan, folder, first_step, .. } = *subject;
        let config = &plan.config;
        let centers = plan.head.prototypes + plan.head.patch_prototypes.unwrap_or(0);
        let checkpoint = BYTES_OF_PARAMETER * memory::parameters(config) + 4.0 * centers as f64;
        let checkpoints = checkpoints(subject);
        // Those that the run has already are on the disk: only the one that is being written is new.
        let new = if first_step == 0 { checkpoints } else { checkpoints.min(1) };
        let steps = plan.horizon().total_steps.saturating_sub(first_step);
        let lines = steps / config.run.log_every_steps.max(1);
        let needed = new as f64 * checkpoint + lines as f64 * BYTES_OF_METRICS;
        Self { checkpoint, checkpoints, needed, free: free_disk(folder) }
    }

    /// Refuses a run that needs more space than is free.
    ///
    /// # Errors
    /// [`Error::TooLittleDisk`].
    pub fn require(subject: &Subject<'_>) -> Result<()> {
        let found = Self::of(subject);
        let Some(free) = found.free.filter(|free| found.needed > *free) else { return Ok(()) };
        let keeps = subject.plan.config.run.keep_every_epochs > 0;
        Err(Error::TooLittleDisk {
            path: subject.folder.to_owned(),
            needs: Bytes(found.needed).to_string(),
            checkpoints: found.checkpoints,
            checkpoint: Bytes(found.checkpoint).to_string(),
            has: Bytes(free).to_string(),
            keeps,
        })
    }
}

/// Most checkpoints that exist at once.
fn checkpoints(subject: &Subject<'_>) -> u64 {
    let Config { run, eval, init, .. } = &subject.plan.config;
    let Horizon { steps_per_epoch, .. } = subject.plan.horizon();
    let epochs = to_steps(run.checkpoint_every_epochs, steps_per_epoch);
    // Each evaluation on the way is of a checkpoint, as is each comparison with the features of the start.
    let evaluations = match subject.evaluation.is_some() || init.is_guarded() {
        true => eval.every_epochs * steps_per_epoch,
        false => 0,
    };
    let by_time = match run.checkpoint_every_minutes {
        0.0 => 0,
        minutes => (subject.seconds_when_slow() / (60.0 * minutes)) as u64,
    };
    let kept = subject.due(run.keep_every_epochs * steps_per_epoch);
    let best = u64::from(eval.keep_best.is_some()) + u64::from(init.is_guarded());
    let saved =
        1 + subject.due_for_any(&[epochs, run.checkpoint_every_steps, evaluations]) + by_time;
    saved.min(Retention::default().last as u64 + 1 + kept + best)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use multicrop::Dataset;

    use super::*;
    use crate::config::Config;
    use crate::plan::{Facts, Plan};

    fn disk(sets: &[&str], first_step: u64) -> Disk {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        let config = Config::resolve(Some("shapes-tiny"), None, &sets, &[]).unwrap();
        let plan = Plan::new(&config, &Facts::of_images(640)).unwrap();
        let dataset: Arc<dyn Dataset> = config.data.open("shapes:train").unwrap();
        let folder = Path::new("no/such/folder");
        let subject =
            Subject { plan: &plan, dataset: &dataset, evaluation: None, folder, first_step };
        Disk::of(&subject)
    }

    #[test]
    fn a_run_needs_the_checkpoints_that_it_keeps_and_the_one_that_it_writes() {
        let epochs = |epochs| format!("optim.epochs={epochs}");
        let of = |sets: &[&str], first| disk(sets, first).checkpoints;
        assert_eq!(of(&[&epochs(1)], 0), 1, "only that at the end");
        assert_eq!(of(&[&epochs(2)], 0), 2);
        assert_eq!(of(&[&epochs(20)], 0), 3);
        assert_eq!(of(&[&epochs(20), "run.keep_every_epochs=5"], 0), 6);
        assert_eq!(of(&[&epochs(20), "run.checkpoint_every_epochs=0"], 0), 1);
        let (long, never) = (epochs(200_000), "run.checkpoint_every_epochs=0");
        assert_eq!(of(&[&long, never], 0), 3, "saved by time");
        assert_eq!(of(&[&long, never, "run.checkpoint_every_minutes=0"], 0), 1);
        let of_start =
            ["run.checkpoint_every_epochs=0", "init.checkpoint=a.pth", "eval.every_epochs=1"];
        let guarded =
            |epochs: &str, more: &[&str]| of(&[&[epochs], &of_start[..], more].concat(), 0);
        assert_eq!(guarded(&epochs(2), &[]), 2, "compared with the start after the first epoch");
        assert_eq!(guarded(&epochs(2), &["init.guard=off"]), 1);
        assert_eq!(guarded(&epochs(20), &[]), 4, "and the best of them");
        assert_eq!(of(&[&epochs(2), "run.checkpoint_every_steps=15"], 0), 3, "10, 15 and 20 steps");
        let (whole, rest) = (disk(&[&epochs(20)], 0), disk(&[&epochs(20)], 100));
        assert!(rest.needed < whole.needed / 2.0, "{rest:?} {whole:?}");
        assert!(whole.free.is_some_and(|free| free > 0.0));
    }
}
