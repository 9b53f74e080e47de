//! From bytes to the numbers that a model sees.

use crate::image::{Image8, RGB};

/// Mean of the channels of ImageNet, of values in [0, 1].
pub const IMAGENET_MEAN: [f32; RGB] = [0.485, 0.456, 0.406];
/// Standard deviation of the channels of ImageNet, of values in [0, 1].
pub const IMAGENET_STD: [f32; RGB] = [0.229, 0.224, 0.225];

/// Scales to [0, 1], standardizes each channel, and separates the channels.
///
/// ```text
/// out_c = (x_c / 255 − mean_c) / std_c
/// ```
///
/// # Shapes and units
/// `image` is `[height, width, 3]`, `out` is `[3, height, width]`; single precision, rounded after
/// each of the three operations as `to_tensor` and `normalize` of torchvision round.
///
/// # Panics
/// If `out` is not `3 * height * width` long.
pub fn apply(image: &Image8, mean: [f32; RGB], std: [f32; RGB], out: &mut [f32]) {
    let colors = image.colors();
    assert_eq!(out.len(), image.pixels().len(), "room for a normalized image");
    for (channel, plane) in out.chunks_exact_mut(colors.len()).enumerate() {
        let (mean, std) = (mean[channel], std[channel]);
        let table: [f32; 256] = std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
        for (out, color) in plane.iter_mut().zip(colors) {
            *out = table[usize::from(color[channel])];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_standardized_and_separated() {
        let image = Image8::new(2, 1, vec![0, 51, 255, 255, 0, 0]).unwrap();
        let mut out = [f32::NAN; 6];
        apply(&image, [0.5, 0.2, 0.0], [0.5, 1.0, 2.0], &mut out);
        assert_eq!(out, [-1.0, 1.0, 0.0, -0.2, 0.5, 0.0]);
    }
}
