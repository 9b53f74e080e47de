//! Colors that components mean, and their way to red, green and blue.
//!
//! ```text
//! R = Y + 1.40200 Cr      G = Y − 0.34414 Cb − 0.71414 Cr      B = Y + 1.77200 Cb
//! ```
//!
//! with 16 fraction bits, rounded (JFIF 1.02). Which components a file has is decided as libjpeg does:
//! a JFIF segment, then Adobe's, then the ids of components.

use crate::header::Tables;

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Gray,
    YCbCr,
    Rgb,
    /// Stored as it is.
    Cmyk,
    /// Y, Cb, Cr of 255 less the ink, and black as it is stored.
    Ycck,
}

impl Space {
    /// What the components of this file are; `ids` are those of the frame header.
    pub(crate) fn of(tables: &Tables<'_>, ids: &[u8]) -> Self {
        match (ids, tables.adobe) {
            ([_], _) => Self::Gray,
            ([_, _, _, _], None | Some(0)) => Self::Cmyk,
            ([_, _, _, _], Some(_)) => Self::Ycck,
            _ if tables.jfif => Self::YCbCr,
            (_, Some(0)) => Self::Rgb,
            (b"RGB", None) => Self::Rgb,
            _ => Self::YCbCr,
        }
    }
}

dispatch::kernel! {
    /// A row of red, green and blue.
    pub(crate) fn rgb_of_ycbcr(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [[u8; 3]]) {
        for (((out, &y), &cb), &cr) in out.iter_mut().zip(y).zip(cb).zip(cr) {
            *out = convert(y, cb, cr);
        }
    }
}

dispatch::kernel! {
    /// A row of cyan, magenta, yellow and black: the first three are 255 less the color.
    pub(crate) fn cmyk_of_ycck(y: &[u8], cb: &[u8], cr: &[u8], k: &[u8], out: &mut [[u8; 4]]) {
        for ((((out, &y), &cb), &cr), &k) in out.iter_mut().zip(y).zip(cb).zip(cr).zip(k) {
            let [r, g, b] = convert(y, cb, cr);
            *out = [255 - r, 255 - g, 255 - b, k];
        }
    }
}

/// One color. The constants are split so that products have factors of 16 bits, for which processors
/// have an instruction: 1.402 = 1 + 0.402, 1.772 = 2 − 0.228, 0.71414 = 1 − 0.28586.
#[inline(always)]
fn convert(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let y = i32::from(y);
    let [cb, cr] = [cb, cr].map(|c| i32::from(i16::from(c) - 128));
    let r = y + cr + ((cr * 26_345 + HALF) >> 16);
    let g = y - cr + ((cr * 18_734 - cb * 22_554 + HALF) >> 16);
    let b = y + 2 * cb + ((HALF - cb * 14_942) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_color_is_the_formula_with_rounded_tables() {
        for cb in 0..=255_u8 {
            for cr in 0..=255_u8 {
                for y in [0_u8, 1, 77, 128, 200, 255] {
                    let [b, r] = [cb, cr].map(|c| i32::from(c) - 128);
                    let fixed = |x: f64| (x * 65536.0 + 0.5) as i32;
                    let red = (fixed(1.402) * r + 32768) >> 16;
                    let blue = (fixed(1.772) * b + 32768) >> 16;
                    let green = (-fixed(0.34414) * b + 32768 - fixed(0.71414) * r) >> 16;
                    let wanted = [red, green, blue].map(|c| (c + i32::from(y)).clamp(0, 255) as u8);
                    assert_eq!(convert(y, cb, cr), wanted);
                }
            }
        }
    }

    #[test]
    fn jfif_goes_before_adobe_and_adobe_before_ids() {
        let space =
            |jfif, adobe, ids: &[u8]| Space::of(&Tables { jfif, adobe, ..Tables::new() }, ids);
        assert_eq!(space(true, Some(0), b"RGB"), Space::YCbCr);
        assert_eq!(space(false, Some(0), &[1, 2, 3]), Space::Rgb);
        assert_eq!(space(false, Some(1), b"RGB"), Space::YCbCr);
        assert_eq!(space(false, None, b"RGB"), Space::Rgb);
        assert_eq!(space(false, None, &[0, 1, 2]), Space::YCbCr);
        assert_eq!(space(true, None, &[1]), Space::Gray);
        assert_eq!(space(false, Some(0), &[1, 2, 3, 4]), Space::Cmyk);
        assert_eq!(space(false, Some(1), &[1, 2, 3, 4]), Space::Ycck);
    }
}
