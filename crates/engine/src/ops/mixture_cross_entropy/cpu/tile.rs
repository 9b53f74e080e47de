//! Tiles of prototypes: of a fixed size, shared by a fixed number of lanes.

use std::ops::Range;

use matmul::{Mat, MatMut, Product, matmul};
use pool::Buffer;

use super::Prototypes;
use crate::simd::dot;
use crate::tensor::Tensor;
use dispatch::kernel;

/// Prototypes of a tile.
pub(super) const TILE: usize = 512;

/// Most lanes, which run in parallel. Fixed, so that sums have one order.
const LANES: usize = 16;

/// The prototypes of each lane, in order; all but the last are whole tiles.
pub(super) fn lanes(k: usize) -> Vec<Range<usize>> {
    let tiles = k.div_ceil(TILE);
    let count = tiles.clamp(1, LANES);
    let bound = |lane: usize| (lane * tiles / count * TILE).min(k);
    (0..count).map(|lane| bound(lane)..bound(lane + 1)).collect()
}

/// The tiles of a lane.
pub(super) fn tiles(lane: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    lane.clone().step_by(TILE).map(move |start| start..(start + TILE).min(lane.end))
}

/// Raw products and what turns them into scores, for one network and one tile.
pub(super) struct Tile {
    /// `⟨vₖ, yᵢ⟩`, `[rows, n]`; callers turn it into what they need in place.
    pub products: Buffer,
    /// `1 / ‖vₖ‖`, `[n]`.
    pub inverse_norms: Vec<f32>,
    /// `gₖ / (τ ‖vₖ‖)`, `[n]`: from products to scores.
    pub scales: Vec<f32>,
}

impl Tile {
    pub(super) fn new(rows: usize) -> Self {
        let vectors = || Vec::with_capacity(TILE);
        Self { products: Buffer::take(rows * TILE), inverse_norms: vectors(), scales: vectors() }
    }

    /// Fills the tile with the products of `y`, `[rows, r]`, and these prototypes.
    pub(super) fn fill(&mut self, y: &Tensor, p: &Prototypes<'_>, range: &Range<usize>) {
        let (n, rows, r) = (range.len(), y.rows(), y.width());
        let v = &p.v[range.start * r..range.end * r];
        let products = MatMut::new(&mut self.products, rows, n);
        matmul(products, Mat::new(y.host(), rows, r), Mat::new(v, n, r).t(), Product::ONE);
        self.inverse_norms.clear();
        self.scales.clear();
        self.inverse_norms.resize(n, 0.0);
        inverse_norms(v, r, &mut self.inverse_norms);
        let norms = self.inverse_norms.iter().zip(&p.g[range.clone()]);
        self.scales.extend(norms.map(|(inverse, g)| g * inverse / p.temperature));
    }
}

kernel! {
    fn inverse_norms(v: &[f32], r: usize, out: &mut [f32]) {
        for (v, inverse) in v.chunks_exact(r).zip(out) {
            *inverse = 1.0 / dot(v, v).sqrt().max(f32::MIN_POSITIVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_tiles_cover_every_prototype_once() {
        for k in [1, 40, 512, 513, 8192, 8193, 65_536, 100_001] {
            let covered: Vec<usize> = lanes(k).into_iter().flat_map(tiles).flatten().collect();
            assert_eq!(covered, (0..k).collect::<Vec<_>>());
        }
    }
}
