//! Affine maps with bicubic interpolation.
//!
//! ```text
//! out(x, y) = in(a (x + ½) + b (y + ½) + c,  d (x + ½) + e (y + ½) + f)
//! ```
//!
//! Between pixels a cubic goes through the four values around, with the slopes `v_{j+1} − v_{j−1}`; rows first, then
//! columns. Values beyond the border are those of the border. What comes from outside the image is filled.
//!
//! Source: the arithmetic of Pillow's `Geometry.c`, in double precision, truncated to bytes.

use multicrop::image::{Image8, RGB};

/// The map from pixels of the result to those of the image: `a`, `b`, `c`, `d`, `e`, `f`.
pub(super) type Affine = [f64; 6];

/// The map that turns an image around its center, against the clock.
pub(super) fn rotation(degrees: f64, width: f64, height: f64) -> Affine {
    // Pillow turns by the angle modulo 360, and rounds to 15 digits
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let round = |x: f64| (x * 1e15).round_ties_even() / 1e15;
    let (cos, sin) = (round(angle.cos()), round(angle.sin()));
    let (x, y) = (width / 2.0, height / 2.0);
    let minus_sin = round(-angle.sin());
    [cos, sin, cos * -x + sin * -y + x, minus_sin, cos, minus_sin * -x + cos * -y + y]
}

/// Replaces an image by what the map makes of it.
pub(super) fn transform(image: &mut Image8, map: Affine, fill: [u8; RGB]) {
    let [a, b, c, d, e, f] = map;
    let source = image.clone();
    let (width, height) = (f64::from(source.width()), f64::from(source.height()));
    for (i, pixel) in image.colors_mut().iter_mut().enumerate() {
        let (x, y) = (i as u32 % source.width(), i as u32 / source.width());
        let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        let (x, y) = (a * x + b * y + c, d * x + e * y + f);
        let inside = (0.0..width).contains(&x) && (0.0..height).contains(&y);
        *pixel = if inside { interpolate(&source, x - 0.5, y - 0.5) } else { fill };
    }
}

/// The colors at a place between pixels.
fn interpolate(image: &Image8, x: f64, y: f64) -> [u8; RGB] {
    let (left, top) = (x.floor(), y.floor());
    let place = |first: f64, i: usize, len: u32| {
        (first as i64 - 1 + i as i64).clamp(0, i64::from(len) - 1) as usize
    };
    let columns: [usize; 4] = std::array::from_fn(|i| place(left, i, image.width()));
    let rows: [usize; 4] = std::array::from_fn(|i| place(top, i, image.height()));
    let (width, colors) = (image.width() as usize, image.colors());
    std::array::from_fn(|channel| {
        let of_row = |row: usize| {
            let values = columns.map(|column| f64::from(colors[row * width + column][channel]));
            cubic(values, x - left)
        };
        cubic(rows.map(of_row), y - top) as u8
    })
}

/// The cubic through `v[1]` at 0 and `v[2]` at 1.
fn cubic(v: [f64; 4], at: f64) -> f64 {
    let slope = -v[0] + v[2];
    let square = 2.0 * (v[0] - v[1]) + v[2] - v[3];
    let cube = -v[0] + v[1] - v[2] + v[3];
    v[1] + at * (slope + at * (square + at * cube))
}
