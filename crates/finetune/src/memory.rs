//! The memory that fine-tuning needs, computed before anything is allocated.

use engine::matmul::Precision;
use vit::{Recompute, VitShape};

use crate::network::Classifier;
use crate::settings::Settings;

const F32: f64 = 4.0;
/// Batches of images that a loader holds, and the one in use.
const BATCHES: f64 = 4.0;

/// Bytes of weights, gradients and moments, of what a part of a batch saves, and of images.
pub fn bytes(network: &Classifier, settings: &Settings, side: usize) -> f64 {
    let shape = network.shape();
    let part = settings.batch_size.div_ceil(settings.accumulate.max(1)) as f64;
    let tokens = 1.0 + shape.registers as f64 + ((side / shape.patch_size.max(1)) as f64).powi(2);
    let image = shape.channels as f64 * (side as f64).powi(2);
    // The checkpoint and the trained network, beside weights, gradients and both moments.
    let weights = 7.0 * F32 * network.table().len() as f64;
    let images = BATCHES * F32 * image * settings.batch_size as f64;
    weights + images + part * (F32 * image + tokens * of_token(shape))
}

/// Bytes of a token: what all blocks save, and what one of them needs meanwhile.
fn of_token(shape: &VitShape) -> f64 {
    let (d, hidden) = (shape.embed_dim as f64, shape.mlp_hidden as f64);
    let kept = if shape.precision == Precision::F32 { F32 } else { F32 / 2.0 };
    // See `vit::Recompute`: inputs of both branches, queries, keys and values, the hidden layer.
    let block = match shape.recompute {
        Recompute::None => 2.0 * F32 * d + kept * (3.0 * d + hidden),
        Recompute::Light => 2.0 * F32 * d + kept * 3.0 * d,
        Recompute::Blocks => F32 * d,
    };
    shape.depth as f64 * block + F32 * (8.0 * d + 2.0 * hidden)
}
