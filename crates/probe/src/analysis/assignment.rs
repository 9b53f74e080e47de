//! Assigns images to the components of a mixture, block by block: only one block of images times all
//! components is in memory.
//!
//! ```text
//! μₖ = sign(gₖ) vₖ / ‖vₖ‖        κₖ = |gₖ| / τ
//! p(k | y) = softmaxₖ(κₖ ⟨μₖ, y⟩ + bₖ − cₖ)
//! ```
//!
//! with the normalizer `b` of the method (vmf; else 0) and the teacher's center `c`. Their difference is the
//! component's offset: its log weight, apart from a constant.

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;

use crate::matrix::Matrix;
use vit::Prototypes;

/// Images in a block: 16 MiB of scores at 65,536 components.
const ROWS: usize = 64;
/// Components in one task of a thread.
const COLUMNS: usize = 512;

/// The mixture of a network at one temperature.
#[derive(Debug)]
pub struct Components {
    /// Mean directions μ, `[k, r]`.
    pub directions: Matrix,
    /// Concentrations κ, `[k]`.
    pub kappas: Vec<f64>,
    /// `b − c`, `[k]`.
    pub(super) offsets: Vec<f32>,
}

/// The assignment of one vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Posterior {
    /// The most probable component; the lowest of equally probable ones.
    pub(super) component: u32,
    /// Its probability.
    pub(super) probability: f64,
    /// Entropy of p(k | y), in nats.
    pub(super) entropy: f64,
    /// `log Σ exp(κₖ ⟨μₖ, y⟩ + bₖ − cₖ)`.
    pub(super) log_sum: f64,
}

/// The assignments of images to components.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignments {
    /// The most probable component of each image; the lowest of equally probable ones.
    pub assigned: Vec<u32>,
    /// Entropy of each image's p(k | y), in nats.
    pub entropies: Vec<f64>,
    /// Mean of p(k | y) over all images, `[k]`.
    pub mass: Vec<f64>,
    /// Places of the images most similar to each component's direction, the most similar first.
    pub nearest: Vec<Vec<u32>>,
}

impl Components {
    /// The components of prototypes with signed lengths `g`, `[k]`, and vectors `v`, `[k, r]`, at a
    /// temperature. `offsets` are `b − c` at that temperature, `[k]`.
    ///
    /// # Panics
    /// If there are not as many offsets as lengths.
    pub fn new(g: &[f32], v: &[f32], temperature: f64, offsets: Vec<f32>) -> Self {
        assert_eq!(offsets.len(), g.len(), "offsets and lengths");
        let values = Prototypes::directions(g, v, 0..g.len());
        let width = values.len().checked_div(g.len()).unwrap_or(0);
        Self {
            directions: Matrix::new(values, width),
            kappas: Prototypes::kappas(g, temperature).collect(),
            offsets,
        }
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.kappas.len()
    }

    /// True if there is no component.
    pub fn is_empty(&self) -> bool {
        self.kappas.is_empty()
    }

    /// Assigns unit vectors `y`, `[images, r]`, and finds the `near` images nearest to each
    /// component.
    pub fn assign(&self, y: &Matrix, near: usize) -> Assignments {
        let mut assigner = Assigner::new(self, near);
        assigner.add(&y.values);
        assigner.finish()
    }

    /// Turns cosines into probabilities, in place. The entropy is `log Σ eˢ − Σ p s` with scores relative to
    /// the largest.
    pub(super) fn posterior(&self, row: &mut [f32]) -> Posterior {
        let (mut best, mut top) = (0, f32::NEG_INFINITY);
        let components = self.kappas.iter().zip(&self.offsets);
        for (k, (score, (kappa, offset))) in row.iter_mut().zip(components).enumerate() {
            *score = (kappa * f64::from(*score) + f64::from(*offset)) as f32;
            if *score > top {
                (best, top) = (k as u32, *score);
            }
        }
        let (mut total, mut weighted) = (0.0, 0.0);
        for score in row.iter_mut() {
            let relative = f64::from(*score - top);
            let p = relative.exp();
            total += p;
            weighted += p * relative;
            *score = p as f32;
        }
        row.iter_mut().for_each(|p| *p = (f64::from(*p) / total) as f32);
        Posterior {
            component: best,
            probability: 1.0 / total,
            entropy: (total.ln() - weighted / total).max(0.0),
            log_sum: f64::from(top) + total.ln(),
        }
    }
}

/// Assigns vectors as they come, so that not all of them are in memory at once.
#[derive(Debug)]
pub struct Assigner<'a> {
    components: &'a Components,
    near: usize,
    scores: Buffer,                // [ROWS, k]
    rows: Vec<(u32, f64)>,         // component and entropy of each vector
    mass: Vec<f64>,                // Σ p(k | y), [k]
    nearest: Vec<Vec<(f32, u32)>>, // cosine and place, the largest cosine first, [k]
}

impl<'a> Assigner<'a> {
    /// No vector is assigned yet. For each component, the `near` nearest vectors will be kept.
    pub fn new(components: &'a Components, near: usize) -> Self {
        let k = components.len();
        Self {
            components,
            near,
            scores: Buffer::take(ROWS * k),
            rows: Vec::new(),
            mass: vec![0.0; k],
            nearest: vec![Vec::with_capacity(near); k],
        }
    }

    /// Assigns unit vectors, `[images, r]`.
    pub fn add(&mut self, y: &[f32]) {
        let (k, r) = (self.components.len(), self.components.directions.width);
        y.chunks(ROWS * r).for_each(|y| self.add_block(y, y.len() / r, k));
    }

    fn add_block(&mut self, y: &[f32], count: usize, k: usize) {
        let Self { components, near, scores, rows, mass, nearest } = self;
        let (first, near) = (rows.len(), *near);
        let scores = &mut scores[..count * k];
        let Matrix { values, width: r } = &components.directions;
        let (to, directions) = (MatMut::new(scores, count, k), Mat::new(values, k, *r));
        matmul(to, Mat::new(y, count, *r), directions.t(), Product::ALL);
        nearest.par_chunks_mut(COLUMNS).enumerate().for_each(|(chunk, nearest)| {
            for (row, cosines) in scores.chunks_exact(k).enumerate() {
                let image = (first + row) as u32;
                for (near_to, &cosine) in nearest.iter_mut().zip(&cosines[chunk * COLUMNS..]) {
                    offer(near_to, near, (cosine, image));
                }
            }
        });
        rows.par_extend(scores.par_chunks_exact_mut(k).map(|row| {
            let Posterior { component, entropy, .. } = components.posterior(row);
            (component, entropy)
        }));
        mass.par_chunks_mut(COLUMNS).enumerate().for_each(|(chunk, mass)| {
            for p in scores.chunks_exact(k) {
                let p = &p[chunk * COLUMNS..];
                mass.iter_mut().zip(p).for_each(|(mass, p)| *mass += f64::from(*p));
            }
        });
    }

    /// The assignments of all vectors.
    pub fn finish(self) -> Assignments {
        let Self { rows, mut mass, nearest, .. } = self;
        mass.iter_mut().for_each(|mass| *mass /= rows.len().max(1) as f64);
        let images = |near: Vec<(f32, u32)>| near.into_iter().map(|(_, image)| image).collect();
        let (assigned, entropies) = rows.into_iter().unzip();
        let nearest = nearest.into_iter().map(images).collect();
        Assignments { assigned, entropies, mass, nearest }
    }
}

/// Keeps the `most` largest cosines, the largest first; of equal ones, the earlier image.
fn offer(near: &mut Vec<(f32, u32)>, most: usize, (cosine, image): (f32, u32)) {
    let full = near.len() >= most;
    if full && near.last().is_none_or(|&(worst, _)| cosine <= worst) {
        return;
    }
    if full {
        near.pop();
    }
    near.insert(near.partition_point(|&(other, _)| other >= cosine), (cosine, image));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components along the axes.
    fn axes(kappas: &[f64], offsets: &[f32]) -> Components {
        let k = kappas.len();
        let values = (0..k * k).map(|i| if i / k == i % k { 1.0 } else { 0.0 }).collect();
        let directions = Matrix::new(values, k);
        Components { directions, kappas: kappas.to_vec(), offsets: offsets.to_vec() }
    }

    #[test]
    fn probabilities_are_those_of_the_formula() {
        let y = Matrix::new(vec![1.0, 0.0, 0.6, 0.8], 2);
        let found = axes(&[2.0, 3.0], &[0.5, -0.5]).assign(&y, 1);
        let mut mass = [0.0; 2];
        for (i, (s0, s1)) in [(2.5f64, -0.5f64), (1.7, 1.9)].into_iter().enumerate() {
            let total = s0.exp() + s1.exp();
            let p = [s0.exp() / total, s1.exp() / total];
            let entropy = -(p[0] * p[0].ln() + p[1] * p[1].ln());
            assert!((found.entropies[i] - entropy).abs() < 1e-6, "{}", found.entropies[i]);
            mass = [mass[0] + p[0] / 2.0, mass[1] + p[1] / 2.0];
        }
        assert_eq!(found.assigned, [0, 1]);
        assert!((found.mass[0] - mass[0]).abs() < 1e-6 && (found.mass[1] - mass[1]).abs() < 1e-6);
        assert_eq!(found.nearest, [[0], [1]]);
    }

    #[test]
    fn vectors_in_several_parts_are_assigned_like_all_at_once() {
        let angle = |i: usize| (i as f32 * 0.7).sin_cos();
        let values: Vec<f32> = (0..150).map(angle).flat_map(|(sin, cos)| [cos, sin]).collect();
        let components = axes(&[2.0, 3.0], &[0.5, -0.5]);
        let mut parts = Assigner::new(&components, 4);
        parts.add(&values[..60]);
        parts.add(&[]);
        parts.add(&values[60..]);
        let (parts, all) = (parts.finish(), components.assign(&Matrix::new(values, 2), 4));
        assert_eq!((parts.assigned, parts.nearest), (all.assigned, all.nearest));
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&parts.mass, &all.mass) && near(&parts.entropies, &all.entropies));
    }

    #[test]
    fn one_component_has_everything() {
        let found = axes(&[10.0], &[-3.0]).assign(&Matrix::new(vec![1.0; 70], 1), 3);
        assert_eq!((found.mass[0], found.entropies[69], found.assigned[69]), (1.0, 0.0, 0));
        assert_eq!(found.nearest, [[0, 1, 2]]);
    }

    #[test]
    fn the_largest_cosines_are_kept_in_order() {
        let mut near = Vec::new();
        for (image, cosine) in [0.1, 0.5, 0.3, 0.5, 0.9, 0.2].into_iter().enumerate() {
            offer(&mut near, 3, (cosine, image as u32));
        }
        assert_eq!(near, [(0.9, 4), (0.5, 1), (0.5, 3)]);
        let mut none = Vec::new();
        offer(&mut none, 0, (1.0, 7));
        assert!(none.is_empty());
    }
}
