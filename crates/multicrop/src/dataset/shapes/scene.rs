//! A [`Scene`] holds all random properties of an image except its noise.

use std::f32::consts::{PI, TAU};

use rand::Rng;

use super::SIDE;

/// Contour of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outline {
    Disk,
    Star,
}

/// How the object's two colors are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texture {
    Plain,
    Stripes,
    Checks,
    Dots,
    Rings,
}

/// Red, green and blue in [0, 255].
pub(super) type Color = [f32; 3];

/// The object in the foreground.
pub(super) struct Object {
    pub(super) outline: Outline,
    pub(super) texture: Texture,
    /// Center, in pixels.
    pub(super) center: [f32; 2],
    /// Radius of the circle around the outline, in pixels.
    pub(super) radius: f32,
    /// Cosine and sine of the outline's rotation.
    pub(super) turn: [f32; 2],
    /// Cosine and sine of the texture's rotation.
    pub(super) grain: [f32; 2],
    /// Period of the texture, in pixels.
    pub(super) period: f32,
    /// Shift of the texture, in pixels.
    pub(super) phase: [f32; 2],
    /// Dark and light, or light and dark.
    pub(super) colors: [Color; 2],
}

/// A distractor in the background: a spot if `half_length` is 0, else a stroke.
pub(super) struct Clutter {
    pub(super) center: [f32; 2],
    /// Cosine and sine of its rotation.
    pub(super) turn: [f32; 2],
    pub(super) half_length: f32,
    pub(super) radius: f32,
    pub(super) color: Color,
}

/// A whole image.
pub(super) struct Scene {
    pub(super) object: Object,
    pub(super) clutter: Vec<Clutter>,
    /// Colors at the two ends of the background's gradient.
    pub(super) ground: [Color; 2],
    /// Cosine and sine of the gradient's direction.
    pub(super) slope: [f32; 2],
}

impl Scene {
    /// Draws everything but the class.
    pub(super) fn sample(outline: Outline, texture: Texture, rng: &mut impl Rng) -> Self {
        let object = Object::sample(outline, texture, rng);
        let count = uniform(rng, 6.0, 13.0) as usize;
        let clutter = (0..count).map(|_| Clutter::sample(rng)).collect();
        let ground = [color(rng, 20.0, 235.0), color(rng, 20.0, 235.0)];
        Self { object, clutter, ground, slope: direction(rng) }
    }
}

impl Object {
    fn sample(outline: Outline, texture: Texture, rng: &mut impl Rng) -> Self {
        let side = SIDE as f32;
        // a star of the same radius has half the area of a disk
        let (low, high) = match outline {
            Outline::Disk => (0.30, 0.44),
            Outline::Star => (0.38, 0.52),
        };
        let center = [(); 2].map(|()| uniform(rng, 0.40 * side, 0.60 * side));
        let period = uniform(rng, 7.0, 11.0);
        let (dark, light) = (color(rng, 0.0, 110.0), color(rng, 145.0, 255.0));
        let colors = if uniform(rng, 0.0, 1.0) < 0.5 { [dark, light] } else { [light, dark] };
        Self {
            outline,
            texture,
            center,
            radius: uniform(rng, low * side, high * side),
            turn: direction(rng),
            grain: direction(rng),
            period,
            phase: [(); 2].map(|()| uniform(rng, 0.0, period)),
            colors,
        }
    }
}

impl Clutter {
    fn sample(rng: &mut impl Rng) -> Self {
        let side = SIDE as f32;
        let center = [(); 2].map(|()| uniform(rng, 0.0, side));
        let stroke = uniform(rng, 0.0, 1.0) < 0.5;
        let (half_length, radius) = if stroke {
            (uniform(rng, 5.0, 16.0), uniform(rng, 0.7, 1.5))
        } else {
            (0.0, uniform(rng, 2.0, 6.0))
        };
        Self { center, turn: direction(rng), half_length, radius, color: color(rng, 0.0, 255.0) }
    }
}

/// A number in `[low, high)` from 24 random bits. The images depend on this exact formula.
pub(super) fn uniform(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

fn color(rng: &mut impl Rng, low: f32, high: f32) -> Color {
    [(); 3].map(|()| uniform(rng, low, high))
}

fn direction(rng: &mut impl Rng) -> [f32; 2] {
    let angle = uniform(rng, -PI, TAU - PI);
    [angle.cos(), angle.sin()]
}
