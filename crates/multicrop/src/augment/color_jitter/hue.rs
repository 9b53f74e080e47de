//! Turns of the color wheel in 8-bit hue, saturation and value, as Pillow's mode `HSV` has them.

use crate::image::Image8;

/// Shifts the 8-bit hue by `turns · 255`, fraction cut off, modulo 256.
///
/// `turns` of exactly 0 leaves the image alone; see [`Jitter::hue`](super::Jitter::hue).
pub(super) fn adjust(image: &mut Image8, turns: f64) {
    if turns == 0.0 {
        return;
    }
    let shift = (turns * 255.0) as i32 as u8; // modulo 256
    let sectors: [Sector; 256] = std::array::from_fn(|hue| Sector::new(hue as u8));
    for color in image.colors_mut() {
        let [hue, saturation, value] = to_hsv(*color);
        *color = sectors[usize::from(hue.wrapping_add(shift))].to_rgb(saturation, value);
    }
}

/// 8-bit hue, saturation and value; fractions are cut off.
///
/// ```text
/// V = max        S = 255 (max − min) / max        H = 255 frac(1 + h / 6)
/// h = b − g (R is max),   2 + r − b (G is),   4 + g − r (B is)
/// r = (max − R) / (max − min), g and b likewise
/// ```
///
/// Pillow rounds `r`, `g`, `b`, `h` and `S` to single precision and has double precision between.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
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

/// Where on the color wheel an 8-bit hue lies: which sixth, and how far into it.
#[derive(Clone, Copy)]
struct Sector {
    index: u8,
    part: f64, // in [0, 1)
}

impl Sector {
    fn new(hue: u8) -> Self {
        let sixths = f64::from(hue) * 6.0 / 255.0;
        let index = sixths as u8;
        Self { index, part: f64::from((sixths - f64::from(index)) as f32) }
    }

    /// The color; products are rounded half up.
    ///
    /// ```text
    /// p = V (1 − S)      q = V (1 − S f)      t = V (1 − S (1 − f))      f = `part`
    /// ```
    fn to_rgb(self, saturation: u8, value: u8) -> [u8; 3] {
        if saturation == 0 {
            return [value; 3];
        }
        let part = f64::from(f32::from(saturation) / 255.0);
        let bright = f64::from(value);
        let scaled = |factor: f64| (bright * factor + 0.5) as u8;
        let p = scaled(1.0 - part);
        let q = scaled(1.0 - part * self.part);
        let t = scaled(1.0 - part * (1.0 - self.part));
        match self.index % 6 {
            0 => [value, t, p],
            1 => [q, value, p],
            2 => [p, value, t],
            3 => [p, q, value],
            4 => [t, p, value],
            _ => [value, p, q],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colors_lie_at_thirds_of_the_wheel() {
        assert_eq!(to_hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(to_hsv([0, 200, 0]), [85, 255, 200]);
        assert_eq!(to_hsv([0, 0, 1]), [170, 255, 1]);
        assert_eq!(to_hsv([7, 7, 7]), [0, 0, 7]);
    }

    /// Every hue survives; 1.5 % of a value is what 8 bits of hue and saturation can lose.
    #[test]
    fn a_shift_below_one_step_only_rounds() {
        let steps = (0..=255).step_by(15);
        for (r, g) in steps.clone().flat_map(|r| steps.clone().map(move |g| (r, g))) {
            for b in steps.clone() {
                let mut image = Image8::filled(1, 1, &[r, g, b]);
                adjust(&mut image, 1e-9);
                let worst = image.pixels().iter().zip([r, g, b]).map(|(x, y)| x.abs_diff(y)).max();
                assert!(worst <= Some(6), "{:?} from {:?}", image.pixels(), [r, g, b]);
            }
        }
    }

    #[test]
    fn gray_has_no_hue_to_turn() {
        let mut image = Image8::filled(2, 2, &[90; 3]);
        adjust(&mut image, 0.4);
        assert_eq!(image, Image8::filled(2, 2, &[90; 3]));
    }
}
