//! Renders a [`Scene`] to pixels. Edges are antialiased: coverage is the clipped signed distance to
//! an edge.

use rand::Rng;

use super::SIDE;
use super::scene::{Clutter, Color, Object, Outline, Scene, Texture};

/// Amplitude of the noise that is added to values.
const NOISE: f32 = 10.0;
/// Radius of the star's inner corners; its tips have radius 1.
const STAR_INNER: f32 = 0.5;
/// Cosine and sine of 72°, from one tip of the star to the next, and of 36°, to the next corner.
const TIP: [f32; 2] = [0.309_017, 0.951_056_5];
const CORNER: [f32; 2] = [0.809_017, 0.587_785_25];

/// The pixels of a scene, `[SIDE, SIDE, 3]`.
pub(super) fn draw(scene: &Scene, rng: &mut impl Rng) -> Vec<u8> {
    let mut pixels = vec![[0.0; 3]; SIDE * SIDE];
    let side = SIDE as f32;
    let [cos, sin] = scene.slope;
    paint(&mut pixels, [side / 2.0; 2], side, |[x, y], pixel| {
        let part = 0.5 + (cos * x + sin * y) / (1.5 * side);
        *pixel = scene.ground[0];
        blend(pixel, &scene.ground[1], part.clamp(0.0, 1.0));
    });
    for clutter in &scene.clutter {
        let reach = clutter.half_length + clutter.radius + 1.0;
        paint(&mut pixels, clutter.center, reach, |at, pixel| {
            blend(pixel, &clutter.color, coverage(clutter_distance(clutter, at)));
        });
    }
    let object = &scene.object;
    paint(&mut pixels, object.center, object.radius + 1.0, |at, pixel| {
        let covered = coverage(outline_distance(object, at));
        if covered > 0.0 {
            let mut color = object.colors[0];
            blend(&mut color, &object.colors[1], texture(object, at));
            blend(pixel, &color, covered);
        }
    });
    let mut noise = vec![0; pixels.len() * 3];
    rng.fill_bytes(&mut noise);
    let noisy = |(value, noise): (&f32, u8)| {
        (value + (f32::from(noise) - 127.5) * (NOISE / 127.5)).clamp(0.0, 255.0).round() as u8
    };
    pixels.as_flattened().iter().zip(noise).map(noisy).collect()
}

/// Calls `change` for all pixels within `reach` of `center`, with the offset from it.
fn paint(
    pixels: &mut [Color],
    center: [f32; 2],
    reach: f32,
    mut change: impl FnMut([f32; 2], &mut Color),
) {
    let range = |middle: f32| {
        let first = (middle - reach).floor().clamp(0.0, SIDE as f32) as usize;
        let end = (middle + reach).ceil().clamp(0.0, SIDE as f32) as usize;
        first..end
    };
    let [columns, rows] = center.map(range);
    for row in rows {
        for column in columns.clone() {
            let at = [column as f32 + 0.5 - center[0], row as f32 + 0.5 - center[1]];
            change(at, &mut pixels[row * SIDE + column]);
        }
    }
}

fn blend(pixel: &mut Color, color: &Color, part: f32) {
    for (value, target) in pixel.iter_mut().zip(color) {
        *value += part * (target - *value);
    }
}

/// Fraction of a pixel that is inside an edge at this distance; negative distances are inside.
fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

/// The offset in axes that are rotated by an angle with this cosine and sine.
fn turned([x, y]: [f32; 2], [cos, sin]: [f32; 2]) -> [f32; 2] {
    [cos * x + sin * y, cos * y - sin * x]
}

fn clutter_distance(clutter: &Clutter, at: [f32; 2]) -> f32 {
    let [along, across] = turned(at, clutter.turn);
    let along = (along.abs() - clutter.half_length).max(0.0);
    (along * along + across * across).sqrt() - clutter.radius
}

fn outline_distance(object: &Object, at: [f32; 2]) -> f32 {
    match object.outline {
        Outline::Disk => (at[0] * at[0] + at[1] * at[1]).sqrt() - object.radius,
        Outline::Star => star_distance(turned(at, object.turn), object.radius),
    }
}

/// Signed distance to the line through the nearest tip and the corner beside it.
fn star_distance(at: [f32; 2], radius: f32) -> f32 {
    let (mut tip, mut nearest) = (at, at);
    for _ in 0..4 {
        tip = turned(tip, TIP);
        if tip[0] > nearest[0] {
            nearest = tip;
        }
    }
    let [x, y] = [nearest[0] - radius, nearest[1].abs()];
    let edge = [STAR_INNER * CORNER[0] - 1.0, STAR_INNER * CORNER[1]];
    let length = (edge[0] * edge[0] + edge[1] * edge[1]).sqrt();
    (edge[1] * x - edge[0] * y) / length
}

/// Fraction of the second color at this offset.
fn texture(object: &Object, at: [f32; 2]) -> f32 {
    let [u, v] = turned(at, object.grain);
    let [u, v] = [u + object.phase[0], v + object.phase[1]];
    let distance = match object.texture {
        // the second color is a light shading over the whole shape
        Texture::Plain => return 0.12 + 0.12 * u / object.radius.max(1.0),
        Texture::Stripes => wave(u, object.period),
        Texture::Checks => {
            let (u, v) = (wave(u, 1.5 * object.period), wave(v, 1.5 * object.period));
            u.abs().min(v.abs()) * (u * v).signum()
        }
        Texture::Dots => {
            let [u, v] = [u, v].map(|x| wave(x, object.period) - object.period / 4.0);
            (u * u + v * v).sqrt() - 0.32 * object.period
        }
        Texture::Rings => {
            let r = (at[0] * at[0] + at[1] * at[1]).sqrt();
            wave(r + object.phase[0], object.period)
        }
    };
    coverage(distance)
}

/// Distance to the nearest edge of stripes that are half a period wide, with alternating sign: a
/// triangle wave between -period / 4 and period / 4.
fn wave(x: f32, period: f32) -> f32 {
    let part = x / period;
    ((part - part.floor() - 0.5).abs() - 0.25) * period
}
