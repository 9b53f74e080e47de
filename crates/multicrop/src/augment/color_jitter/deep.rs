//! The color changes of this module for deep images: the same formulas in single precision, cut off at
//! 0 and 1 and not rounded.

use dispatch::kernel;

use super::super::grayscale::luma_of_floats;
use super::{Adjustment, Jitter};
use crate::image::RGB;
use crate::planes::DeepPlanes;

/// Changes the colors of a deep image in the order of `jitter`. Where [`apply`](super::apply) changes
/// nothing, because of the number of channels, neither does this.
pub fn apply_deep(jitter: &Jitter, planes: &mut DeepPlanes) {
    let factor = |factor: f64| factor as f32;
    for adjustment in jitter.order {
        match adjustment {
            Adjustment::Brightness => adjust_brightness(planes, factor(jitter.brightness)),
            Adjustment::Contrast => adjust_contrast(planes, factor(jitter.contrast)),
            Adjustment::Saturation => adjust_saturation(planes, factor(jitter.saturation)),
            Adjustment::Hue => adjust_hue(planes, factor(jitter.hue)),
        }
    }
}

fn adjust_brightness(planes: &mut DeepPlanes, factor: f32) {
    if [1, RGB].contains(&planes.channels()) {
        blend_with_constant(planes.values_mut(), 0.0, factor);
    }
}

/// The mean luma is a sum in double precision, in the order of the pixels.
fn adjust_contrast(planes: &mut DeepPlanes, factor: f32) {
    let pixels = planes.width() * planes.height();
    let sum: f64 = match (planes.colors(), planes.channels()) {
        (Some([red, green, blue]), _) => {
            let pixels = red.iter().zip(green).zip(blue);
            pixels.map(|((&r, &g), &b)| f64::from(luma_of_floats([r, g, b]))).sum()
        }
        (None, 1) => planes.values().iter().map(|&value| f64::from(value)).sum(),
        _ => return,
    };
    blend_with_constant(planes.values_mut(), (sum / pixels as f64) as f32, factor);
}

fn adjust_saturation(planes: &mut DeepPlanes, factor: f32) {
    let Some([red, green, blue]) = planes.colors_mut() else { return };
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let gray = luma_of_floats([*red, *green, *blue]);
        for value in [red, green, blue] {
            *value = blend(gray, *value, factor);
        }
    }
}

/// Turns the hue; exactly 0 turns change nothing.
fn adjust_hue(planes: &mut DeepPlanes, turns: f32) {
    if turns == 0.0 {
        return;
    }
    let Some([red, green, blue]) = planes.colors_mut() else { return };
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        [*red, *green, *blue] = turned([*red, *green, *blue], turns);
    }
}

/// The color with its hue turned, at the same saturation and value.
///
/// ```text
/// V = max      C = max − min      h = (G − B) / C  (R is max),  2 + (B − R) / C,  4 + (R − G) / C
/// out_n = V − C max(0, min(k, 4 − k, 1))      k = (n + h + 6 turns) mod 6      n = 5, 3, 1
/// ```
fn turned([red, green, blue]: [f32; 3], turns: f32) -> [f32; 3] {
    let high = red.max(green).max(blue);
    let span = high - red.min(green).min(blue);
    if span <= 0.0 {
        return [red, green, blue];
    }
    let sixths = if high == red {
        (green - blue) / span
    } else if high == green {
        2.0 + (blue - red) / span
    } else {
        4.0 + (red - green) / span
    };
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + sixths + 6.0 * turns).rem_euclid(6.0);
        high - span * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

kernel! {
    fn blend_with_constant(values: &mut [f32], from: f32, factor: f32) {
        for value in values {
            *value = blend(from, *value, factor);
        }
    }
}

/// `from + factor · (to − from)`, cut off at 0 and 1.
#[inline(always)]
fn blend(from: f32, to: f32, factor: f32) -> f32 {
    let value = from + factor * (to - from);
    let value = if value > 0.0 { value } else { 0.0 };
    if value < 1.0 { value } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_turn_by_thirds_to_the_next_color() {
        assert_eq!(turned([1.0, 0.0, 0.0], 1.0 / 3.0), [0.0, 1.0, 0.0]);
        assert_eq!(turned([0.0, 0.5, 0.25], 0.0), [0.0, 0.5, 0.25]);
        assert_eq!(turned([0.3; 3], 0.2), [0.3; 3]);
        let color = turned([0.9, 0.2, 0.4], -0.25);
        let back = turned(color, 0.25);
        assert!(back.iter().zip([0.9, 0.2, 0.4]).all(|(a, b)| (a - b).abs() < 1e-6), "{back:?}");
    }
}
