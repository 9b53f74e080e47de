//! Norms of gradients on the CPU: one parallel loop over chunks of all parameters.

use rayon::prelude::*;

use crate::params::Params;
use crate::simd::dot;
use dispatch::kernel;

pub(super) const CHUNK: usize = 1 << 14;

pub(super) fn norms(grads: &Params) -> Vec<f64> {
    let entries = grads.table().entries();
    let values = |i: usize| grads.view(entries[i].param).host();
    let count = |i: usize| values(i).len().div_ceil(CHUNK);
    let chunks: Vec<&[f32]> = (0..entries.len()).flat_map(|i| values(i).chunks(CHUNK)).collect();
    let squares: Vec<f64> =
        chunks.into_par_iter().with_max_len(1).map(|g| f64::from(square(g))).collect();
    let mut rest = &squares[..];
    let norm = |i| {
        let (own, others) = rest.split_at(count(i));
        rest = others;
        own.iter().sum::<f64>().sqrt()
    };
    (0..entries.len()).map(norm).collect()
}

kernel! {
    fn square(g: &[f32]) -> f32 {
        dot(g, g)
    }
}
