//! Shifts the hue in 8-bit hue, saturation and value, as in Pillow's mode `HSV`.

use dispatch::kernel;

use super::super::normalize::unit;
use super::whole;
use crate::planes::Planes;

/// Shifts the 8-bit hue by `turns · 255`, truncated, modulo 256.
///
/// Exactly 0 turns change nothing; see [`Jitter::hue`](super::Jitter::hue).
pub(super) fn adjust(planes: &mut Planes, turns: f64) {
    if turns == 0.0 {
        return;
    }
    if let Some([red, green, blue]) = planes.colors_mut() {
        turn(red, green, blue, (turns * 255.0) as i32 as u8); // modulo 256
    }
}

kernel! {
    /// Shifts the hue in three planes of equal length.
    fn turn(red: &mut [u8], green: &mut [u8], blue: &mut [u8], shift: u8) {
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let [hue, saturation, value] = to_hsv([*red, *green, *blue].map(i32::from));
            let hue = (hue + i32::from(shift)) & 255;
            [*red, *green, *blue] = to_rgb([hue, saturation, value]).map(|value| value as u8);
        }
    }
}

/// Converts to 8-bit hue, saturation and value, truncated. The hue of gray is arbitrary.
///
/// ```text
/// V = max        S = 255 (max − min) / max        H = 255 frac(h / 6)
/// h = 1 ∓ m (R is max),  1 + m, 3 − m (G is),  3 + m, 5 − m (B is)      modulo 6
/// m = (max − mid) / (max − min)
/// ```
///
/// In single precision and without branches. Pillow computes three quotients like `m`, of which one
/// is 1 and one is 0, partly in double precision. The results are equal for all colors (tested).
#[inline(always)]
fn to_hsv([red, green, blue]: [i32; 3]) -> [i32; 3] {
    let high = red.max(green).max(blue);
    let low = red.min(green).min(blue);
    let span = high - low;
    let middle = red + green + blue - high - low;
    let m = (high - middle) as f32 / span.max(1) as f32;
    let red_is_high = if green >= blue { 1.0 - m } else { m - 1.0 };
    let green_is_high = if red >= blue { 1.0 + m } else { 3.0 - m };
    let blue_is_high = if green >= red { 3.0 + m } else { 5.0 - m };
    let not_red = if green == high { green_is_high } else { blue_is_high };
    let part = (if red == high { red_is_high } else { not_red }) / 6.0;
    let turn = if part < 0.0 { part + 1.0 } else { part };
    let saturation = (255 * span) as f32 / high.max(1) as f32;
    [whole(turn * 255.0) as i32, whole(saturation) as i32, high]
}

/// Converts 8-bit hue, saturation and value to a color; products are rounded half up.
///
/// ```text
/// p = V (1 − S)      m = V (1 − S f) in odd sixths of the wheel,  V (1 − S (1 − f)) in even ones
/// ```
///
/// where `f` is the position of the hue within its sixth. In single precision; equal to Pillow's
/// double precision for all hues, saturations and values (tested).
#[inline(always)]
fn to_rgb([hue, saturation, value]: [i32; 3]) -> [i32; 3] {
    let sixths = 6 * hue;
    let index = (sixths * 257 + 257) >> 16; // sixths / 255
    let part = unit((sixths - 255 * index) as f32);
    let saturation = unit(saturation as f32);
    let f = if index & 1 == 1 { part } else { 1.0 - part };
    let scaled = |factor: f32| whole(value as f32 * factor + 0.5) as i32;
    let (p, m) = (scaled(1.0 - saturation), scaled(1.0 - saturation * f));
    let index = if index == 6 { 0 } else { index };
    let choose = |value_at: [i32; 2], middle_at: [i32; 2]| {
        let other = if index == middle_at[0] || index == middle_at[1] { m } else { p };
        if index == value_at[0] || index == value_at[1] { value } else { other }
    };
    [choose([0, 5], [1, 4]), choose([1, 2], [0, 3]), choose([3, 4], [2, 5])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;

    /// The definition in Pillow's `Convert.c`, with the same precision in each operation.
    fn pillow_to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
        let high = red.max(green).max(blue);
        let low = red.min(green).min(blue);
        if high == low {
            return [0, 0, high];
        }
        let span = f32::from(high - low);
        let [r, g, b] = [red, green, blue].map(|value| f32::from(high - value) / span);
        let sixths = if red == high {
            b - g
        } else if green == high {
            (2.0 + f64::from(r) - f64::from(b)) as f32
        } else {
            (4.0 + f64::from(g) - f64::from(r)) as f32
        };
        let turn = f64::from(sixths) / 6.0 + 1.0; // in [5/6, 11/6]
        let hue = (if turn < 1.0 { turn } else { turn - 1.0 }) as f32;
        let saturation = span / f32::from(high);
        let to_8_bits = |part: f32| (f64::from(part) * 255.0) as u8;
        [to_8_bits(hue), to_8_bits(saturation), high]
    }

    /// The definition in Pillow's `Convert.c`.
    fn pillow_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
        if saturation == 0 {
            return [value; 3];
        }
        let sixths = f64::from(hue) * 6.0 / 255.0;
        let index = sixths as u8;
        let f = f64::from((sixths - f64::from(index)) as f32);
        let part = f64::from(f32::from(saturation) / 255.0);
        let scaled = |factor: f64| (f64::from(value) * factor + 0.5) as u8;
        let p = scaled(1.0 - part);
        let q = scaled(1.0 - part * f);
        let t = scaled(1.0 - part * (1.0 - f));
        match index % 6 {
            0 => [value, t, p],
            1 => [q, value, p],
            2 => [p, value, t],
            3 => [p, q, value],
            4 => [t, p, value],
            _ => [value, p, q],
        }
    }

    fn all_triples() -> impl Iterator<Item = [u8; 3]> {
        (0..1 << 24_u32).map(|i| [(i >> 16) as u8, (i >> 8) as u8, i as u8])
    }

    #[test]
    fn all_colors_have_pillows_hue() {
        for color in all_triples() {
            let (found, expected) = (to_hsv(color.map(i32::from)), pillow_to_hsv(color));
            let hue = if expected[1] == 0 { found[0] } else { i32::from(expected[0]) };
            let [_, saturation, value] = expected.map(i32::from);
            assert_eq!(found, [hue, saturation, value], "{color:?}");
        }
    }

    #[test]
    fn all_hues_saturations_and_values_have_pillows_color() {
        for hsv in all_triples() {
            let found = to_rgb(hsv.map(i32::from));
            assert_eq!(found, pillow_to_rgb(hsv).map(i32::from), "{hsv:?}");
        }
    }

    #[test]
    fn pure_colors_lie_at_thirds_of_the_wheel() {
        assert_eq!(to_hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(to_hsv([0, 200, 0]), [85, 255, 200]);
        assert_eq!(to_hsv([0, 0, 1]), [170, 255, 1]);
    }

    #[test]
    fn without_colors_nothing_changes() {
        for pixel in [&[90; 3][..], &[90, 3], &[90, 30, 60, 9]] {
            let image = Image8::filled(2, 2, pixel);
            let mut planes = Planes::from_image(&image);
            adjust(&mut planes, 0.4);
            assert_eq!(planes.to_image(), image);
        }
    }
}
