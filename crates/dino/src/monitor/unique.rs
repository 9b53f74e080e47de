//! How many prototypes are left if near-duplicates count once.
//!
//! ```text
//! M = number of representatives of a greedy cover: in order, μₖ becomes one
//!     unless ⟨μₖ, v⟩ > cosine for one that is there already
//! ```
//!
//! A cosine distance of ε is a `cosine` of 1 − ε. The cover's size depends a little on the order; the
//! order is that of the rows.
//!
//! Source: the definition of partial prototype collapse, with ε = 0.025, of Govindarajan et al., *On
//! Partial Prototype Collapse in the DINO Family of Self-Supervised Methods*, arXiv:2410.14060.

use engine::matmul::{Mat, MatMut, Threads, Write, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;

/// Rows that are compared with all representatives at a time.
const ROWS: usize = 256;
/// Representatives that one thread compares them with at a time.
const TILE: usize = 512;

/// Number of representatives of unit vectors `directions`, `[k, width]`.
///
/// Takes up to k² · width multiplications; memory beside the representatives does not grow with k.
/// Products are computed in tiles of a fixed size, so the number of threads changes nothing.
///
/// # Panics
/// If `width` is 0 or does not divide the number of values.
pub fn unique(directions: &[f32], width: usize, cosine: f32) -> usize {
    assert!(directions.len().is_multiple_of(width), "directions of width {width}");
    let mut representatives: Vec<f32> = Vec::new();
    for block in directions.chunks(ROWS * width) {
        let mut covered = covered(block, &representatives, width, cosine);
        let rows = covered.len();
        let products = products(block, block, width);
        for i in 0..rows {
            if covered[i] {
                continue;
            }
            representatives.extend(&block[i * width..][..width]);
            let row = &products[i * rows..][..rows];
            for j in i + 1..rows {
                covered[j] |= row[j] > cosine;
            }
        }
    }
    representatives.len() / width
}

/// Which rows of `block` a representative covers.
fn covered(block: &[f32], representatives: &[f32], width: usize, cosine: f32) -> Vec<bool> {
    let rows = block.len() / width;
    let tiles = representatives.par_chunks(TILE * width).map(|tile| {
        let products = products(block, tile, width);
        let rows = products.chunks_exact(tile.len() / width);
        rows.map(|row| row.iter().any(|&product| product > cosine)).collect::<Vec<bool>>()
    });
    let mut either = vec![false; rows];
    for covered in tiles.collect::<Vec<_>>() {
        either.iter_mut().zip(covered).for_each(|(either, covered)| *either |= covered);
    }
    either
}

/// `⟨aᵢ, bⱼ⟩`, `[rows of a, rows of b]`.
fn products(a: &[f32], b: &[f32], width: usize) -> Buffer {
    let (m, n) = (a.len() / width, b.len() / width);
    let mut products = Buffer::take(m * n);
    let (a, b) = (Mat::new(a, m, width), Mat::new(b, n, width));
    matmul(MatMut::new(&mut products, m, n), Write::Over, 1.0, a, b.t(), Threads::One);
    products
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use streams::{Key, Purpose};

    use super::*;

    /// Unit vectors, `copies` noisy ones around each of `groups` directions.
    fn grouped(groups: usize, copies: usize, width: usize, noise: f32) -> Vec<f32> {
        let mut rng = Key::new(3, Purpose::Bench).open();
        let mut draw = |scale: f32| -> Vec<f32> {
            (0..width).map(|_| scale * rng.random_range(-1.0f32..1.0)).collect()
        };
        let centers: Vec<_> = (0..groups).map(|_| draw(1.0)).collect();
        let mut all = Vec::new();
        for _ in 0..copies {
            for center in &centers {
                let near: Vec<f32> = center.iter().zip(draw(noise)).map(|(a, b)| a + b).collect();
                let norm = near.iter().map(|x| x * x).sum::<f32>().sqrt();
                all.extend(near.iter().map(|x| x / norm));
            }
        }
        all
    }

    /// The definition, in f64, one row after the other.
    fn naive(directions: &[f32], width: usize, cosine: f64) -> usize {
        let mut representatives: Vec<&[f32]> = Vec::new();
        let cos = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        for row in directions.chunks_exact(width) {
            if representatives.iter().all(|other| cos(row, other) <= cosine) {
                representatives.push(row);
            }
        }
        representatives.len()
    }

    #[test]
    fn copies_count_once() {
        assert_eq!(unique(&grouped(7, 100, 16, 0.0), 16, 0.975), 7);
        assert_eq!(unique(&grouped(1, 1, 5, 0.0), 5, 0.9), 1);
        assert_eq!(unique(&[], 5, 0.9), 0);
    }

    #[test]
    fn opposite_directions_are_different() {
        assert_eq!(unique(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0], 2, 0.975), 3);
    }

    #[test]
    fn tiles_count_as_the_definition_does() {
        // Several blocks, several tiles of representatives, groups that overlap.
        let directions = grouped(700, 3, 12, 0.5);
        for cosine in [0.8, 0.9, 0.95, 0.975] {
            let expected = naive(&directions, 12, f64::from(cosine));
            assert_eq!(unique(&directions, 12, cosine), expected, "{cosine}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let directions = grouped(900, 2, 8, 0.4);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| unique(&directions, 8, 0.95))
        };
        assert_eq!(on(1), on(3));
    }
}
