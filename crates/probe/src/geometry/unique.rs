//! Counts prototypes that are not near-duplicates of others, by a greedy cover of the sphere.

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;

/// Directions that are compared with all representatives at once.
const BLOCK: usize = 256;
/// Representatives that one thread compares them with at once.
const TILE: usize = 512;

/// Indices of the directions that represent all others. Going through the directions in order, one
/// becomes a representative unless an earlier representative has a cosine above `cosine` with it.
///
/// ```text
/// k is a representative   ⇔   ⟨μⱼ, μₖ⟩ ≤ cosine for all representatives j < k
/// ```
///
/// Their number is the paper's number of unique prototypes, `M`. Its cosine distance of 0.025 is
/// `cosine = 0.975`.
///
/// # Shapes
/// `directions` are unit vectors, `[k, width]`.
///
/// # Cost
/// Up to k² · width multiplications. Memory, without that of the representatives, does not grow with k.
/// Tiles have a fixed size, so the number of threads changes no bit.
///
/// # Panics
/// If `width` is 0 or does not divide the number of values.
///
/// # Source
/// Govindarajan et al., *On Partial Prototype Collapse in the DINO Family of Self-Supervised
/// Methods*, arXiv:2410.14060, defines the number by a distance to representatives; the order in which
/// they are chosen is ours.
pub fn unique_prototypes(directions: &[f32], width: usize, cosine: f32) -> Vec<usize> {
    assert!(directions.len().is_multiple_of(width), "directions of width {width}");
    let (mut chosen, mut vectors) = (Vec::new(), Vec::new());
    for (block, rows) in directions.chunks(BLOCK * width).enumerate() {
        let mut covered = covered(rows, &vectors, width, cosine);
        let count = covered.len();
        let cosines = cosines(rows, rows, width);
        for k in 0..count {
            if covered[k] {
                continue;
            }
            chosen.push(block * BLOCK + k);
            vectors.extend_from_slice(&rows[k * width..][..width]);
            let near = cosines[k * count..][..count].iter().map(|&other| other > cosine);
            covered.iter_mut().zip(near).for_each(|(covered, near)| *covered |= near);
        }
    }
    chosen
}

/// Which rows of `block` a representative covers.
fn covered(block: &[f32], representatives: &[f32], width: usize, cosine: f32) -> Vec<bool> {
    let rows = block.len() / width;
    let tiles = representatives.par_chunks(TILE * width).map(|tile| {
        let cosines = cosines(block, tile, width);
        let rows = cosines.chunks_exact(tile.len() / width);
        rows.map(|row| row.iter().any(|&other| other > cosine)).collect::<Vec<bool>>()
    });
    let mut either = vec![false; rows];
    for covered in tiles.collect::<Vec<_>>() {
        either.iter_mut().zip(covered).for_each(|(either, covered)| *either |= covered);
    }
    either
}

/// `⟨aᵢ, bⱼ⟩`, `[rows of a, rows of b]`.
fn cosines(a: &[f32], b: &[f32], width: usize) -> Buffer {
    let (m, n) = (a.len() / width, b.len() / width);
    let mut cosines = Buffer::take(m * n);
    let (a, b) = (Mat::new(a, m, width), Mat::new(b, n, width));
    matmul(MatMut::new(&mut cosines, m, n), a, b.t(), Product::ONE);
    cosines
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
    fn opposite_directions_are_different() {
        assert_eq!(unique_prototypes(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0], 2, 0.975).len(), 3);
    }

    #[test]
    fn tiles_give_the_count_of_the_definition() {
        // Several blocks, several tiles of representatives, groups that overlap.
        let directions = grouped(700, 3, 12, 0.5);
        for cosine in [0.8, 0.9, 0.95, 0.975] {
            let expected = naive(&directions, 12, f64::from(cosine));
            assert_eq!(unique_prototypes(&directions, 12, cosine).len(), expected, "{cosine}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let directions = grouped(900, 2, 8, 0.4);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| unique_prototypes(&directions, 8, 0.95))
        };
        assert_eq!(on(1), on(3));
    }

    fn at(degrees: f32) -> [f32; 2] {
        [degrees.to_radians().cos(), degrees.to_radians().sin()]
    }

    #[test]
    fn a_chain_is_covered_from_its_first_link() {
        // cos 25.8° = 0.9: 20° is covered by 0°, 40° is not, and covers 60°
        let chain = [0.0, 20.0, 40.0, 60.0, 200.0].map(at).concat();
        assert_eq!(unique_prototypes(&chain, 2, 0.9), [0, 2, 4]);
        assert_eq!(unique_prototypes(&chain, 2, 0.95).len(), 5);
        assert_eq!(unique_prototypes(&[], 2, 0.9), [0; 0]);
        assert_eq!(unique_prototypes(&[1.0], 1, 0.9), [0]);
    }

    #[test]
    fn copies_are_found_in_other_blocks() {
        let many: Vec<f32> = (0..3 * BLOCK).flat_map(|i| at((i % 5) as f32 * 60.0)).collect();
        assert_eq!(unique_prototypes(&many, 2, 0.975), [0, 1, 2, 3, 4]);
        let spread: Vec<f32> = (0..600).flat_map(|i| at(i as f32 * 0.6)).collect();
        // every fourth of the circle's 600 points: cos 1.8° > 0.9993 > cos 2.4°
        assert_eq!(unique_prototypes(&spread, 2, 0.9993).len(), 150);
    }
}
