//! The log likelihood of unit vectors under the mixture that a network's assignments define, for every treatment
//! of norms and every centering: against f64 mixtures whose weights are written down by hand, and against the
//! definition of a density, which integrates to 1.

use std::f64::consts::PI;

use dino::config::{self, Centering, DebyeTerms, PrototypeNorm};
use dino::objective::Objective;
use probe::analysis::assignment::Components;
use probe::analysis::membership::Members;
use rand::RngExt;
use streams::{Key, Purpose};
use vmf::{Mixture, log_normalizer};

const K: usize = 7;
const TEMPERATURE: f64 = 0.07;
const NORMS: [PrototypeNorm; 3] = [PrototypeNorm::L2, PrototypeNorm::Free, PrototypeNorm::Vmf];
const CENTERINGS: [Centering; 4] =
    [Centering::Logit, Centering::ProbA, Centering::ProbB, Centering::Sinkhorn];

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(9, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Prototypes of a network, and its mixture.
struct World {
    g: Vec<f32>,
    v: Vec<f32>,
    center: Vec<f32>,
    components: Components,
}

impl World {
    fn new(r: usize, norm: PrototypeNorm, centering: Centering) -> Self {
        let g: Vec<f32> = match norm {
            PrototypeNorm::L2 => vec![1.0; K],
            _ => noise(K, 1).iter().map(|x| x + 0.3f32.copysign(*x)).collect(),
        };
        let (v, mut center) = (noise(K * r, 2), noise(K, 3));
        let settings = config::Objective {
            prototype_norm: Some(norm),
            centering: Some(centering),
            debye_terms: Some(DebyeTerms::Exact),
            ..config::Objective::default()
        };
        let objective = Objective::new(&settings, r);
        let mut values = objective.initial_center(0.9, K);
        if centering == Centering::Sinkhorn {
            center.fill(0.0); // there is none: each batch has its own
        }
        values.set_values(&center);
        let offsets = objective.offsets(&g, Some(&values), TEMPERATURE);
        let components = Components::new(&g, &v, TEMPERATURE, offsets);
        Self { g, v, center, components }
    }

    /// The mixture in f64, with the weights of the table in `probe::analysis::membership`.
    fn by_hand(&self, r: usize, norm: PrototypeNorm, centering: Centering) -> Mixture {
        let kappas: Vec<f64> = self.g.iter().map(|g| f64::from(g.abs()) / TEMPERATURE).collect();
        let weight = |k: usize| {
            let c = f64::from(self.center[k]);
            let from_center = match centering {
                Centering::Logit => (-c / TEMPERATURE).exp(),
                Centering::ProbA | Centering::ProbB => (-c).exp(),
                Centering::Sinkhorn => 1.0,
            };
            match norm {
                PrototypeNorm::L2 | PrototypeNorm::Vmf => from_center,
                PrototypeNorm::Free => from_center * (-log_normalizer(r, kappas[k])).exp(),
            }
        };
        let weights: Vec<f64> = (0..K).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let directions = self.v.chunks_exact(r).zip(&self.g).flat_map(|(v, g)| {
            let norm = v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let sign = f64::from(g.signum());
            v.iter().map(move |x| sign * f64::from(*x) / norm)
        });
        let weights = weights.iter().map(|weight| weight / total).collect();
        Mixture::new(r, weights, directions.collect(), kappas).expect("a mixture")
    }
}

/// Unit vectors, f32.
fn unit(rows: usize, r: usize) -> Vec<f32> {
    let mut values = noise(rows * r, 4);
    for row in values.chunks_exact_mut(r) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    values
}

#[test]
fn every_method_has_the_likelihood_and_the_responsibilities_of_its_mixture() {
    for r in [3, 64] {
        for (norm, centering) in NORMS.iter().flat_map(|n| CENTERINGS.map(|c| (*n, c))) {
            let world = World::new(r, norm, centering);
            let mixture = world.by_hand(r, norm, centering);
            let y = unit(100, r);
            let found = Members::new(&world.components).of(&y);
            assert_eq!(found.len(), 100);
            for (y, found) in y.chunks_exact(r).zip(&found) {
                let y: Vec<f64> = y.iter().map(|x| f64::from(*x)).collect();
                let expected = mixture.log_density(&y);
                let kappa = mixture.kappas().iter().copied().fold(0.0, f64::max);
                let near = |a: f64, b: f64| (a - b).abs() < 3e-7 * (1.0 + kappa);
                assert!(
                    near(found.log_likelihood, expected),
                    "{norm:?} {centering:?} {r}: {} instead of {expected}",
                    found.log_likelihood
                );
                let logs = mixture.log_responsibilities(&y);
                assert!(near(found.responsibility.ln(), logs[found.component as usize]));
                assert!(logs.iter().all(|log| *log <= found.responsibility.ln() + 1e-4));
                let entropy: f64 = logs.iter().map(|log| -log.exp() * log).sum();
                assert!((found.entropy - entropy).abs() < 3e-6 * (1.0 + kappa));
            }
        }
    }
}

#[test]
fn densities_integrate_to_one_over_the_sphere() {
    // Midpoints in z and in the angle around it: both integrands are smooth.
    let (heights, angles) = (600, 400);
    let mut points = Vec::new();
    for height in 0..heights {
        let z = -1.0 + 2.0 * (f64::from(height) + 0.5) / f64::from(heights);
        for angle in 0..angles {
            let phi = 2.0 * PI * f64::from(angle) / f64::from(angles);
            let across = (1.0 - z * z).sqrt();
            points.extend([across * phi.cos(), across * phi.sin(), z].map(|x| x as f32));
        }
    }
    let area = 4.0 * PI / f64::from(heights * angles);
    for (norm, centering) in NORMS.iter().flat_map(|n| CENTERINGS.map(|c| (*n, c))) {
        let world = World::new(3, norm, centering);
        let found = Members::new(&world.components).of(&points);
        let integral: f64 = found.iter().map(|of| of.log_likelihood.exp() * area).sum();
        assert!((integral - 1.0).abs() < 2e-4, "{norm:?} {centering:?}: {integral}");
    }
}

#[test]
fn a_flat_mixture_is_as_likely_as_the_uniform_distribution() {
    let components = Components::new(&[0.0; 4], &noise(32, 2), TEMPERATURE, vec![0.0; 4]);
    let mut members = Members::new(&components);
    let uniform = members.uniform_log_likelihood();
    for found in members.of(&unit(5, 8)) {
        assert!((found.log_likelihood - uniform).abs() < 1e-9);
        assert!((found.responsibility - 0.25).abs() < 1e-7 && found.component == 0);
    }
}
