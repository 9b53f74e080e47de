//! `open` reads a trained network, from whatever path a user names.
//!
//! | path | what is read |
//! | --- | --- |
//! | a run folder | its newest whole checkpoint |
//! | a checkpoint folder `step-…`, or its `model.safetensors` | that checkpoint, with the `config.toml` of its run |
//!
//! Evaluations, analyses and exports have this one door. A file of another program gets a variant of
//! `Writer`, which says how to recognize it, and a function that reads it.

use std::path::{Path, PathBuf};

use engine::Params;

use crate::checkpoint::{self, CenterOf, Loaded, Newest, ParamSet};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::objective::{Center, Objective};
use crate::plan;
use crate::run_folder::{RunFolder, check_settings, not_used, unknown_keys};
use vit::{Network, init};

/// A trained network.
#[derive(Debug)]
pub struct Opened {
    /// The configuration that it was trained with.
    pub config: Config,
    /// Steps it was trained for.
    pub step: u64,
    /// The checkpoint that was read.
    pub path: PathBuf,
    /// What is worth a warning, such as newer checkpoints that are not used, or another version.
    pub warnings: Vec<String>,
    /// The network: backbone and head.
    pub network: Network,
    /// The teacher's weights: those that evaluations use.
    pub teacher: Params,
    /// The student's weights.
    pub student: Params,
    /// What the prototypes' scores mean.
    pub objective: Objective,
    /// The center of the teacher's scores of \[CLS\] tokens.
    pub center: Center,
    /// The center of its scores of patches; `None` for methods that do not mask.
    pub patch_center: Option<Center>,
}

/// Which program wrote a path.
enum Writer {
    /// This one: a run folder, and the checkpoint in it.
    Run { folder: PathBuf, newest: Newest },
}

/// Opens a trained network.
///
/// # Errors
/// A missing or damaged checkpoint; one that belongs to another run than the `config.toml` of its folder;
/// tensors that do not fit the run's configuration.
pub fn open(path: &Path) -> Result<Opened> {
    match Writer::of(path)? {
        Writer::Run { folder, newest } => {
            let Newest { loaded, refused } = newest;
            let loaded = loaded.ok_or_else(|| Error::NoCheckpoint { path: path.to_owned() })?;
            let mut opened = Opened::of_run(&folder, loaded)?;
            opened.warnings.splice(0..0, refused.iter().map(not_used));
            Ok(opened)
        }
    }
}

impl Writer {
    fn of(path: &Path) -> Result<Self> {
        if RunFolder::is_run(path) {
            let newest = checkpoint::load_newest_valid(path)?;
            return Ok(Self::Run { folder: path.to_owned(), newest });
        }
        let not_found = || Error::NoCheckpoint { path: path.to_owned() };
        let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
        let run = folder.parent().and_then(Path::parent).ok_or_else(not_found)?;
        if !folder.is_dir() || !RunFolder::is_run(run) {
            return Err(not_found());
        }
        let newest = Newest { loaded: Some(checkpoint::load(folder)?), refused: Vec::new() };
        Ok(Self::Run { folder: run.to_owned(), newest })
    }
}

impl Opened {
    /// The network in a checkpoint of the run in `folder`.
    fn of_run(folder: &Path, loaded: Loaded) -> Result<Self> {
        let config_path = folder.join("config.toml");
        let mut config = Config::load(&config_path)?;
        let mut warnings = unknown_keys(&config);
        warnings.extend(check_settings(&loaded, &config_path, &config)?);
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
        let center = read_center(CenterOf::Cls, settings.center_momentum, cls)?;
        let patches = network.head.patch_prototypes.count;
        let read_patches =
            || read_center(CenterOf::Patches, settings.patch_center_momentum, patches);
        let patch_center = settings.method.masks().then(read_patches).transpose()?;
        let (step, path) = (loaded.state.step, loaded.path);
        Ok(Self {
            config,
            step,
            path,
            warnings,
            network,
            teacher,
            student,
            objective,
            center,
            patch_center,
        })
    }

    /// The weights that the run started with, drawn again.
    pub fn draw_untrained(&self) -> Params {
        init::draw(&self.network, self.config.seed, self.config.model.init_std)
    }
}
