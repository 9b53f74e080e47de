//! How many prototypes are no copies of others: a greedy cover of the sphere.

use engine::matmul::{Mat, MatMut, Threads, Write, matmul};
use rayon::prelude::*;

/// Directions of a block.
const BLOCK: usize = 256;

/// Numbers of the directions that stand for all: each direction that no earlier representative is
/// nearer to than `cosine` becomes one itself.
///
/// ```text
/// k is a representative   ⇔   ⟨μⱼ, μₖ⟩ ≤ cosine for all representatives j < k
/// ```
///
/// Their number is that of unique prototypes, `M`; a cosine distance of 0.025 is `cosine = 0.975`.
///
/// # Shapes
/// `directions` are unit vectors, `[k, width]`.
///
/// # Source
/// Govindarajan et al., *On Partial Prototype Collapse in the DINO Family of Self-Supervised
/// Methods*, arXiv:2410.14060, for the definition by a distance to representatives; the order in
/// which these are chosen is ours.
pub fn unique(directions: &[f32], width: usize, cosine: f32) -> Vec<usize> {
    let (mut chosen, mut vectors) = (Vec::new(), Vec::new());
    for (block, rows) in directions.chunks(BLOCK * width.max(1)).enumerate() {
        let count = rows.len() / width.max(1);
        let mut covered = covered_by(&vectors, rows, width, cosine);
        let mut products = vec![0.0; count * count];
        let to = MatMut::new(&mut products, count, count);
        let rows_matrix = Mat::new(rows, count, width);
        matmul(to, Write::Over, 1.0, rows_matrix, rows_matrix.t(), Threads::All);
        for k in 0..count {
            if covered[k] {
                continue;
            }
            chosen.push(block * BLOCK + k);
            vectors.extend_from_slice(&rows[k * width..][..width]);
            let near = products[k * count..][..count].iter().map(|&product| product > cosine);
            covered.iter_mut().zip(near).for_each(|(covered, near)| *covered |= near);
        }
    }
    chosen
}

/// Which of the `rows` are nearer to one of the `vectors` than `cosine`.
fn covered_by(vectors: &[f32], rows: &[f32], width: usize, cosine: f32) -> Vec<bool> {
    let count = rows.len() / width.max(1);
    let tiles = vectors.par_chunks(BLOCK * width.max(1)).map(|tile| {
        let n = tile.len() / width;
        let mut products = vec![0.0; count * n];
        let to = MatMut::new(&mut products, count, n);
        let (rows, tile) = (Mat::new(rows, count, width), Mat::new(tile, n, width));
        matmul(to, Write::Over, 1.0, rows, tile.t(), Threads::One);
        let near = |products: &[f32]| products.iter().any(|&product| product > cosine);
        products.chunks_exact(n).map(near).collect::<Vec<bool>>()
    });
    let mut covered = vec![false; count];
    for tile in tiles.collect::<Vec<_>>() {
        covered.iter_mut().zip(tile).for_each(|(covered, near)| *covered |= near);
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(degrees: f32) -> [f32; 2] {
        [degrees.to_radians().cos(), degrees.to_radians().sin()]
    }

    #[test]
    fn a_chain_is_covered_from_its_first_link() {
        // cos 25.8° = 0.9: 20° is covered by 0°, 40° is not, and covers 60°
        let chain = [0.0, 20.0, 40.0, 60.0, 200.0].map(at).concat();
        assert_eq!(unique(&chain, 2, 0.9), [0, 2, 4]);
        assert_eq!(unique(&chain, 2, 0.95).len(), 5);
        assert_eq!(unique(&[], 2, 0.9), [0; 0]);
        assert_eq!(unique(&[1.0], 1, 0.9), [0]);
    }

    #[test]
    fn copies_are_found_in_other_blocks() {
        let many: Vec<f32> = (0..3 * BLOCK).flat_map(|i| at((i % 5) as f32 * 60.0)).collect();
        assert_eq!(unique(&many, 2, 0.975), [0, 1, 2, 3, 4]);
        let spread: Vec<f32> = (0..600).flat_map(|i| at(i as f32 * 0.6)).collect();
        // every fourth of the circle's 600 points: cos 1.8° > 0.9993 > cos 2.4°
        assert_eq!(unique(&spread, 2, 0.9993).len(), 150);
    }
}
