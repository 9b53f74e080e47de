//! What can go wrong, in one sentence each, and what to type then ([`Error::hint`]).

mod hint;

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint;
use crate::config;
use crate::monitor::alarm::Alarm;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] Box<config::Error>),
    /// The images that a preset names are not here.
    #[error("preset `{preset}` trains on `{images}`, but there is no such folder or file here")]
    NoImagesOfPreset {
        /// The preset.
        preset: String,
        /// Their source.
        images: String,
    },
    /// Fewer images than one step needs.
    #[error("`{data}` has {images} images, but one step needs {batch_size}")]
    TooFewImages {
        /// The source.
        data: String,
        /// Images in it.
        images: usize,
        /// `optim.batch_size`.
        batch_size: usize,
    },
    /// A run that needs more memory than the machine has free.
    #[error(
        "{what} needs about {needs} of memory{}, but this machine has {has} free",
        parts.as_ref().map(|parts| format!(" ({parts})")).unwrap_or_default()
    )]
    TooLittleMemory {
        /// The network and the batch.
        what: String,
        /// How much is needed, such as `41 GiB`.
        needs: String,
        /// The parts of it, if they are known.
        parts: Option<String>,
        /// How much is free.
        has: String,
        /// Settings that fit, if there are any.
        advice: Option<String>,
    },
    /// A run that needs more space than its disk has free.
    #[error(
        "the run needs about {needs} on the disk of `{}` (checkpoints: {checkpoints} of {checkpoint}; \
         metrics), but {has} are free",
        path.display()
    )]
    TooLittleDisk {
        /// The run folder.
        path: PathBuf,
        /// How much is needed, such as `41 GiB`.
        needs: String,
        /// Checkpoints that exist at once.
        checkpoints: u64,
        /// The size of one.
        checkpoint: String,
        /// How much is free.
        has: String,
        /// Whether `run.keep_every_epochs` keeps more than the newest.
        keeps: bool,
    },
    /// An environment variable with a value that means nothing.
    #[error("`{variable}` is `{value}` in the environment, but must be {expected}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that are possible.
        expected: &'static str,
    },
    /// Features that fit neither into memory nor on the disk.
    #[error(
        "the features of {images} images ({needs}) do not fit into the free memory ({has}), nor into the folder for \
         temporary files, `{}`: {reason}",
        folder.display()
    )]
    TooLittleRoom {
        /// How many.
        images: usize,
        /// How much is needed, such as `41 GiB`.
        needs: String,
        /// How much memory is free.
        has: String,
        /// Where temporary files lie.
        folder: PathBuf,
        /// Why they do not fit there.
        reason: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// A verb, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A run folder that already holds a run.
    #[error("run folder `{}` is used already", path.display())]
    RunUsed {
        /// The folder.
        path: PathBuf,
        /// Whether the run in it has saved something.
        has_checkpoints: bool,
    },
    /// A run folder that holds something that is no run.
    #[error("folder `{}` holds other files and no `config.toml`", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder in which another process is training.
    #[error("run folder `{}` is in use by another process", path.display())]
    RunLocked {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder that belongs to another configuration.
    #[error(
        "run folder `{}` belongs to another configuration: `{key}` is {saved} there and {given} now",
        path.display()
    )]
    OtherConfig {
        /// The folder.
        path: PathBuf,
        /// The first key that differs.
        key: String,
        /// Its value in the folder.
        saved: String,
        /// Its value now.
        given: String,
    },
    /// A checkpoint of another run.
    #[error(
        "checkpoint `{}` was not saved with the settings in `{}`: {what}", checkpoint.display(), config.display()
    )]
    OtherRun {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The `config.toml` of the folder that it lies in.
        config: PathBuf,
        /// The first difference.
        what: String,
    },
    /// A run that would be resumed on other images.
    #[error("run `{}` was trained on other images than those of {data}: {difference}", path.display())]
    OtherImages {
        /// The run folder.
        path: PathBuf,
        /// The source now.
        data: String,
        /// The first difference.
        difference: String,
    },
    /// A run that has saved checkpoints and has none now.
    #[error("run `{}` has no checkpoint, but it had one: `metrics.jsonl` goes up to step {step}", path.display())]
    CheckpointsGone {
        /// The run folder.
        path: PathBuf,
        /// The last step in `metrics.jsonl`.
        step: u64,
    },
    /// No run that `--resume` could go on with.
    #[error(
        "there is nothing to resume: no folder {} holds a run",
        preset.as_ref().map_or("in `runs`".to_owned(), |preset| format!("`runs/{preset}-<n>`"))
    )]
    NoRunToResume {
        /// The preset whose run was asked for.
        preset: Option<String>,
        /// All runs in `runs`, the newest first.
        others: Vec<PathBuf>,
    },
    /// The run folder was moved or removed during the run.
    #[error(
        "run folder `{}` was moved or removed while the run wrote to it; step {step} is saved in a new \
         folder, as `{}`", path.display(), saved.display()
    )]
    FolderGone {
        /// The run folder.
        path: PathBuf,
        /// Steps done.
        step: u64,
        /// The checkpoint of that step.
        saved: PathBuf,
    },
    /// Weights that are not finite.
    #[error("`{name}` has the value {value} after step {step}, so this step is not saved")]
    NotFinite {
        /// The tensor, as a checkpoint names it.
        name: String,
        /// Its first value that is not finite.
        value: f32,
        /// Steps done.
        step: u64,
        /// What to try.
        remedy: String,
    },
    /// A run that ended early, and what is on disk.
    #[error("{error}")]
    Left {
        /// Why.
        error: Box<Error>,
        /// The run folder.
        run: PathBuf,
        /// Steps done.
        step: u64,
        /// The step of the newest checkpoint on disk.
        saved: Option<u64>,
        /// Why the last step could not be saved, if for another reason.
        unsaved: Option<String>,
    },
    /// A run without a mixture of patches.
    #[error("`{}` has no mixture of patches, because {reason}", path.display())]
    NoPatches {
        /// The checkpoint, as given.
        path: PathBuf,
        /// The setting that decides it.
        reason: String,
    },
    /// A network of another program that this one does not compute.
    #[error("`{}` is a {format} with {reasons}, which this program does not compute", path.display())]
    NotComputed {
        /// The checkpoint.
        path: PathBuf,
        /// The format that it has.
        format: String,
        /// What it has that this program lacks.
        reasons: String,
    },
    /// A checkpoint without a projection head.
    #[error("`{}` has no projection head, only a backbone", path.display())]
    NoHead {
        /// The checkpoint, as given.
        path: PathBuf,
    },
    /// A checkpoint without a student.
    #[error("`{}` has no student, only one network", path.display())]
    NoStudent {
        /// The checkpoint, as given.
        path: PathBuf,
    },
    /// A position table cannot be made for this size.
    #[error("images of {side} pixels have no whole number of patches of {patch} pixels")]
    ImageSize {
        /// Side of the images.
        side: usize,
        /// Side of a patch.
        patch: usize,
    },
    /// A training checkpoint was asked for, but there is none.
    #[error("`{}` cannot be written as a training checkpoint of {target}: it has {lacks}", path.display())]
    NoTraining {
        /// The checkpoint.
        path: PathBuf,
        /// The program that it is for.
        target: String,
        /// What it lacks.
        lacks: &'static str,
    },
    /// There is no checkpoint at the path given.
    #[error(
        "{}: expected a run folder, a folder `step-…`, a PyTorch file or safetensors",
        match is_there {
            true => format!("`{}` holds no checkpoint", path.display()),
            false => format!("there is no `{}`", path.display()),
        }
    )]
    NoCheckpoint {
        /// What was given.
        path: PathBuf,
        /// Whether there is such a file or folder.
        is_there: bool,
    },
    /// A run whose best checkpoint is not known.
    #[error(
        "run `{}` has no best checkpoint: `eval.keep_best` names no evaluation, or none was measured at a \
         checkpoint that is left", run.display()
    )]
    NoBest {
        /// The run folder.
        run: PathBuf,
    },
    /// Too many steps in a row with a loss or gradient that is not finite.
    #[error(
        "{reason}, the {count}th step in a row without a finite number; stopped at step {step}"
    )]
    Diverged {
        /// The value of the last one.
        reason: String,
        /// Skipped steps in a row.
        count: u32,
        /// The step at which the run stopped.
        step: u64,
        /// What to try.
        remedy: String,
    },
    /// A run whose last steps were skipped, because a loss or gradient was not finite.
    #[error(
        "the last {count} of {steps} steps were skipped: {reason}; the weights are those after step {good}"
    )]
    EndsNotFinite {
        /// The value of the last one.
        reason: String,
        /// Skipped steps at the end.
        count: u32,
        /// Steps of the run.
        steps: u64,
        /// The last step that was taken.
        good: u64,
        /// The step of the newest checkpoint.
        saved: Option<u64>,
        /// The run folder.
        run: PathBuf,
        /// What to try.
        remedy: String,
    },
    /// An alarm, where `run.on_collapse` is `stop`.
    #[error(
        "{} at step {}: {}; {}; {}; saved as `{}`",
        alarm.kind.name(), alarm.step, alarm.found, alarm.cause, alarm.remedy, path.display()
    )]
    Alarm {
        /// What went wrong.
        alarm: Box<Alarm>,
        /// The checkpoint of that step.
        path: PathBuf,
    },
    /// Features that are worse than those of the start, where `init.guard` is `stop`.
    #[error("features are worse than those that the run started from at step {step}: {reason}; saved as `{}`", path.display())]
    Worse {
        /// Steps done.
        step: u64,
        /// What is worse.
        reason: String,
        /// The checkpoint of that step.
        path: PathBuf,
        /// The step with the best features; 0 is the start.
        best_step: u64,
    },
    /// An evaluation.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The source of images.
    #[error(transparent)]
    Data(#[from] multicrop::error::Error),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// A checkpoint of another program could not be read.
    #[error(transparent)]
    Foreign(#[from] interchange::Error),
}

impl From<report::Error> for Error {
    fn from(error: report::Error) -> Self {
        let report::Error { action, path, source } = error;
        Self::Io { action, path, source }
    }
}

impl Error {
    /// That no checkpoint is at this path, or nothing at all.
    pub fn no_checkpoint(path: &Path) -> Self {
        Self::NoCheckpoint { path: path.to_owned(), is_there: path.exists() }
    }
}

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        Self::Config(Box::new(error)) // boxed, because it is the largest of all
    }
}

/// Adds to an [`io::Error`] what was done to which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
