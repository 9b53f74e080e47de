//! `open` reads a trained network, from whatever path a user names.
//!
//! | path | what is read |
//! | --- | --- |
//! | a run folder | its newest whole checkpoint |
//! | `RUN@best` | the checkpoint of a run that `eval.keep_best` kept |
//! | a checkpoint folder `step-…`, or its `model.safetensors` | that checkpoint, with the `config.toml` of its run |
//! | a file or folder of another program | its weights, see [`interchange`] |
//!
//! Evaluations, analyses and exports have this one door.

mod foreign;

use std::path::{Path, PathBuf};

use engine::Params;

use crate::checkpoint::{self, CenterOf, Loaded, Newest, ParamSet};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::objective::{Center, Objective};
use crate::plan;
use crate::run_folder::evaluations::best_checkpoint;
use crate::run_folder::{RunFolder, check_settings, not_used, unknown_keys};
use vit::{Network, init};

/// A trained network.
#[derive(Debug)]
pub struct Opened {
    /// The configuration that it was trained with.
    pub config: Config,
    /// Steps it was trained for; `None` for checkpoints of other programs.
    pub step: Option<u64>,
    /// Where it comes from in a few words: the step, or the program and the epoch.
    pub origin: String,
    /// The checkpoint that was read.
    pub path: PathBuf,
    /// What is worth a warning, such as newer checkpoints that are not used, or another version.
    pub warnings: Vec<String>,
    /// The network: backbone and head. A checkpoint without a head gets the smallest one there is; `head` is
    /// `None` then, and nothing reads what it computes.
    pub network: Network,
    /// The teacher's weights: those that evaluations use.
    pub teacher: Params,
    /// The student's weights, if the checkpoint has them.
    pub student: Option<Params>,
    /// What the head was trained with, if the checkpoint has a head.
    pub head: Option<TrainedHead>,
}

/// What a head was trained with, beside its weights.
#[derive(Debug)]
pub struct TrainedHead {
    /// What the prototypes' scores mean.
    pub objective: Objective,
    /// The center of the teacher's scores of \[CLS\] tokens; `None` if the checkpoint does not have it.
    pub center: Option<Center>,
    /// The center of its scores of patches; `None` for methods that do not mask.
    pub patch_center: Option<Center>,
}

/// What a caller decides about checkpoints of other programs.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// Which weights are read: `teacher`, `student`, `state_dict` and so on.
    pub key: Option<String>,
    /// Attention heads, which tensors do not tell.
    pub heads: Option<usize>,
    /// Names of tensors that may be missing, unexpected or mis-shaped. A `*` at the end stands for any rest.
    pub ignore: Vec<String>,
}

/// Opens a trained network.
///
/// # Errors
/// A missing or damaged checkpoint; one that belongs to another run than the `config.toml` of its folder;
/// tensors that do not fit the run's configuration.
pub fn open(path: &Path) -> Result<Opened> {
    open_with(path, &Choices::default())
}

/// The same, with decisions about checkpoints of other programs.
///
/// # Errors
/// As [`open`]; a network that this program does not compute.
pub fn open_with(path: &Path, choices: &Choices) -> Result<Opened> {
    let Some((folder, Newest { loaded, refused })) = of_this_program(path)? else {
        return foreign::open(path, choices);
    };
    let loaded = loaded.ok_or_else(|| Error::no_checkpoint(path))?;
    let mut opened = Opened::of_run(&folder, loaded)?;
    opened.warnings.splice(0..0, refused.iter().map(not_used));
    Ok(opened)
}

/// The run folder and the checkpoint in it; `None` if another program wrote the path, or only the file is left.
pub(crate) fn of_this_program(path: &Path) -> Result<Option<(PathBuf, Newest)>> {
    let best = best_checkpoint(path)?;
    let path = best.as_deref().unwrap_or(path);
    if RunFolder::is_run(path) {
        return Ok(Some((path.to_owned(), checkpoint::load_newest_valid(path)?)));
    }
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    let is_ours =
        !path.is_file() || path.file_name().is_some_and(|name| name == "model.safetensors");
    let is_list = |parent: &&Path| parent.file_name().is_some_and(|n| n == checkpoint::FOLDER);
    let run = folder.parent().filter(is_list).and_then(Path::parent);
    let run = run.filter(|run| RunFolder::is_run(run));
    let Some(run) = run.filter(|_| is_ours && folder.is_dir()) else {
        // Without this, a folder that holds no checkpoint at all would be called one of another program.
        let is_checkpoint = path.is_file() || interchange::Archive::is_in(path);
        return match is_checkpoint {
            true => Ok(None),
            false => Err(Error::no_checkpoint(path)),
        };
    };
    let newest = Newest { loaded: Some(checkpoint::load(folder)?), refused: Vec::new() };
    Ok(Some((run.to_owned(), newest)))
}

/// The settings of the run in `folder`, which must be those of its checkpoint, and what is worth a warning.
pub(crate) fn settings_of(folder: &Path, loaded: &Loaded) -> Result<(Config, Vec<String>)> {
    let path = folder.join("config.toml");
    let config = Config::load(&path)?;
    let mut warnings = unknown_keys(&config);
    warnings.extend(check_settings(loaded, &path, &config)?);
    Ok((config, warnings))
}

impl Opened {
    /// The network in a checkpoint of the run in `folder`.
    fn of_run(folder: &Path, loaded: Loaded) -> Result<Self> {
        let (mut config, warnings) = settings_of(folder, &loaded)?;
        // The caller names sources, relative to the caller's folder, not to the run's.
        config.run.working_dir = None;
        let (vit, head) = plan::shapes(&config);
        let network = Network::new(&vit, &head);
        let read = |set: ParamSet| -> Result<Params> {
            let mut params = Params::zeros(network.table().clone());
            set.read(&loaded.tensors, &mut params)?;
            Ok(params)
        };
        let (teacher, student) = (read(ParamSet::Teacher)?, read(ParamSet::Student)?);
        let settings = &config.objective;
        let objective = Objective::new(settings, head.bottleneck_dim);
        let read_center = |of: CenterOf, momentum, prototypes| -> Result<Center> {
            let mut center = objective.initial_center(momentum, prototypes);
            center.set_values(&of.read(&loaded.tensors, prototypes)?);
            Ok(center)
        };
        let cls = network.head.prototypes.count;
        let center = Some(read_center(CenterOf::Cls, settings.center_momentum, cls)?);
        let patches = network.head.patch_prototypes.count;
        let read_patches =
            || read_center(CenterOf::Patches, settings.patch_center_momentum, patches);
        let patch_center = settings.method.masks().then(read_patches).transpose()?;
        let (step, path) = (loaded.state.step, loaded.path);
        Ok(Self {
            config,
            step: Some(step),
            origin: format!("step {step}"),
            path,
            warnings,
            network,
            teacher,
            student: Some(student),
            head: Some(TrainedHead { objective, center, patch_center }),
        })
    }

    /// What the head was trained with.
    ///
    /// # Errors
    /// If the checkpoint has no head.
    pub fn head(&self) -> Result<&TrainedHead> {
        self.head.as_ref().ok_or_else(|| Error::NoHead { path: self.path.clone() })
    }

    /// Weights of a network before training: those that the run started with, drawn again.
    pub fn draw_untrained(&self) -> Params {
        init::draw(&self.network, self.config.seed, self.config.model.init_std)
    }
}
