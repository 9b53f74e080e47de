//! A trained network, read from a checkpoint for evaluation and analysis.

use std::path::{Path, PathBuf};

use engine::Params;

use crate::checkpoint::{self, Newest, Tensors};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::{Network, init};
use crate::objective::{Center, Objective};
use crate::plan;
use crate::run_folder::{RunFolder, check_settings, not_used, unknown_keys};

/// A trained network read from a checkpoint of a run.
#[derive(Debug)]
pub struct Trained {
    /// The run's configuration.
    pub config: Config,
    /// Steps it was trained for.
    pub step: u64,
    /// The checkpoint that was read.
    pub path: PathBuf,
    /// What is worth a warning: newer checkpoints that are not used, another version.
    pub warnings: Vec<String>,
    /// The network.
    pub network: Network,
    /// The teacher's weights.
    pub teacher: Params,
    /// The student's weights.
    pub student: Params,
    /// The weights that the run started with.
    pub untrained: Params,
    /// What the prototypes' scores mean.
    pub objective: Objective,
    /// The center of the teacher's scores of \[CLS\] tokens.
    pub center: Center,
    /// That of its patches; nothing for methods that do not mask.
    pub patch_center: Option<Center>,
}

impl Trained {
    /// Reads `path`: a run folder (its newest checkpoint), a checkpoint folder, or its
    /// `model.safetensors`.
    ///
    /// # Errors
    /// A missing or damaged checkpoint, one that belongs to another run than the `config.toml` of its
    /// folder, or tensors that do not fit the run's configuration.
    pub fn read(path: &Path) -> Result<Self> {
        let (run, newest) = find(path)?;
        let Newest { loaded, refused } = newest;
        let loaded = loaded.ok_or_else(|| Error::NoCheckpoint { path: path.to_owned() })?;
        let config_path = run.join("config.toml");
        let mut config = Config::load(&config_path)?;
        let mut warnings: Vec<_> = refused.iter().map(not_used).collect();
        warnings.extend(unknown_keys(&config));
        warnings.extend(check_settings(&loaded, &config_path, &config)?);
        // Sources are named by whoever evaluates, not by the run.
        config.run.working_dir = None;
        let (vit, head) = plan::shapes(&config);
        let network = Network::new(&vit, &head);
        let read = |prefix| {
            let mut params = Params::zeros(network.table().clone());
            read_params(&loaded.tensors, prefix, &mut params).map(|()| params)
        };
        let (teacher, student) = (read("teacher.")?, read("student.")?);
        let untrained = init::draw(&network, config.seed, config.model.init_std);
        let objective = Objective::new(&config.objective, head.bottleneck_dim);
        let settings = &config.objective;
        let read_center = |name, momentum, prototypes| -> Result<Center> {
            let mut center = objective.initial_center(momentum, prototypes);
            center.set_values(&loaded.tensors.get(name, &[prototypes])?);
            Ok(center)
        };
        let center = read_center("center", settings.center_momentum, head.prototypes)?;
        let patch_center = match settings.method.masks() {
            true => {
                let prototypes = network.head.patch_prototypes.count;
                Some(read_center("center_patch", settings.patch_center_momentum, prototypes)?)
            }
            false => None,
        };
        Ok(Self {
            config,
            step: loaded.state.step,
            path: loaded.path,
            warnings,
            network,
            teacher,
            student,
            untrained,
            objective,
            center,
            patch_center,
        })
    }
}

/// The run folder of `path`, and the checkpoint that `path` names or its run's newest.
fn find(path: &Path) -> Result<(PathBuf, Newest)> {
    if RunFolder::is_run(path) {
        return Ok((path.to_owned(), checkpoint::load_newest_valid(path)?));
    }
    let not_found = || Error::NoCheckpoint { path: path.to_owned() };
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    let run = folder.parent().and_then(Path::parent).ok_or_else(not_found)?;
    if !folder.is_dir() || !RunFolder::is_run(run) {
        return Err(not_found());
    }
    let loaded = Some(checkpoint::load(folder)?);
    Ok((run.to_owned(), Newest { loaded, refused: Vec::new() }))
}

/// Reads all tensors `{prefix}{name}` of a checkpoint.
///
/// # Errors
/// A tensor that is missing or has another shape.
pub fn read_params(tensors: &Tensors, prefix: &str, params: &mut Params) -> Result<()> {
    for entry in params.table().clone().entries() {
        let name = format!("{prefix}{}", entry.name);
        tensors.copy_into(&name, &entry.shape, params.get_mut(entry.range))?;
    }
    Ok(())
}
