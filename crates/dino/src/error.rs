//! What can go wrong, in one sentence each, and what to type then.

mod hint;

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint;
use crate::config::Origin;
use crate::monitor::alarm::Alarm;

/// The result of whatever can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key that no section has.
    #[error("unknown key `{key}`{origin}")]
    UnknownKey {
        /// The key with its section, as written.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The known key most like it, if one is close.
        nearest: Option<String>,
    },
    /// A value of another type, or a name that is not among the choices.
    #[error("`{key}` is {found}{origin}, but must be {expected}")]
    WrongType {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The value as TOML.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A value of the right type with which nothing can be trained.
    #[error("`{key}` is {found}{origin}, but must {needed}")]
    BadValue {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The value.
        found: String,
        /// What it must do, such as `lie in [0, 1]`.
        needed: String,
    },
    /// Text that is no TOML.
    #[error("`{}`, line {line} is no TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Something that cannot be read as a configuration.
    #[error("`{}` is no configuration: {reason}", path.display())]
    NoConfig {
        /// What was given.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A `--set` without an equals sign or without a key.
    #[error("`--set {text}` is no `key=value`")]
    SetSyntax {
        /// The argument as given.
        text: String,
    },
    /// Two keys of which only one can hold.
    #[error("`{first}` and `{second}` are both given{origin}, but only one of them can hold")]
    Exclusive {
        /// One key.
        first: &'static str,
        /// The other key.
        second: &'static str,
        /// Who wrote the latter.
        origin: Origin,
    },
    /// A preset that does not exist.
    #[error("there is no preset `{name}`")]
    UnknownPreset {
        /// The name as given.
        name: String,
        /// The preset whose name is most like it, if one is close.
        nearest: Option<String>,
    },
    /// A warm-up, written by hand, that the run is too short for.
    #[error(
        "`{key}` is {epochs}{origin}, which is {warmup_steps} steps, but the run has {total_steps}"
    )]
    WarmupTooLong {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// Its value.
        epochs: f64,
        /// The same in steps.
        warmup_steps: u64,
        /// All steps of the run.
        total_steps: u64,
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
    /// A run that does not fit into the machine's memory.
    #[error(
        "{what} needs about {needs} of memory{}, but this machine has {has} free",
        parts.as_ref().map(|parts| format!(" ({parts})")).unwrap_or_default()
    )]
    TooLittleMemory {
        /// The network and the batch.
        what: String,
        /// How much is needed, such as `41 GiB`.
        needs: String,
        /// What it is needed for, if that is known.
        parts: Option<String>,
        /// How much there is.
        has: String,
        /// Settings that fit, if there are any.
        advice: Option<String>,
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
    /// A run folder that holds a run already.
    #[error("run folder `{}` is used already", path.display())]
    RunUsed {
        /// The folder.
        path: PathBuf,
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
    /// A run that would go on with other images.
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
    /// There is no run that `--resume` could mean.
    #[error("there is no run to resume: no folder `runs/{preset}-<n>` holds one")]
    NoRunToResume {
        /// The preset.
        preset: String,
        /// The newest run of another preset.
        other: Option<PathBuf>,
    },
    /// The run folder was taken away from a run.
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
    /// Weights with which nothing can be computed.
    #[error("`{name}` has the value {value} after step {step}, so this step is not saved")]
    NotFinite {
        /// The tensor, as a checkpoint names it.
        name: String,
        /// Its first value that is not finite.
        value: f32,
        /// Steps done.
        step: u64,
    },
    /// A run that ended before its last step, with what is on disk.
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
        /// Why the last step could not be saved, where that is another reason.
        unsaved: Option<String>,
    },
    /// Images that were to be evaluated have no labels.
    #[error(
        "`{data}` has no labels, but k-NN needs them: one folder for each class, or a labelled format"
    )]
    NoLabels {
        /// The source.
        data: String,
    },
    /// A run whose patches met no prototypes.
    #[error("`{}` has no mixture of patches, because {reason}", path.display())]
    NoPatches {
        /// The checkpoint, as given.
        path: PathBuf,
        /// What of its configuration says so.
        reason: String,
    },
    /// An image of an evaluation cannot be read: there, none is left out.
    #[error("image `{name}` of {data} cannot be evaluated: {reason}")]
    EvalImage {
        /// The image.
        name: String,
        /// The data set.
        data: String,
        /// Why.
        reason: String,
    },
    /// A network gives numbers with which nothing can be computed.
    #[error("the network's features are not finite for {bad} of {all} images")]
    NonFiniteFeatures {
        /// Images with a number that is not finite.
        bad: usize,
        /// All images.
        all: usize,
    },
    /// There is no checkpoint where one was looked for.
    #[error("`{}` holds no checkpoint: expected a run folder, a folder `step-…`, or its `model.safetensors`", path.display())]
    NoCheckpoint {
        /// What was given.
        path: PathBuf,
    },
    /// Too many steps in a row gave numbers that are not finite.
    #[error(
        "{reason}, the {count}th step in a row without a finite number; stopped at step {step}"
    )]
    Diverged {
        /// The last number.
        reason: String,
        /// Skipped steps in a row.
        count: u32,
        /// Where the run stands.
        step: u64,
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
    /// A recipe that no crop can be made with.
    #[error("data section: {0}")]
    Recipe(#[from] multicrop::recipe::InvalidRecipe),
    /// The source of images.
    #[error(transparent)]
    Data(#[from] multicrop::error::Error),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// Adds to an [`io::Error`] what was done to which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
