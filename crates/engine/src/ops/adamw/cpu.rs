//! AdamW on the CPU: one parallel loop over chunks of all parameters.

use rayon::prelude::*;

use super::{AdamW, Segment};
use dispatch::kernel;

const CHUNK: usize = 1 << 14;

/// Values of the moments, of all parameters.
pub(super) struct Moments<'a> {
    pub(super) first: &'a mut [f32],
    pub(super) second: &'a mut [f32],
}

pub(super) fn update(
    settings: &AdamW,
    segments: &[Segment],
    mut weights: &mut [f32],
    grads: &[f32],
    moments: Moments<'_>,
) {
    let Moments { mut first, mut second } = moments;
    let (mut at, mut chunks) = (0, Vec::new());
    for segment in segments {
        let (rates, range) = (Rates::new(settings, segment), segment.param.range());
        let (gap, len) = (range.start - at, range.len());
        at = range.end;
        let first = split_off(&mut first, gap, len).chunks_mut(CHUNK);
        let moments = first.zip(split_off(&mut second, gap, len).chunks_mut(CHUNK));
        let weights = split_off(&mut weights, gap, len).chunks_mut(CHUNK);
        let weights = weights.zip(grads[range].chunks(CHUNK));
        let chunk = |((weights, grads), (first, second))| Chunk {
            rates,
            weights,
            grads,
            moments: Moments { first, second },
        };
        chunks.extend(weights.zip(moments).map(chunk));
    }
    chunks.into_par_iter().with_max_len(1).for_each(|chunk| {
        let Chunk { rates, weights, grads, moments: Moments { first, second } } = chunk;
        update_chunk(&rates, weights, grads, first, second);
    });
}

/// The `len` values of `rest` behind a gap. `rest` is left with the values behind them.
fn split_off<'a>(rest: &mut &'a mut [f32], gap: usize, len: usize) -> &'a mut [f32] {
    let (part, behind) = std::mem::take(rest)[gap..].split_at_mut(len);
    *rest = behind;
    part
}

/// A part of one parameter.
struct Chunk<'a> {
    rates: Rates,
    weights: &'a mut [f32],
    grads: &'a [f32],
    moments: Moments<'a>,
}

/// The constants of one parameter's update, computed in f64 and rounded.
#[derive(Clone, Copy)]
struct Rates {
    scale: f32,         // s
    keep: f32,          // 1 − lr · decay
    rate: f32,          // lr / (1 − β₁ᵗ)
    root_scale: f32,    // 1 / √(1 − β₂ᵗ)
    first: (f32, f32),  // β₁, 1 − β₁
    second: (f32, f32), // β₂, 1 − β₂
    eps: f32,
}

impl Rates {
    fn new(settings: &AdamW, segment: &Segment) -> Self {
        let (beta1, beta2) = settings.betas;
        let step = segment.step.min(i32::MAX as u64) as i32;
        Self {
            scale: segment.gradient_scale,
            keep: (1.0 - settings.lr * segment.decay) as f32,
            rate: (settings.lr / (1.0 - beta1.powi(step))) as f32,
            root_scale: (1.0 / (1.0 - beta2.powi(step)).sqrt()) as f32,
            first: (beta1 as f32, (1.0 - beta1) as f32),
            second: (beta2 as f32, (1.0 - beta2) as f32),
            eps: settings.eps as f32,
        }
    }
}

kernel! {
    fn update_chunk(
        rates: &Rates,
        weights: &mut [f32],
        grads: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let Rates { scale, keep, rate, root_scale, first: (b1, c1), second: (b2, c2), eps } = *rates;
        let moments = first.iter_mut().zip(second);
        for ((w, &g), (m, v)) in weights.iter_mut().zip(grads).zip(moments) {
            let g = scale * g;
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * (g * g);
            let root = v.sqrt() * root_scale + eps;
            *w = *w * keep - rate * *m / root;
        }
    }
}
