//! A run that is resumed with more epochs or steps than before becomes [`Longer`].
//!
//! `optim.extended` in its `config.toml` records at which step that was and how long the run was before.
//! Its schedules follow from that list ([`Extension`](crate::schedule::Extension)), so it may be stopped and
//! resumed like any other.

use std::fs;
use std::path::Path;

use super::resume::Wanted;
use crate::checkpoint::Loaded;
use crate::config::Config;
use crate::error::{Result, io_error};
use crate::plan::{Facts, Plan};

/// The plan of a run that is or was made longer.
#[derive(Debug)]
pub struct Longer {
    /// The plan, with joined schedules.
    pub plan: Plan,
    /// Whether it becomes longer now; otherwise it did earlier.
    pub is_new: bool,
}

impl Longer {
    /// `None` if the run has always had one length and keeps it.
    ///
    /// The other settings are those of the run's first length: warm-ups that were shortened for it stay so.
    pub(super) fn of(
        saved: &Config,
        loaded: Option<&Loaded>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Self>> {
        let images = wanted.dataset.len();
        let steps = |config: &Config| config.optim.horizon(images).map_or(0, |h| h.total_steps);
        let (before, after) = (steps(saved), wanted.plan.horizon().total_steps);
        let is_asked =
            ["optim.epochs", "optim.steps"].iter().any(|key| wanted.config.origin(key).by_hand());
        // The checkpoints of older versions do not say which settings they belong to.
        let done = loaded.filter(|loaded| !loaded.state.extra.is_empty());
        let now = done.filter(|_| is_asked && after > before);
        if now.is_none() && (saved.optim.extended.is_empty() || (is_asked && after != before)) {
            return Ok(None);
        }
        let mut config = wanted.config.clone();
        match saved.optim.extended.first() {
            Some(&[_, first]) => config.optim.set_length(None, Some(first)),
            None => config.optim.set_length(saved.optim.epochs, saved.optim.steps),
        }
        let facts = Facts::of_images(images);
        let evaluated = wanted.plan.config.eval.clone();
        config = Plan::new(&config, &facts)?.config;
        let length = if now.is_some() { &wanted.plan.config } else { saved };
        config.optim.set_length(length.optim.epochs, length.optim.steps);
        config.optim.extended.clone_from(&saved.optim.extended);
        config.optim.extended.extend(now.map(|loaded| [loaded.state.step, before]));
        let mut plan = Plan::new(&config, &facts)?;
        plan.config.eval = evaluated;
        Ok(Some(Self { plan, is_new: now.is_some() }))
    }
}

/// Keeps the `config.toml` of the run as it was until `step`.
pub(super) fn keep(config: &Path, step: u64) -> Result<()> {
    let copy = config.with_file_name(format!("config-until-step-{step:08}.toml"));
    fs::copy(config, &copy).map(drop).map_err(io_error("write", &copy))
}
