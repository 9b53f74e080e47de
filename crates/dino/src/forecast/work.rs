//! Floating-point operations of a step's matmuls, without the objective. They choose which pieces of a step
//! are timed, and extend a measured time to another depth.
//!
//! A matmul of `[m, k]` and `[k, n]` is `2 m k n`. A backward pass is two forward passes; what it computes
//! again is left out.

use crate::config::Config;
use crate::plan::shapes;
use vit::{HeadShape, MlpKind, VitShape};

/// Forward and backward pass of a step of `images` images, both networks. The student leaves out the mean
/// share of its branches that drop path leaves out.
pub(super) fn of_network(config: &Config, images: usize) -> f64 {
    let (vit, head) = shapes(config);
    let data = &config.data;
    let masks = config.objective.method.masks();
    let locals = data.local_crops as f64;
    let kept = 1.0 - config.model.drop_path / 2.0;
    let (global, local) = (tokens(&vit, data.global_size), tokens(&vit, data.local_size));
    let blocks_global = blocks(&vit, global, if masks { global } else { 1.0 });
    let blocks_local = blocks(&vit, local, 1.0);
    let patches_of = |tokens: f64| tokens - (1 + vit.registers) as f64;
    let embed = |tokens: f64| {
        2.0 * patches_of(tokens) * (vit.channels * vit.patch_size.pow(2) * vit.embed_dim) as f64
    };
    let patches = if masks { 2.0 * patches_of(global) } else { 0.0 };
    let ratios = &config.masking.ratios;
    let masked = patches * ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let teacher = 2.0 * (embed(global) + blocks_global) + mlp(&head) * (2.0 + patches);
    // The embedding has no gradient of its input.
    let student = 2.0 * (2.0 * embed(global) + locals * embed(local))
        + 3.0 * kept * (2.0 * blocks_global + locals * blocks_local)
        + 3.0 * mlp(&head) * (2.0 + locals + masked);
    images as f64 * (teacher + student)
}

/// Forward pass of the backbone for the `[CLS]` token of one image with sides of `side` pixels.
pub(super) fn of_features(config: &Config, side: usize) -> f64 {
    let (vit, _) = shapes(config);
    blocks(&vit, tokens(&vit, side), 1.0)
}

/// Rows of the teacher's operands for each image: the tokens of its two global crops.
pub(super) fn teacher_rows(config: &Config) -> f64 {
    2.0 * tokens(&shapes(config).0, config.data.global_size)
}

/// Tokens of an image: `[CLS]`, registers, patches.
fn tokens(vit: &VitShape, side: usize) -> f64 {
    (1 + vit.registers) as f64 + patches(side, vit.patch_size)
}

/// Forward pass of all blocks over one image, of whose tokens the last block computes `wanted`.
fn blocks(vit: &VitShape, tokens: f64, wanted: f64) -> f64 {
    let (d, hidden) = (vit.embed_dim as f64, vit.mlp_hidden as f64);
    // The first layer of SwiGLU is twice as wide.
    let widths = if vit.mlp == MlpKind::SwiGlu { 3.0 } else { 2.0 };
    let mlp = 2.0 * widths * d * hidden;
    (vit.depth as f64 - 1.0) * block(d, mlp, tokens, tokens) + block(d, mlp, tokens, wanted)
}

/// Forward pass of a block of this width over `tokens`, of which it computes `wanted`. `mlp` is what its MLP
/// costs for a token.
pub(crate) fn block(width: f64, mlp: f64, tokens: f64, wanted: f64) -> f64 {
    let qkv = 6.0 * tokens * width * width;
    qkv + wanted * (2.0 * width * width + mlp + 4.0 * tokens * width)
}

/// Patches of a square image.
pub(crate) fn patches(side: usize, patch: usize) -> f64 {
    ((side / patch.max(1)) as f64).powi(2)
}

/// Forward pass of the head's MLP over one row.
fn mlp(head: &HeadShape) -> f64 {
    let (d, hidden, r) =
        (head.embed_dim as f64, head.hidden_dim as f64, head.bottleneck_dim as f64);
    2.0 * (d * hidden + hidden * hidden + hidden * r)
}

#[cfg(test)]
mod tests {
    use engine::Params;

    use super::*;
    use crate::forecast::step::{Crops, VALUES};
    use crate::trainer::step::Training;

    /// The operations count their own matmuls.
    #[test]
    fn work_is_what_the_operations_of_a_step_count() {
        let cases = [
            ("dino", 1, "model.registers=0"),
            ("dino", 4, "model.registers=4"),
            ("ibot", 3, "model.mlp=swiglu"),
        ];
        for (method, depth, other) in cases {
            let sets = [
                "model.arch=vit_tiny",
                "model.arch=custom",
                "model.embed_dim=96",
                "model.heads=3",
                &format!("model.depth={depth}"),
                "model.drop_path=0",
                "model.head_hidden_dim=64",
                "data.global_size=64",
                "data.local_size=32",
                "masking.shape=random",
                "masking.ratios=[0.5]",
                "masking.spreads=[0]",
                "optim.batch_size=3",
                &format!("objective.method={method}"),
                other,
            ];
            let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
            let config = Config::resolve(None, None, &sets, &[]).unwrap();
            let expected = of_network(&config, 3);
            let crops = Crops::random(&config, 3);
            let training = Training::new(config);
            let mut state = training.initial_state();
            let mut grads = Params::zeros(training.network.table().clone());
            engine::profile::start();
            training.step(&mut state, &mut grads, &[crops.batch()], &VALUES).unwrap();
            let totals = engine::profile::stop();
            let of_network = totals.iter().filter(|(name, _)| !name.contains("objective"));
            let found: f64 = of_network.map(|(_, total)| total.work.flop).sum();
            let names: Vec<_> =
                totals.iter().map(|(name, total)| (name, total.work.flop)).collect();
            let ratio = expected / found;
            assert!((0.93..1.07).contains(&ratio), "{method}, {depth}: {ratio:.3} {names:?}");
        }
    }
}
