//! The networks that the rules choose from, with the settings that depend on the network.

use toml::Value;

use super::rules::Keys;
use crate::config::{Arch, Model, Sizes};
use crate::forecast::work::{block, patches};

/// A network, the images that it needs, and settings that suit its width.
pub(super) struct Network {
    /// The name that `model.arch` takes.
    pub arch: Arch,
    /// Its size.
    pub sizes: Sizes,
    /// Fewest images that it is chosen for.
    pub images: usize,
    head_hidden_dim: i64,
    bottleneck_dim: i64,
    init_std: f64,
    drop_path: f64,
    lr: f64,
    weight_decay_end: f64,
    teacher_temp: f64,
}

/// The smallest first. The first row is that of `shapes-tiny` and `cifar10-tiny`, which were found by
/// experiments; the last one is DINO's; the row between them lies between them.
pub(super) const NETWORKS: [Network; 3] = [
    Network {
        arch: Arch::Custom,
        sizes: Sizes { embed_dim: 128, depth: 3, heads: 4 },
        images: 0,
        head_hidden_dim: 512,
        bottleneck_dim: 64,
        init_std: 0.12,
        drop_path: 0.0,
        lr: 4e-3,
        weight_decay_end: 0.1,
        teacher_temp: 0.025,
    },
    Network {
        arch: Arch::VitTiny,
        sizes: Sizes { embed_dim: 192, depth: 12, heads: 3 },
        images: 1000,
        head_hidden_dim: 1024,
        bottleneck_dim: 128,
        init_std: 0.06,
        drop_path: 0.0,
        lr: 2e-3,
        weight_decay_end: 0.1,
        teacher_temp: 0.03,
    },
    Network {
        arch: Arch::VitSmall,
        sizes: Sizes { embed_dim: 384, depth: 12, heads: 6 },
        images: 20_000,
        head_hidden_dim: 2048,
        bottleneck_dim: 256,
        init_std: 0.02,
        drop_path: 0.1,
        lr: 5e-4,
        weight_decay_end: 0.4,
        teacher_temp: 0.04,
    },
];

impl Network {
    /// The row for a network that a person chose: the widest that is not wider.
    pub fn like(model: &Model) -> &'static Self {
        let width = model.sizes().embed_dim;
        let fits = NETWORKS.iter().rfind(|network| network.sizes.embed_dim <= width);
        fits.unwrap_or(&NETWORKS[0])
    }

    /// Writes the network.
    pub fn write_model(&self, keys: &mut Keys) {
        let arch = Value::try_from(self.arch).unwrap_or_else(|_| "custom".into());
        keys.set("model.arch", arch);
        if self.arch == Arch::Custom {
            let Sizes { embed_dim, depth, heads } = self.sizes;
            let counts = [("embed_dim", embed_dim), ("depth", depth), ("heads", heads)];
            for (key, count) in counts {
                keys.set(&format!("model.{key}"), count as i64);
            }
        }
    }

    /// Writes what suits its width.
    pub fn write_settings(&self, keys: &mut Keys) {
        keys.set("model.head_hidden_dim", self.head_hidden_dim);
        keys.set("model.bottleneck_dim", self.bottleneck_dim);
        keys.set("model.init_std", self.init_std);
        keys.set("model.drop_path", self.drop_path);
        keys.set("optim.lr", self.lr);
        keys.set("optim.min_lr", 1e-5);
        keys.set("optim.weight_decay", 0.04);
        keys.set("optim.weight_decay_end", self.weight_decay_end);
        keys.set("objective.teacher_temp_start", self.teacher_temp);
        keys.set("objective.teacher_temp", self.teacher_temp);
    }
}

/// Floating-point operations that an image costs in a step: forward and backward passes of the student
/// over all crops, forward passes of the teacher over the global ones. The head is left out; it sees one
/// token of each crop. The blocks are those that the rules choose from, whatever else a person set: MLPs four
/// times as wide as the tokens, and no registers.
pub(super) fn operations(sizes: Sizes, crops: (usize, usize, usize), patch: usize) -> f64 {
    let (global, local, locals) = crops;
    let tokens = |side: usize| 1.0 + patches(side, patch);
    let width = sizes.embed_dim as f64;
    let mlp = 16.0 * width * width;
    let forward = |tokens: f64| sizes.depth as f64 * block(width, mlp, tokens, tokens);
    let (global, local) = (2.0 * forward(tokens(global)), locals as f64 * forward(tokens(local)));
    3.0 * (global + local) + global
}

/// A network in words.
pub(super) fn describe(model: &Model) -> String {
    match model.arch {
        Arch::Custom => {
            let Sizes { embed_dim, depth, .. } = model.sizes();
            format!("{depth} blocks of width {embed_dim}")
        }
        arch => Value::try_from(arch)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default(),
    }
}
