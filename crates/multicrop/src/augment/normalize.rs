//! Normalization: bytes to the values that a model takes.

use dispatch::kernel;
use std::fmt::Debug;

use bytemuck::Pod;
use half::bf16;

use crate::image::{Image8, RGB};
use crate::planes::{DeepPlanes, Planes};

/// Mean and standard deviation of the channels of ImageNet, of values in [0, 1].
const IMAGENET: ([f64; RGB], [f64; RGB]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// Mean of the channels of ImageNet, of values in [0, 1].
pub const IMAGENET_MEAN: [f32; RGB] = single(IMAGENET.0);
/// Standard deviation of the channels of ImageNet, of values in [0, 1].
pub const IMAGENET_STD: [f32; RGB] = single(IMAGENET.1);

const fn single([r, g, b]: [f64; RGB]) -> [f32; RGB] {
    [r as f32, g as f32, b as f32]
}

/// Default mean and standard deviation of each channel: those of ImageNet for three channels,
/// otherwise ½ and ½, which maps [0, 1] to [−1, 1].
pub fn default_for(channels: usize) -> (Vec<f64>, Vec<f64>) {
    if channels == RGB {
        return (IMAGENET.0.to_vec(), IMAGENET.1.to_vec());
    }
    (vec![0.5; channels], vec![0.5; channels])
}

/// A type of values that a model takes: `f32` or `bf16`.
pub trait Element: Pod + Default + PartialEq + Debug + Send + Sync {
    /// Standardizes one channel: see [`apply`].
    fn standardize(values: &[u8], mean: f32, std: f32, out: &mut [Self]);

    /// Standardizes one channel of a deep image: see [`apply_deep`].
    fn standardize_deep(values: &[f32], mean: f32, std: f32, out: &mut [Self]);
}

impl Element for f32 {
    fn standardize(values: &[u8], mean: f32, std: f32, out: &mut [Self]) {
        standardize_f32(values, mean, std, out);
    }

    fn standardize_deep(values: &[f32], mean: f32, std: f32, out: &mut [Self]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = (value - mean) / std;
        }
    }
}

/// Computed in single precision, then rounded to nearest, ties to even.
impl Element for bf16 {
    fn standardize(values: &[u8], mean: f32, std: f32, out: &mut [Self]) {
        standardize_bf16(values, mean, std, out);
    }

    fn standardize_deep(values: &[f32], mean: f32, std: f32, out: &mut [Self]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = Self::from_bits(round((value - mean) / std));
        }
    }
}

/// Scales to [0, 1], standardizes and separates the channels.
///
/// ```text
/// out_c = (x_c / 255 − mean_c) / std_c
/// ```
///
/// # Shapes and units
/// `image` is `[height, width, channels]`, `out` is `[channels, height, width]`. Computed in single
/// precision and rounded after each of the three operations, as in torchvision's `to_tensor` and
/// `normalize`.
///
/// # Panics
/// If `out` and the image differ in length, or `mean` or `std` does not have one value for each
/// channel.
pub fn apply<T: Element>(
    image: &Image8,
    mean: impl AsRef<[f32]>,
    std: impl AsRef<[f32]>,
    out: &mut [T],
) {
    apply_to(&Planes::from_image(image), mean.as_ref(), std.as_ref(), out);
}

/// As [`apply`], on planes.
///
/// # Panics
/// As [`apply`].
pub fn apply_to<T: Element>(planes: &Planes, mean: &[f32], std: &[f32], out: &mut [T]) {
    each_channel(planes, mean, std, out, T::standardize);
}

/// Standardizes and separates the channels of a deep image: `out_c = (x_c − mean_c) / std_c`.
///
/// # Panics
/// As [`apply`].
pub fn apply_deep<T: Element>(planes: &DeepPlanes, mean: &[f32], std: &[f32], out: &mut [T]) {
    each_channel(planes, mean, std, out, T::standardize_deep);
}

fn each_channel<P: Copy + Default, T>(
    planes: &Planes<P>,
    mean: &[f32],
    std: &[f32],
    out: &mut [T],
    standardize: impl Fn(&[P], f32, f32, &mut [T]),
) {
    assert_eq!(out.len(), planes.values().len(), "length of the output");
    assert_eq!([mean.len(), std.len()], [planes.channels(); 2], "mean and std for each channel");
    let outs = out.chunks_exact_mut(planes.width() * planes.height());
    for ((plane, out), (&mean, &std)) in planes.iter().zip(outs).zip(mean.iter().zip(std)) {
        standardize(plane, mean, std, out);
    }
}

kernel! {
    fn standardize_f32(values: &[u8], mean: f32, std: f32, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = (unit(f32::from(value)) - mean) / std;
        }
    }
}

kernel! {
    fn standardize_bf16(values: &[u8], mean: f32, std: f32, out: &mut [bf16]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = bf16::from_bits(round((unit(f32::from(value)) - mean) / std));
        }
    }
}

/// `x / 255` for whole numbers from 0 to 255, rounded to nearest.
///
/// ```text
/// 1 / 255 = 257 / 2¹⁶ + 1 / (255 · 2¹⁶)
/// ```
///
/// The first product is exact, so only the sum rounds (tested for all 256 values). A division would
/// take several times as long.
#[inline(always)]
pub(crate) fn unit(x: f32) -> f32 {
    x * (257.0 / 65_536.0) + x * (1.0 / (255.0 * 65_536.0))
}

/// Rounds a finite number to the bits of `bf16`: to nearest, ties to even.
#[inline(always)]
fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn channels_are_standardized_and_separated() {
        let image = Image8::new(2, 1, vec![0, 51, 255, 255, 0, 0]).unwrap();
        let mut out = [f32::NAN; 6];
        apply(&image, [0.5, 0.2, 0.0], [0.5, 1.0, 2.0], &mut out);
        assert_eq!(out, [-1.0, 1.0, 0.0, -0.2, 0.5, 0.0]);
    }

    #[test]
    fn bytes_are_divided_by_255_to_the_last_bit() {
        for value in 0..=255_u8 {
            let value = f32::from(value);
            assert_eq!(unit(value).to_bits(), (value / 255.0).to_bits());
        }
    }

    #[test]
    fn six_channels_have_their_own_mean_and_deviation() {
        let image = Image8::filled(5, 3, &[0, 51, 102, 153, 204, 255]);
        let (mut mean, mut std) = ([0.5; 6], [0.5; 6]);
        (mean[5], std[5]) = (0.0, 2.0);
        let mut out = [f32::NAN; 90];
        apply(&image, mean, std, &mut out);
        for (channel, plane) in out.chunks(15).enumerate() {
            let expected = ((51 * channel) as f32 / 255.0 - mean[channel]) / std[channel];
            assert!(plane.iter().all(|value| *value == expected));
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_standardized_as_written_in_both_precisions(
            mean in -2.0_f32..2.0,
            std in 0.001_f32..4.0,
        ) {
            let bytes: Vec<u8> = (0..=255).collect();
            let (mut single, mut half) = ([0.0; 256], [bf16::ZERO; 256]);
            f32::standardize(&bytes, mean, std, &mut single);
            bf16::standardize(&bytes, mean, std, &mut half);
            for (value, (single, half)) in bytes.into_iter().zip(single.into_iter().zip(half)) {
                let expected = (f32::from(value) / 255.0 - mean) / std;
                prop_assert_eq!(single.to_bits(), expected.to_bits());
                prop_assert_eq!(half.to_bits(), bf16::from_f32(expected).to_bits());
            }
        }
    }
}
