//! Operations that change each value by a table, and sharpening.

use multicrop::image::{Image8, RGB};

/// A table of new values for each channel.
type Tables = [[u8; 256]; RGB];

/// Stretches each channel so that its smallest value becomes 0 and its largest 255.
pub(super) fn auto_contrast(image: &mut Image8) {
    let tables = histograms(image).map(|counts| {
        let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        // truncated, as Pillow's `int`; `as` cuts off at 0 and 255
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    });
    look_up(image, &tables);
}

/// The table of Pillow's `equalize`: with `s = (pixels − those of the largest value) div 255`,
///
/// ```text
/// y(x) = (s div 2 + pixels with a value below x) div s
/// ```
pub(super) fn equalize(image: &mut Image8) {
    let tables = histograms(image).map(|counts| {
        let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (counts.iter().sum::<usize>() - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut below = step / 2;
        counts.map(|count| {
            let value = below / step;
            below += count;
            value.min(255) as u8
        })
    });
    look_up(image, &tables);
}

/// Keeps the `bits` highest bits of each value.
pub(super) fn posterize(image: &mut Image8, bits: u8) {
    let mask = 0xff00_u16.checked_shr(u32::from(bits)).unwrap_or(0) as u8;
    image.pixels_mut().iter_mut().for_each(|value| *value &= mask);
}

/// Adds to each value below 128.
pub(super) fn solarize_add(image: &mut Image8, added: u8) {
    for value in image.pixels_mut().iter_mut().filter(|value| **value < 128) {
        *value = value.saturating_add(added);
    }
}

/// `s + factor (x − s)` with the smoothed image `s`, whose borders are those of the image:
///
/// ```text
/// s = (Σ of the nine values around + 4 x) / 13, rounded
/// ```
pub(super) fn sharpen(image: &mut Image8, factor: f64) {
    let smooth = smoothed(image);
    for (value, smooth) in image.pixels_mut().iter_mut().zip(smooth) {
        let (from, to) = (f32::from(smooth), f32::from(*value));
        *value = (from + factor as f32 * (to - from)) as u8; // truncated and cut off
    }
}

fn smoothed(image: &Image8) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, stride) = (image.pixels(), width * RGB);
    let mut smooth = pixels.to_vec();
    for y in 1..height.saturating_sub(1) {
        for i in y * stride + RGB..(y + 1) * stride - RGB {
            let rows = [i - stride, i, i + stride];
            let of_row = |row: usize| [row - RGB, row, row + RGB].map(|i| u32::from(pixels[i]));
            let sum: u32 =
                rows.map(of_row).as_flattened().iter().sum::<u32>() + 4 * u32::from(pixels[i]);
            smooth[i] = ((2 * sum + 13) / 26) as u8; // to the nearest; 13 is odd, so there are no ties
        }
    }
    smooth
}

fn histograms(image: &Image8) -> [[usize; 256]; RGB] {
    let mut counts = [[0; 256]; RGB];
    for pixel in image.colors() {
        pixel.iter().zip(&mut counts).for_each(|(&value, counts)| counts[usize::from(value)] += 1);
    }
    counts
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

fn look_up(image: &mut Image8, tables: &Tables) {
    for pixel in image.colors_mut() {
        pixel.iter_mut().zip(tables).for_each(|(value, table)| *value = table[usize::from(*value)]);
    }
}
