//! Color spaces of components, and their conversion to red, green and blue.
//!
//! ```text
//! R = Y + 1.40200 Cr      G = Y − 0.34414 Cb − 0.71414 Cr      B = Y + 1.77200 Cb
//! ```
//!
//! with 16 fraction bits, rounded (JFIF 1.02). The color space of a file follows from a JFIF
//! segment, else Adobe's segment, else the ids of the components, as in libjpeg.

use crate::header::Tables;

/// The color space of a file's components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Gray,
    YCbCr,
    Rgb,
    /// Inks, returned as they are stored.
    Cmyk,
    /// Y, Cb, Cr of 255 minus the ink, and black as it is stored.
    Ycck,
}

impl Space {
    /// The color space of this file; `ids` are the component ids of the frame header.
    pub(crate) fn from_tables(tables: &Tables<'_>, ids: &[u8]) -> Self {
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

/// Number of pixels that are converted before they are interleaved.
const GROUP: usize = 32;

dispatch::kernel! {
    /// Converts a row to red, green and blue.
    pub(crate) fn rgb_of_ycbcr(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [[u8; 3]]) {
        let (groups, rest) = out.as_chunks_mut::<GROUP>();
        let [(ys, y), (cbs, cb), (crs, cr)] = [y, cb, cr].map(|row| row.as_chunks::<GROUP>());
        for (((out, y), cb), cr) in groups.iter_mut().zip(ys).zip(cbs).zip(crs) {
            let mut planes = [[0; GROUP]; 3];
            for i in 0..GROUP {
                let [r, g, b] = convert(y[i], cb[i], cr[i]);
                (planes[0][i], planes[1][i], planes[2][i]) = (r, g, b);
            }
            for i in 0..GROUP {
                out[i] = [planes[0][i], planes[1][i], planes[2][i]];
            }
        }
        for (((out, &y), &cb), &cr) in rest.iter_mut().zip(y).zip(cb).zip(cr) {
            *out = convert(y, cb, cr);
        }
    }
}

dispatch::kernel! {
    /// Converts a row to cyan, magenta, yellow and black: the first three are 255 minus the color.
    pub(crate) fn cmyk_of_ycck(y: &[u8], cb: &[u8], cr: &[u8], k: &[u8], out: &mut [[u8; 4]]) {
        for ((((out, &y), &cb), &cr), &k) in out.iter_mut().zip(y).zip(cb).zip(cr).zip(k) {
            let [r, g, b] = convert(y, cb, cr);
            *out = [255 - r, 255 - g, 255 - b, k];
        }
    }
}

/// Converts one pixel. The constants are split so that both operands of a multiplication have 16
/// bits, because processors return the high half of such a product in one instruction: 1.402 = 1 +
/// 0.402, 1.772 = 2 − 0.228, 0.71414 = 1 − 0.28586. Rounding half of a doubled product rounds the
/// product.
#[inline(always)]
fn convert(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let y = i16::from(y);
    let [cb, cr] = [cb, cr].map(|c| i16::from(c) - 128);
    let r = y + cr + ((high_half(2 * cr, 26_345) + 1) >> 1);
    let green = i32::from(cr) * 18_734 - i32::from(cb) * 22_554 + (1 << 15);
    let g = y - cr + (green >> 16) as i16;
    let b = y + 2 * cb + ((high_half(2 * cb, -14_942) + 1) >> 1);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

/// The high 16 bits of a product.
#[inline(always)]
fn high_half(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
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
        let space = |jfif, adobe, ids: &[u8]| {
            Space::from_tables(&Tables { jfif, adobe, ..Tables::new() }, ids)
        };
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
