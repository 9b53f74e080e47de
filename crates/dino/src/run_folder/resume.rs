//! Resumes a run: reads, compares and refuses before anything in its folder changes.

use std::fs;
use std::path::Path;

use multicrop::dataset::Dataset;
use report::MetricsWriter;
use report::jsonl::{cut_back, last_step};

use super::belongs::{self, Compared};
use super::images::Images;
use super::longer::{self, Longer};
use super::made::Made;
use super::{CONFIG, LOCK, Mark, RunFolder, replace};
use crate::checkpoint::{self, Loaded, Newest, Refused};
use crate::config::{Config, Horizon, to_steps};
use crate::error::{Error, Result, io_error};
use crate::plan::{Facts, Plan};

/// The run to resume as.
pub struct Wanted<'a> {
    /// The settings as given.
    pub config: &'a Config,
    /// The settings, resolved for the images.
    pub plan: &'a Plan,
    /// The source of images.
    pub dataset: &'a dyn Dataset,
    /// What these images are.
    pub images: &'a Images,
    /// Go on with other images than those of the checkpoint.
    pub allow_data_change: bool,
}

/// A resumed run.
#[derive(Debug)]
pub struct Resumed {
    /// Its folder.
    pub folder: RunFolder,
    /// The newest whole checkpoint; `None` if the run has none, so that it starts at step 0.
    pub loaded: Option<Loaded>,
    /// The plan of a run that is or was made longer; `None` if it is the one that was wanted.
    pub longer: Option<Longer>,
    /// How the images differ from those of the checkpoint, if that was allowed.
    pub data_change: Option<String>,
    /// What somebody should read.
    pub warnings: Vec<String>,
}

impl RunFolder {
    /// Resumes the run in `path`, or starts it there if the folder is missing or empty, so
    /// that a requeued job can use one command line. Cuts `metrics.jsonl` back to the checkpoint, and
    /// renames damaged checkpoints to `refused-step-…`.
    ///
    /// # Errors
    /// If the folder belongs to another configuration or other images, is in use, has only damaged
    /// checkpoints or has lost them, or cannot be written. Nothing in the folder has changed then.
    pub fn resume(path: &Path, wanted: &Wanted<'_>) -> Result<Resumed> {
        let config_path = path.join(CONFIG);
        if !config_path.try_exists().map_err(io_error("read", &config_path))? {
            let folder = Self::create(Some(path), "", &wanted.plan.config)?;
            let warnings = Vec::new();
            return Ok(Resumed { folder, loaded: None, longer: None, data_change: None, warnings });
        }
        let mut made = Made::default();
        made.file_unless_there(&path.join(LOCK));
        let folder = Self::lock(path.to_owned())?;
        Self::resume_locked(folder, wanted).inspect_err(|_| made.remove())
    }

    fn resume_locked(folder: Self, wanted: &Wanted<'_>) -> Result<Resumed> {
        let (path, config_path) = (folder.path.as_path(), folder.config_path());
        let saved = Config::load(&config_path)?;
        let mut warnings = unknown_keys(&saved);
        checkpoint::clean(path)?;
        let Newest { loaded, refused } = checkpoint::load_newest_valid(path)?;
        let mut data_change = None;
        if let Some(loaded) = &loaded {
            warnings.extend(belongs::check_settings(loaded, &config_path, &saved)?);
            data_change = folder.check_images(loaded, &saved, wanted, &mut warnings)?;
        } else {
            warnings.extend(folder.start_over(wanted)?);
            folder.check_source(&saved, wanted)?;
        }
        let longer = Longer::of(&saved, loaded.as_ref(), wanted)?;
        let plan = longer.as_ref().map_or(wanted.plan, |longer| &longer.plan);
        folder.check_config(&saved, plan, wanted)?;
        warnings.splice(0..0, refused.iter().map(not_used));
        folder.go_on(&saved, loaded.as_ref(), &refused, plan)?;
        Ok(Resumed { folder, loaded, longer, data_change, warnings })
    }

    /// Refuses other images than those of the checkpoint, or returns how they differ.
    fn check_images(
        &self,
        loaded: &Loaded,
        saved: &Config,
        wanted: &Wanted<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<String>> {
        let difference = match belongs::check_images(&loaded.state, wanted.images, wanted.dataset) {
            Compared::Equal => return Ok(None),
            Compared::Differ(difference) => difference,
            Compared::Unknown => {
                self.check_source(saved, wanted)?;
                warnings.push(format!(
                    "checkpoint `{}` does not say which images it was trained on, so they are not \
                     compared with those of `{}`",
                    loaded.path.display(),
                    wanted.plan.config.data.source
                ));
                return Ok(None);
            }
        };
        if wanted.allow_data_change {
            return Ok(Some(difference));
        }
        let data = wanted.dataset.describe();
        Err(Error::OtherImages { path: self.path.clone(), data, difference })
    }

    /// Refuses another `data.source` where images cannot be compared.
    fn check_source(&self, saved: &Config, wanted: &Wanted<'_>) -> Result<()> {
        let (ours, theirs) = (&saved.data.source, &wanted.plan.config.data.source);
        if ours == theirs || wanted.allow_data_change {
            return Ok(());
        }
        Err(Error::OtherConfig {
            path: self.path.clone(),
            key: "data.source".to_owned(),
            saved: format!("{ours:?}"),
            given: format!("{theirs:?}"),
        })
    }

    fn check_config(&self, saved: &Config, plan: &Plan, wanted: &Wanted<'_>) -> Result<()> {
        // The given settings were resolved for the images of now; so are the saved ones.
        let saved = Plan::new(saved, &Facts::of_images(wanted.dataset.len()))?.config;
        saved.same_run_so_far(&plan.config).map_err(|difference| Error::OtherConfig {
            path: self.path.clone(),
            key: difference.key,
            saved: difference.ours,
            given: difference.theirs,
        })
    }

    /// Whether a run without a checkpoint may start at step 1 again: if it never had one.
    fn start_over(&self, wanted: &Wanted<'_>) -> Result<Option<String>> {
        let shown = last_step(&self.path.join(MetricsWriter::FILE))?;
        let had_one = match self.mark() {
            Mark::HasCheckpoint => true,
            Mark::NoCheckpoint => false,
            Mark::Unknown => shown > first_due(wanted),
        };
        if had_one {
            return Err(Error::CheckpointsGone { path: self.path.clone(), step: shown });
        }
        let path = self.path.display();
        Ok((shown > 0).then(|| {
            format!(
                "run `{path}` ended after step {shown} and before its first checkpoint, so it starts \
                 again at step 1"
            )
        }))
    }

    /// Changes the folder; the run is resumed from here on.
    fn go_on(
        &self,
        saved: &Config,
        loaded: Option<&Loaded>,
        refused: &[Refused],
        plan: &Plan,
    ) -> Result<()> {
        for refused in refused {
            set_aside(&refused.path)?;
        }
        let step = loaded.map_or(0, |loaded| loaded.state.step);
        cut_back(&self.path.join(MetricsWriter::FILE), step)?;
        let config = &plan.config;
        let moved = saved.data.source != config.data.source;
        // The fingerprint of an older version covers the sources too, so its `config.toml` must stay.
        let signed = loaded.is_none_or(|loaded| !loaded.state.extra.is_empty());
        let changed = moved || saved.eval != config.eval || saved.same_run(config).is_err();
        if config.optim.extended.len() > saved.optim.extended.len() {
            longer::keep(&self.config_path(), step)?;
        }
        if signed && changed {
            let mut config = config.located();
            let working_dir = config.run.working_dir.take();
            config.run = saved.run.clone();
            config.run.working_dir = working_dir;
            replace(&self.config_path(), config.to_toml().as_bytes())?;
        }
        Ok(())
    }
}

/// A warning for the keys of a run's `config.toml` that this version does not know.
pub(crate) fn unknown_keys(config: &Config) -> Vec<String> {
    let keys = config.unknown_keys().iter();
    keys.map(|key| format!("{key} is left out, because this version has no such key")).collect()
}

/// A warning for a checkpoint that is replaced by an older one.
pub(crate) fn not_used(refused: &Refused) -> String {
    format!("checkpoint `{}` is not used: {}", refused.path.display(), refused.reason)
}

/// The first step after which a run saves a checkpoint, unless it is stopped before.
fn first_due(wanted: &Wanted<'_>) -> u64 {
    let Horizon { total_steps, steps_per_epoch } = wanted.plan.horizon();
    let run = &wanted.plan.config.run;
    let epochs = to_steps(run.checkpoint_every_epochs, steps_per_epoch);
    let due = [run.checkpoint_every_steps, epochs, total_steps].into_iter();
    due.filter(|step| *step > 0).min().unwrap_or(total_steps)
}

/// Renames a damaged checkpoint, so that it neither counts nor blocks a new one.
fn set_aside(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("refused-{name}"));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(io_error("remove", &aside))?;
    }
    fs::rename(path, aside).map_err(io_error("rename", path))
}
