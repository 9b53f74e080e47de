//! Opens checkpoints of other programs, with the settings that evaluations need.

use std::path::Path;

use engine::Params;
use interchange::Archive;
use interchange::dialect::{
    self, Checkpoint, Format, Network as Description, Options, View, Weights,
};
use vit::{HeadShape, MlpKind as VitMlp, Network, VitShape, init};

use super::{Choices, Opened, TrainedHead};
use crate::config::{Arch, Config, Method, MlpKind, PositionOffset, PrototypeNorm};
use crate::error::{Error, Result};
use crate::foreign;
use crate::objective::{Center, Objective};

/// Largest side of the crops of evaluations, unless flags say another: DINO's, and larger ones take long.
const LARGEST_CROP: usize = 224;

/// Opens a checkpoint of another program.
///
/// # Errors
/// A file that is damaged, has other tensors than its network needs, or holds a network that this program does
/// not compute.
pub(super) fn open(path: &Path, choices: &Choices) -> Result<Opened> {
    let archive = Archive::open(path)?;
    let options = Options { key: choices.key.clone(), heads: choices.heads };
    let checkpoint = dialect::read(&archive, &options)?;
    let description = &checkpoint.network;
    let (vit, head) = foreign::require_shapes(path, &checkpoint)?;
    checkpoint.require_whole(&archive, &choices.ignore)?;
    let has_head = head.is_some();
    let head = head.unwrap_or(smallest_head(&vit));
    let network = Network::new(&vit, &head);
    let read = |weights: &Weights| read(&archive, description, weights, &network);
    let (teacher, initial) = read(&checkpoint.weights)?;
    let whole = checkpoint.student.as_ref().filter(|weights| weights.differences().is_empty());
    let student = whole.map(read).transpose()?;
    let mut config = config(&checkpoint, &vit, &head);
    if has_head {
        let g = teacher.view(network.head.prototypes.g).on_host();
        let fixed = g.iter().all(|&g| g == 1.0);
        config.objective.prototype_norm =
            Some(if fixed { PrototypeNorm::L2 } else { PrototypeNorm::Free });
    }
    config.validate()?;
    let head = match has_head {
        true => Some(trained_head(&archive, &checkpoint, &config, &network)?),
        false => None,
    };
    let mut warnings = warnings(&checkpoint);
    // a teacher sees all patches, and has no token for masked ones
    let matters = |name: &&String| {
        *name != "backbone.masked_embed" && (has_head || !name.starts_with("head."))
    };
    let initial = initial.iter().filter(matters);
    warnings.extend(initial.map(|name| format!("tensor `{name}` has its initial values")));
    let epoch = checkpoint.epoch.map(|epoch| format!(", epoch {epoch}")).unwrap_or_default();
    Ok(Opened {
        config,
        step: None,
        origin: format!("{}{epoch}", checkpoint.format),
        path: archive.path().to_owned(),
        warnings,
        network,
        teacher,
        student: student.map(|(params, _)| params),
        head,
    })
}

/// A head that nobody reads, for networks without one.
fn smallest_head(vit: &VitShape) -> HeadShape {
    HeadShape {
        embed_dim: vit.embed_dim,
        hidden_dim: 1,
        bottleneck_dim: 2,
        prototypes: 1,
        patch_prototypes: None,
        precision: vit.precision,
    }
}

/// The parameters, and the names of those that the file does not have: they keep their initial values.
fn read(
    archive: &Archive,
    description: &Description,
    weights: &Weights,
    network: &Network,
) -> Result<(Params, Vec<String>)> {
    let mut params = init::draw(network, 0, 0.02);
    let mut initial = Vec::new();
    for entry in network.table().entries() {
        match weights.read(archive, description, &entry.name, &entry.shape)? {
            Some(values) => params.view_mut(entry.param).host_mut().copy_from_slice(&values),
            None => initial.push(entry.name.clone()),
        }
    }
    Ok((params, initial))
}

/// The settings that evaluations read.
fn config(checkpoint: &Checkpoint, vit: &VitShape, head: &HeadShape) -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) =
        (Some(vit.embed_dim), Some(vit.depth), Some(vit.heads));
    model.patch_size = vit.patch_size;
    // a little more than the quotient, so that rounding down gives the width again
    model.mlp_ratio = (vit.mlp_hidden as f64 + 0.5) / vit.embed_dim as f64;
    model.layer_scale = vit.layer_scale;
    model.image_size = Some(vit.image_size);
    model.position_offset = if vit.resampling.offset == 0.0 {
        PositionOffset::Exact
    } else {
        PositionOffset::Reference
    };
    model.position_antialias = vit.resampling.antialias;
    (model.registers, model.norm_eps) = (vit.registers, vit.norm_eps);
    model.mlp = match vit.mlp {
        VitMlp::Gelu => MlpKind::Gelu,
        VitMlp::GeluTanh => MlpKind::GeluTanh,
        VitMlp::SwiGlu => MlpKind::SwiGlu,
    };
    (model.head_hidden_dim, model.bottleneck_dim) = (head.hidden_dim, head.bottleneck_dim);
    (model.prototypes, model.patch_prototypes) = (head.prototypes, head.patch_prototypes);
    let data = &mut config.data;
    data.channels = vit.channels;
    if let Some((mean, std)) = &checkpoint.network.pixels {
        (data.mean, data.std) = (Some(mean.clone()), Some(std.clone()));
    }
    let fits = |view: &View| view.crop > 0 && view.crop.is_multiple_of(vit.patch_size);
    let View { resize, crop } = checkpoint.network.view.filter(fits).unwrap_or_else(|| {
        let side = vit.image_size.min(LARGEST_CROP.max(vit.patch_size));
        let crop = side / vit.patch_size * vit.patch_size;
        View { resize: Some(foreign::resize_for(crop)), crop }
    });
    (data.global_size, data.local_size) =
        (crop, (crop / 2 / vit.patch_size).max(1) * vit.patch_size);
    config.eval.crop = Some(crop);
    config.eval.resize = resize;
    if checkpoint.patch_center.is_some() {
        config.objective.method = Method::Ibot;
    }
    config
}

/// What the prototypes' scores mean.
fn trained_head(
    archive: &Archive,
    checkpoint: &Checkpoint,
    config: &Config,
    network: &Network,
) -> Result<TrainedHead> {
    let settings = &config.objective;
    let objective = Objective::new(settings, network.head.shape().bottleneck_dim);
    let center = |name: &Option<String>, count: usize| -> Result<Option<Center>> {
        let Some(tensor) = name.as_ref().and_then(|name| archive.tensor(name)) else {
            return Ok(None);
        };
        if tensor.len() != count {
            return Err(Error::NotComputed {
                path: archive.path().to_owned(),
                format: checkpoint.format.to_string(),
                reasons: format!("a center of {} values for {count} prototypes", tensor.len()),
            });
        }
        let mut center = objective.initial_center(settings.center_momentum, count);
        center.set_values(&archive.read_f32(tensor)?);
        Ok(Some(center))
    };
    let cls = center(&checkpoint.center, network.head.prototypes.count)?;
    let patches = center(&checkpoint.patch_center, network.head.patch_prototypes.count)?;
    Ok(TrainedHead { objective, center: cls, patch_center: patches })
}

/// What a person should know before trusting the results.
fn warnings(checkpoint: &Checkpoint) -> Vec<String> {
    let mut warnings: Vec<_> = foreign::heads_warning(&checkpoint.network).into_iter().collect();
    if checkpoint.network.head.is_some() && checkpoint.center.is_none() {
        warnings
            .push("the file has no center: assignments to prototypes are taken without".to_owned());
    }
    if checkpoint.network.head.is_some() && checkpoint.format == Format::Own {
        warnings.push(
            "the `config.toml` of the run is not beside the file: the head is taken for one without vMF \
             normalization"
                .to_owned(),
        );
    }
    let student = checkpoint.student.as_ref();
    if student.is_some_and(|student| !student.differences().is_empty()) {
        warnings.push("the student's tensors do not fit the network, so it is left out".to_owned());
    }
    warnings
}
