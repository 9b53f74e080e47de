//! From the description of another program's network to the shapes of [`vit`].

use std::path::Path;

use engine::matmul::Precision;
use interchange::dialect::{Checkpoint, Gelu, Heads, Mlp, Network, Positions};
use vit::shape::Resampling;
use vit::{HeadShape, MlpKind, Recompute, VitShape};

use crate::error::Error;

/// Shapes of the backbone and of the head, if there is one.
///
/// # Errors
/// What [`vit`] cannot compute, each in a few words.
pub fn shapes(network: &Network) -> Result<(VitShape, Option<HeadShape>), Vec<String>> {
    let mut refused = Vec::new();
    let heads = heads(network).unwrap_or_else(|reason| {
        refused.push(reason);
        1
    });
    let (mlp, mlp_hidden) = match network.mlp {
        Mlp::Gelu { hidden, gelu } => {
            if gelu == Gelu::Other {
                refused.push("an activation other than GELU".to_owned());
            }
            let kind = if gelu == Gelu::Tanh { MlpKind::GeluTanh } else { MlpKind::Gelu };
            (kind, hidden)
        }
        Mlp::SwiGlu { hidden } => (MlpKind::SwiGlu, hidden),
    };
    match network.positions {
        Positions::Table { .. } => {}
        Positions::OddTable(rows) => {
            refused.push(format!("a position table of {rows} rows, which is no square grid"));
        }
        Positions::Rotary => refused.push("rotary positions".to_owned()),
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let vit = VitShape {
        channels: network.channels,
        embed_dim: network.embed_dim,
        depth: network.depth,
        heads,
        mlp_hidden,
        mlp,
        norm_eps: network.norm_eps,
        patch_size: network.patch_size,
        image_size: network.image_size().unwrap_or(network.patch_size),
        resampling: Resampling { offset: network.position_offset, antialias: network.antialias },
        registers: network.registers,
        layer_scale: network.layer_scale.then_some(1.0),
        masked: network.mask_token,
        precision: Precision::F32,
        recompute: Recompute::None,
    };
    let head = network.head.map(|head| HeadShape {
        embed_dim: network.embed_dim,
        hidden_dim: head.hidden_dim,
        bottleneck_dim: head.bottleneck_dim,
        prototypes: head.prototypes,
        patch_prototypes: head.patch_prototypes,
        precision: Precision::F32,
    });
    Ok((vit, head))
}

/// The shapes of a checkpoint's network.
///
/// # Errors
/// [`Error::NotComputed`].
pub(crate) fn require_shapes(
    path: &Path,
    checkpoint: &Checkpoint,
) -> Result<(VitShape, Option<HeadShape>), Error> {
    shapes(&checkpoint.network).map_err(|reasons| Error::NotComputed {
        path: path.to_owned(),
        format: checkpoint.format.to_string(),
        reasons: reasons.join(", "),
    })
}

/// The shorter side that images are resized to before they are cropped to `crop` pixels, as DINO does: 256 for
/// 224.
pub(crate) fn resize_for(crop: usize) -> usize {
    (crop as f64 * 256.0 / 224.0).round() as usize
}

/// The number of attention heads.
fn heads(network: &Network) -> Result<usize, String> {
    let (Heads::Known(heads) | Heads::Assumed(heads)) = network.heads else {
        return Err("an unknown number of attention heads (`--heads N` says it)".to_owned());
    };
    let width = network.embed_dim;
    if heads == 0 || !width.is_multiple_of(heads) {
        return Err(format!("{heads} attention heads, which do not divide the width {width}"));
    }
    Ok(heads)
}

/// What a person should know if the number of attention heads is a guess.
pub(crate) fn heads_warning(network: &Network) -> Option<String> {
    let Heads::Assumed(heads) = network.heads else { return None };
    Some(format!(
        "the file does not say how many attention heads the network has: {heads}, from its width, is assumed \
         (`--heads N` says otherwise)"
    ))
}
