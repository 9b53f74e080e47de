//! `Source` is a checkpoint that is converted: the network, its settings, and its values on demand.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use interchange::convert::Target;
use interchange::dialect::{self, Checkpoint, Gelu, Heads, Mlp, Network, Options, View};
use interchange::{About, Archive, Dtype, FloatType};

use super::positions::Resampled;
use crate::checkpoint::{self, State};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::foreign;
use crate::open::{Choices, of_this_program, settings_of};
use crate::plan;
use crate::run_folder::not_used;

/// A checkpoint of this or of another program.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    pub(super) archive: Archive,
    pub(super) checkpoint: Checkpoint,
    /// What is known of the run if this program trained it.
    pub(super) run: Option<Run>,
    warnings: Vec<String>,
}

/// A run of this program.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) config: Config,
    pub(super) state: State,
}

impl Source {
    /// Opens a run folder, a checkpoint folder, or a file or folder of another program.
    ///
    /// # Errors
    /// A file that is damaged, has other tensors than its network needs, or holds a network that this program does
    /// not know how to compute.
    pub fn open(path: &Path, choices: &Choices) -> Result<Self> {
        let (mut warnings, mut run) = (Vec::new(), None);
        let mut tensors = path.to_owned();
        if let Some((folder, newest)) = of_this_program(path)? {
            warnings.extend(newest.refused.iter().map(not_used));
            let loaded = newest.loaded.ok_or_else(|| Error::no_checkpoint(path))?;
            let (config, more) = settings_of(&folder, &loaded)?;
            warnings.extend(more);
            tensors = loaded.path.join(checkpoint::TENSORS);
            run = Some(Run { config, state: loaded.state });
        }
        let archive = Archive::open(&tensors)?;
        let options = Options { key: choices.key.clone(), heads: choices.heads };
        let mut checkpoint = dialect::read(&archive, &options)?;
        if let Some(run) = &run {
            describe(&run.config, choices.heads, &mut checkpoint.network);
        }
        // iBOT's teacher has no token for masked patches, while its student has
        let mask = checkpoint.weights.shape("backbone.masked_embed");
        checkpoint.network.mask_token = mask.is_some();
        foreign::require_shapes(path, &checkpoint)?;
        checkpoint.require_whole(&archive, &choices.ignore)?;
        warnings.extend(foreign::heads_warning(&checkpoint.network));
        Ok(Self { path: path.to_owned(), archive, checkpoint, run, warnings })
    }

    /// What is worth a warning, such as newer checkpoints that are not used.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file or folder that is read.
    pub fn read_from(&self) -> &Path {
        self.archive.path()
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.checkpoint.network
    }

    /// What it is, and its step or epoch.
    pub fn origin(&self) -> String {
        match (&self.run, self.checkpoint.epoch) {
            (Some(run), _) => format!("run of dino-vmf, step {}", run.state.step),
            (None, Some(epoch)) => format!("{}, epoch {epoch}", self.checkpoint.format),
            (None, None) => self.checkpoint.format.to_string(),
        }
    }

    /// Whether there is a center of the prototypes' scores.
    pub(super) fn has_center(&self) -> bool {
        self.checkpoint.center.is_some()
    }

    /// Which weights are read; empty if the file has one network alone.
    pub fn key(&self) -> &str {
        &self.checkpoint.key
    }

    /// What the new file says about itself.
    pub(super) fn about(&self, target: Target, network: &Network) -> About {
        let name = self.archive.path().display().to_string();
        About {
            source: name,
            origin: self.origin(),
            weights: self.checkpoint.key.clone(),
            view: self.view(network),
            ..About::of(target, network)
        }
    }

    /// What is rounded, if anything.
    pub(super) fn rounding_note(&self, float: FloatType) -> Option<String> {
        let types = self.checkpoint.weights.tensors().map(|tensor| tensor.dtype);
        let wider: BTreeSet<_> = types
            .filter(|found| match found {
                Dtype::F64 => true,
                Dtype::F32 => float != FloatType::F32,
                Dtype::F16 => float == FloatType::BF16,
                Dtype::BF16 => float == FloatType::F16,
                _ => false,
            })
            .map(|found| found.to_string())
            .collect();
        let of = wider.into_iter().collect::<Vec<_>>().join(", ");
        (!of.is_empty()).then(|| format!("rounded: from {of} to {}", float.dtype()))
    }

    /// How evaluations see images, if that is known and the new network has positions of the same size.
    pub(super) fn view(&self, network: &Network) -> Option<View> {
        let is_resampled = network.image_size() != self.network().image_size();
        let of_run = self.run.as_ref().map(|run| View {
            resize: run.config.eval.resize,
            crop: run.config.eval.crop.or(network.image_size()).unwrap_or(network.patch_size),
        });
        of_run.or(self.network().view).filter(|_| !is_resampled)
    }

    /// The same for programs that always resize: the shorter side that images are resized to, and the side of the crop.
    pub(super) fn resize_and_crop(&self, network: &Network) -> (usize, usize) {
        let view = self.view(network);
        let size = network.image_size().unwrap_or(network.patch_size);
        let crop = view.map_or(size, |view| view.crop);
        let resize = view.and_then(|view| view.resize);
        (resize.unwrap_or_else(|| foreign::resize_for(crop)), crop)
    }

    /// The values of the network that is read.
    pub(super) fn weights(&self, positions: Option<Resampled>) -> Weights<'_> {
        let shapes = self.network().tensors().into_iter().collect();
        Weights { source: self, weights: &self.checkpoint.weights, shapes, positions }
    }
}

/// The values of a network, by this program's names.
#[derive(Debug)]
pub(super) struct Weights<'a> {
    pub(super) source: &'a Source,
    pub(super) weights: &'a dialect::Weights,
    pub(super) shapes: HashMap<String, Vec<usize>>,
    pub(super) positions: Option<Resampled>,
}

impl Weights<'_> {
    /// All values of a tensor.
    pub(super) fn read(&self, name: &str) -> Result<Vec<f32>> {
        let Source { archive, checkpoint, .. } = self.source;
        let shape = self.shapes.get(name).map(Vec::as_slice).unwrap_or_default();
        let values = self.weights.read(archive, &checkpoint.network, name, shape)?;
        let values = values.ok_or_else(|| interchange::Error::Missing {
            path: archive.path().to_owned(),
            name: name.to_owned(),
        })?;
        Ok(match &self.positions {
            Some(positions) if name == "backbone.pos_embed" => positions.apply(values),
            _ => values,
        })
    }
}

/// Adds what the settings of a run say and tensors do not.
fn describe(config: &Config, heads: Option<usize>, network: &mut Network) {
    let (vit, _) = plan::shapes(config);
    network.heads = Heads::Known(heads.unwrap_or(vit.heads));
    network.norm_eps = vit.norm_eps;
    network.position_offset = vit.resampling.offset;
    network.antialias = vit.resampling.antialias;
    network.pixels = Some((config.data.mean(), config.data.std()));
    if let Mlp::Gelu { gelu, .. } = &mut network.mlp {
        *gelu = if vit.mlp == vit::MlpKind::GeluTanh { Gelu::Tanh } else { Gelu::Exact };
    }
}
