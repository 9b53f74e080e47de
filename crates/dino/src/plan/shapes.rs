//! Shapes of backbone and head.

use crate::config::{self, Config, Sizes};
use vit::{HeadShape, Recompute, Resampling, VitShape};

/// Shapes of the backbone and of the head that a configuration describes.
pub fn shapes(config: &Config) -> (VitShape, HeadShape) {
    let model = &config.model;
    let Sizes { embed_dim, depth, heads } = model.sizes();
    let masks = config.objective.method.masks();
    let vit = VitShape {
        channels: config.data.channels,
        embed_dim,
        depth,
        heads,
        mlp_hidden: model.mlp_dim(),
        patch_size: model.patch_size,
        image_size: config.image_size(),
        mlp: model.mlp.into(),
        norm_eps: model.norm_eps,
        resampling: Resampling {
            offset: model.position_offset.value(),
            antialias: model.position_antialias,
        },
        registers: model.registers,
        layer_scale: model.layer_scale,
        masked: masks,
        precision: model.precision.of_products(),
        recompute: config.run.recompute.into(),
    };
    let head = HeadShape {
        embed_dim,
        hidden_dim: model.head_hidden_dim,
        bottleneck_dim: model.bottleneck_dim,
        prototypes: model.prototypes,
        patch_prototypes: model.patch_prototypes.filter(|_| masks),
        precision: model.precision.of_products(),
    };
    (vit, head)
}

impl From<config::Recompute> for Recompute {
    fn from(setting: config::Recompute) -> Self {
        match setting {
            config::Recompute::None => Self::None,
            config::Recompute::Light => Self::Light,
            config::Recompute::Blocks => Self::Blocks,
        }
    }
}
