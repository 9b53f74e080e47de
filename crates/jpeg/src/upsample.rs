//! Upsampling of chroma to the size of luma: libjpeg's "fancy upsampling".
//!
//! If a component has half the columns, half the rows or both, new samples are three quarters of
//! the nearer and one quarter of the farther neighbor:
//!
//! ```text
//! columns         y(2i) = (3 x(i) + x(i−1) + 1) >> 2        y(2i+1) = (3 x(i) + x(i+1) + 2) >> 2
//! rows            the same with 1 above and 2 below
//! both            s = 3 near + far;  y(2i) = (3 s(i) + s(i−1) + 8) >> 4,  y(2i+1) = (3 s(i) + s(i+1) + 7) >> 4
//! ```
//!
//! The first and last columns are their own farther neighbor. Samples are repeated instead for all
//! other ratios, components of one or two columns, and images at an eighth of their size.

use crate::error::Error;
use crate::frame::{Component, Geometry};
use crate::strip::Strip;

/// How a component is enlarged to the size of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Not at all: it has that size.
    Full,
    /// Twice the columns, interpolated.
    Columns,
    /// Twice the rows, interpolated.
    Rows,
    /// Twice the columns and rows, interpolated.
    Both,
    /// Each sample repeated this many times along columns and along rows.
    Repeat(usize, usize),
}

/// The method for each component; an error if a ratio is not a whole number.
pub(crate) fn methods(components: &[Component], geometry: &Geometry) -> Result<Vec<Method>, Error> {
    components.iter().map(|component| Method::new(component, geometry)).collect()
}

impl Method {
    fn new(component: &Component, geometry: &Geometry) -> Result<Self, Error> {
        let side = geometry.scale.side();
        let h = component.h * component.side / side;
        let v = component.v * component.side / side;
        let (max_h, max_v) = geometry.max;
        let is_fancy = side > 1;
        let is_wide = component.samples.0 > 2;
        Ok(match (2 * h == max_h, 2 * v == max_v) {
            _ if (h, v) == geometry.max => Self::Full,
            (true, false) if v == max_v && is_fancy && is_wide => Self::Columns,
            (false, true) if h == max_h && is_fancy => Self::Rows,
            (true, true) if is_fancy && is_wide => Self::Both,
            _ if max_h.is_multiple_of(h) && max_v.is_multiple_of(v) => {
                Self::Repeat(max_h / h, max_v / v)
            }
            _ => {
                return Err(Error::unsupported(
                    "JPEG whose sampling factors do not divide each other",
                ));
            }
        })
    }

    /// True if the row below is needed.
    pub(crate) fn looks_ahead(self) -> bool {
        matches!(self, Self::Rows | Self::Both)
    }

    /// Row `y` of the image; `line` is scratch memory for it.
    pub(crate) fn row<'a>(self, strip: &'a Strip, y: usize, line: &'a mut Line) -> &'a [u8] {
        let half = (y / 2) as isize;
        let other = if y.is_multiple_of(2) { half - 1 } else { half + 1 };
        match self {
            Self::Full => return strip.row(y as isize),
            Self::Columns => columns(strip.row(y as isize), &mut line.row),
            Self::Rows => {
                let bias = 1 + (y % 2) as u16;
                rows(strip.row(half), strip.row(other), bias, &mut line.row);
            }
            Self::Both => {
                sums(strip.row(half), strip.row(other), &mut line.sums);
                both(&line.sums[..strip.size.0], &mut line.row);
            }
            Self::Repeat(h, v) => {
                let row = strip.row((y / v) as isize);
                for (out, &value) in line.row.chunks_exact_mut(h).zip(row) {
                    out.fill(value);
                }
            }
        }
        &line.row
    }
}

/// Scratch memory for one row of a component at the image's size.
#[derive(Debug)]
pub(crate) struct Line {
    row: Vec<u8>,
    sums: Vec<u16>,
}

impl Line {
    /// Allocates for rows that `method` makes of rows with `width` samples.
    pub(crate) fn new(method: Method, width: usize) -> Self {
        let row = match method {
            Method::Full => 0,
            Method::Rows => width,
            Method::Columns | Method::Both => 2 * width,
            Method::Repeat(h, _) => h * width,
        };
        Self { row: vec![0; row], sums: vec![0; if method == Method::Both { width } else { 0 }] }
    }
}

dispatch::kernel! {
    /// Doubles the columns of a row. `out` is twice as long as `x`.
    fn columns(x: &[u8], out: &mut [u8]) {
        let n = x.len();
        let (out, _) = out.as_chunks_mut::<2>();
        let inner = x.windows(3).zip(&mut out[1..]);
        for (x, out) in inner {
            let [left, here, right] = [x[0], x[1], x[2]].map(u16::from);
            *out = [((3 * here + left + 1) >> 2) as u8, ((3 * here + right + 2) >> 2) as u8];
        }
        let quarter = |near: u8, far: u8, bias| ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
        out[0] = [x[0], quarter(x[0], x[1], 2)];
        out[n - 1] = [quarter(x[n - 1], x[n - 2], 1), x[n - 1]];
    }
}

dispatch::kernel! {
    /// Interpolates a row between two rows.
    fn rows(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
        for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
            *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
        }
    }
}

dispatch::kernel! {
    /// Interpolates a row between two rows, times four.
    fn sums(near: &[u8], far: &[u8], out: &mut [u16]) {
        for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
            *out = 3 * u16::from(near) + u16::from(far);
        }
    }
}

dispatch::kernel! {
    /// Doubles the columns of a row that is given times four. `out` is twice as long as `s`.
    fn both(s: &[u16], out: &mut [u8]) {
        let n = s.len();
        let (out, _) = out.as_chunks_mut::<2>();
        let inner = s.windows(3).zip(&mut out[1..]);
        for (s, out) in inner {
            let [left, here, right] = [s[0], s[1], s[2]];
            *out = [((3 * here + left + 8) >> 4) as u8, ((3 * here + right + 7) >> 4) as u8];
        }
        out[0] = [((4 * s[0] + 8) >> 4) as u8, ((3 * s[0] + s[1] + 7) >> 4) as u8];
        let (last, before) = (s[n - 1], s[n - 2]);
        out[n - 1] = [((3 * last + before + 8) >> 4) as u8, ((4 * last + 7) >> 4) as u8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_lie_a_quarter_from_their_samples() {
        let mut out = [0; 8];
        columns(&[0, 100, 104, 255], &mut out);
        assert_eq!(out, [0, 25, 75, 101, 103, 142, 217, 255]);
    }

    #[test]
    fn rows_and_columns_together_weigh_nine_three_three_one() {
        let (near, far) = ([16, 32, 48], [0, 16, 160]);
        let mut between = [0; 3];
        sums(&near, &far, &mut between);
        let mut out = [0; 6];
        both(&between, &mut out);
        assert_eq!(out[2], ((9 * 32 + 3 * 16 + 3 * 16 + 8) / 16) as u8);
        assert_eq!(out[3], ((9 * 32 + 3 * 16 + 3 * 48 + 160 + 7) / 16) as u8);
        assert_eq!([out[0], out[5]], [12, (((3 * 48 + 160) * 4 + 7) >> 4) as u8]);
        let mut half = [0; 3];
        rows(&near, &far, 1, &mut half);
        assert_eq!(half, [12, 28, 76]);
    }
}
