//! Vectors of an image for retrieval: pooling of patches, and views of several sizes.
//!
//! ```text
//! GeM     gᵢ = (⟨max(xᵢ, 10⁻⁶)ᵖ⟩ over patches)^(1/p)
//! scales  v = ⟨f(image at scale s)⟩ over s, then of unit length
//! ```
//!
//! Source of GeM: Radenović et al., *Fine-tuning CNN image retrieval with no human annotation*, TPAMI 2019.

use engine::ops::patch_embed::Images;
use rayon::prelude::*;

/// Patches below this count as this, so that powers exist.
const LEAST: f64 = 1e-6;

/// Generalized mean of patch tokens `[patches, d]` with exponent `p`, `[d]`.
///
/// # Panics
/// If `d` is zero.
pub fn gem(patches: &[f32], d: usize, p: f64) -> Vec<f32> {
    let count = (patches.len() / d) as f64;
    let mut sums = vec![0.0f64; d];
    for patch in patches.chunks_exact(d) {
        sums.iter_mut().zip(patch).for_each(|(sum, x)| *sum += f64::from(*x).max(LEAST).powf(p));
    }
    sums.into_iter().map(|sum| (sum / count).powf(1.0 / p) as f32).collect()
}

/// An image `[channels, height, width]` scaled by `scale`, with both sides rounded down and then cut at the right and
/// at the bottom to whole patches; with its shape. A side is one patch at least.
///
/// Values are those of [`bilinear`]. For a scale of 1 the image is only cut.
pub fn scaled(pixels: &[f32], images: &Images, scale: f64, patch: usize) -> (Vec<f32>, Images) {
    let side = |side: usize| {
        let scaled = (side as f64 * scale).floor() as usize;
        (scaled / patch).max(1) * patch
    };
    let size = (side(images.height), side(images.width));
    let shape = Images { height: size.0, width: size.1, ..*images };
    (bilinear(pixels, images, size, [scale; 2]), shape)
}

/// An image `[channels, height, width]` in another size, `[channels, to height, to width]`, bilinear without a filter:
/// the value at `x` is that at `(x + ½) / scale − ½` of the image, where positions outside have the value of the
/// border. `scales` are those of rows and of columns.
pub fn bilinear(
    pixels: &[f32],
    images: &Images,
    (height, width): (usize, usize),
    scales: [f64; 2],
) -> Vec<f32> {
    let rows = taps(height, images.height, scales[0]);
    let columns = taps(width, images.width, scales[1]);
    let mut out = vec![0.0; images.channels * height * width];
    out.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
        let plane = &pixels[row / height * images.height * images.width..];
        let (above, below, down) = rows[row % height];
        let line = |y: usize| &plane[y * images.width..][..images.width];
        let (above, below) = (line(above), line(below));
        for (out, &(left, right, across)) in out.iter_mut().zip(&columns) {
            let between = |line: &[f32]| line[left] + across * (line[right] - line[left]);
            let (top, bottom) = (between(above), between(below));
            *out = top + down * (bottom - top);
        }
    });
    out
}

/// For each position the two positions of the source that it lies between, and the share of the second.
fn taps(len: usize, source: usize, scale: f64) -> Vec<(usize, usize, f32)> {
    let tap = |i: usize| {
        let at = ((i as f64 + 0.5) / scale - 0.5).clamp(0.0, (source - 1) as f64);
        let first = at.floor() as usize;
        (first, (first + 1).min(source - 1), (at - first as f64) as f32)
    };
    (0..len).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(height: usize, width: usize) -> Images {
        Images { count: 1, channels: 2, height, width }
    }

    #[test]
    fn gem_is_that_of_the_definition() {
        let patches = [1.0, -5.0, 3.0, 2.0];
        let found = gem(&patches, 2, 4.0);
        let expected = [((1.0f64 + 81.0) / 2.0).powf(0.25), (16.0f64 / 2.0).powf(0.25)];
        found.iter().zip(expected).for_each(|(x, e)| assert!((f64::from(*x) - e).abs() < 1e-6));
        let mean = gem(&[1.0, 4.0, 3.0, 2.0], 2, 1.0);
        assert_eq!(mean, [2.0, 3.0]);
    }

    #[test]
    fn half_size_is_the_mean_of_four_and_full_size_is_cut() {
        let pixels: Vec<f32> = (0..2 * 8 * 10).map(|i| (i * i % 37) as f32).collect();
        let (half, size) = scaled(&pixels, &shape(8, 10), 0.5, 2);
        assert_eq!((size.height, size.width), (4, 4), "5 columns are cut to whole patches");
        for (i, found) in half.iter().enumerate() {
            let (c, y, x) = (i / 16, i / 4 % 4 * 2, i % 4 * 2);
            let at = |y: usize, x: usize| pixels[c * 80 + y * 10 + x];
            let mean = (at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1)) / 4.0;
            assert!((found - mean).abs() < 1e-5, "{found} at {i}, {mean} expected");
        }
        let (same, size) = scaled(&pixels, &shape(8, 10), 1.0, 4);
        assert_eq!((size.height, size.width), (8, 8));
        assert_eq!(same[8..16], pixels[10..18], "the second row");
    }

    #[test]
    fn a_slope_stays_a_slope() {
        let pixels: Vec<f32> = (0..2 * 64 * 64).map(|i| (i % 64) as f32).collect();
        let scale = 1.0 / 2f64.sqrt();
        let (out, size) = scaled(&pixels, &shape(64, 64), scale, 1);
        assert_eq!((size.height, size.width), (45, 45));
        for (x, found) in out[..45].iter().enumerate() {
            let expected = (x as f64 + 0.5) / scale - 0.5;
            assert!((f64::from(*found) - expected.min(63.0)).abs() < 1e-4, "{found} at {x}");
        }
    }

    #[test]
    fn small_images_are_a_patch_at_least() {
        let (out, size) = scaled(&[1.0; 2 * 3 * 3], &shape(3, 3), 0.5, 8);
        assert_eq!((size.height, size.width, out), (8, 8, vec![1.0; 2 * 64]));
    }
}
