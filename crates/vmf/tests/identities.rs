//! Mathematical identities: results computed by independent methods must agree.

use std::f64::consts::PI;

use proptest::prelude::*;
use streams::{Key, Purpose, Stream};
use vmf::{DebyeTerms, EmOptions, Mixture, Normalizer, VonMisesFisher};

fn stream(index: u64) -> Stream {
    Key::new(11, Purpose::Estimate).index(index).open()
}

fn dims() -> impl Strategy<Value = usize> {
    prop_oneof![2usize..80, 80usize..=4096]
}

/// Concentrations that are uniform on a logarithmic scale.
fn kappas(decades: std::ops::Range<f64>) -> impl Strategy<Value = f64> {
    decades.prop_map(|exponent| 10f64.powf(exponent))
}

fn axis(p: usize, i: usize) -> Vec<f64> {
    (0..p).map(|j| if i == j { 1.0 } else { 0.0 }).collect()
}

/// A unit vector that is not near any axis.
fn oblique(p: usize) -> Vec<f64> {
    let raw: Vec<f64> = (0..p).map(|i| (1.0 + i as f64).sin()).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.into_iter().map(|x| x / norm).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

proptest! {
    /// d/dκ log C_p(κ) = −A_p(κ), by a central difference whose error is O(h²).
    #[test]
    fn log_normalizer_falls_by_the_mean_resultant_length(p in dims(), kappa in kappas(-3.0..5.0)) {
        let h = 1e-4 * kappa;
        let change = vmf::log_normalizer_ratio(p, kappa + h) - vmf::log_normalizer_ratio(p, kappa - h);
        let a = vmf::mean_resultant_length(p, kappa);
        prop_assert!((change / (2.0 * h) + a).abs() < 1e-7 * a);
    }

    #[test]
    fn mean_resultant_length_rises_by_its_slope(p in dims(), kappa in kappas(-3.0..5.0)) {
        let h = 1e-4 * kappa;
        let [low, high] = [kappa - h, kappa + h].map(|kappa| {
            // The one with more accurate differences: A itself below one half, 1 − A above.
            let (a, c) = (vmf::mean_resultant_length(p, kappa), vmf::mean_resultant_length_complement(p, kappa));
            if vmf::mean_resultant_length(p, 1.01 * kappa) < 0.5 { a } else { -c }
        });
        prop_assume!((low < 0.0) == (high < 0.0));
        let slope = vmf::mean_resultant_length_slope(p, kappa);
        prop_assert!(((high - low) / (2.0 * h) - slope).abs() < 1e-6 * slope);
    }

    #[test]
    fn mean_resultant_length_rises_within_zero_and_one(p in dims(), kappa in kappas(-6.0..5.0)) {
        let a = vmf::mean_resultant_length(p, kappa);
        let b = vmf::mean_resultant_length(p, kappa * (1.0 + 1e-6));
        prop_assert!(0.0 < a && a < b && b < 1.0);
        let complement = vmf::mean_resultant_length_complement(p, kappa);
        prop_assert!((a + complement - 1.0).abs() < 1e-15);
    }

    /// The recurrence of Bessel functions, written as κ = A_p (p + κ A_{p+2}).
    #[test]
    fn neighboring_dimensions_obey_the_recurrence_of_bessel_functions(
        p in dims(), kappa in kappas(-6.0..5.0)
    ) {
        let (a, next) = (vmf::mean_resultant_length(p, kappa), vmf::mean_resultant_length(p + 2, kappa));
        prop_assert!((a * (p as f64 + kappa * next) / kappa - 1.0).abs() < 1e-13);
    }

    #[test]
    fn concentration_is_recovered_from_its_mean_resultant_length(
        p in dims(), kappa in kappas(-9.0..4.0)
    ) {
        let r = vmf::mean_resultant_length(p, kappa);
        let found = vmf::max_likelihood_kappa(p, r).unwrap();
        // r̄ is rounded to f64; κ̂ magnifies its relative error by r̄ / κ A′.
        let rounding = f64::EPSILON * r / (kappa * vmf::mean_resultant_length_slope(p, kappa));
        prop_assert!((found / kappa - 1.0).abs() < 1e-12 + rounding, "{}", found);
    }

    /// Each correction divides the error of the closed form by about ν. The slope is the derivative
    /// of the closed form.
    #[test]
    fn closed_forms_approach_the_exact_value(p in 32usize..1000, kappa in kappas(0.0..3.0)) {
        let exact = vmf::log_normalizer_ratio(p, kappa);
        let nu = p as f64 / 2.0 - 1.0;
        for terms in 0..4 {
            let form = Normalizer::new(p, DebyeTerms::from_count(terms).unwrap());
            let bound = 0.2 / nu.powi(terms as i32 + 1) + 1e-13 * exact.abs();
            prop_assert!((form.value(kappa) - exact).abs() < bound, "{} terms", terms);
            let h = 1e-4 * kappa;
            let slope = (form.value(kappa + h) - form.value(kappa - h)) / (2.0 * h);
            prop_assert!((slope - form.slope(kappa)).abs() < 1e-7, "{} terms", terms);
        }
    }

    #[test]
    fn single_precision_stays_within_its_tolerance(
        p in 16usize..4096, kappa in kappas(-4.0..5.0), terms in 0usize..4
    ) {
        let form = Normalizer::new(p, DebyeTerms::from_count(terms).unwrap());
        let kappa = kappa as f32;
        let (b, db) = (form.value(f64::from(kappa)), form.slope(f64::from(kappa)));
        let tolerance = (3e-7 * b.abs()).max(1e-6);
        prop_assert!((f64::from(form.value_f32(kappa)) - b).abs() <= tolerance);
        prop_assert!((f64::from(form.slope_f32(kappa)) - db).abs() <= 1e-6);
    }

    #[test]
    fn responsibilities_sum_to_one(kappa in kappas(-3.0..5.0), angle in 0.0..std::f64::consts::TAU) {
        let mu = [1.0, 0.0, 0.0, 1.0, -0.6, 0.8].to_vec();
        let mixture = Mixture::new(2, vec![0.2, 0.5, 0.3], mu, vec![0.0, kappa, 10.0]).unwrap();
        let y = [angle.cos(), angle.sin()];
        let log_r = mixture.log_responsibilities(&y);
        prop_assert!((log_r.iter().map(|x| x.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(mixture.log_density(&y).is_finite());
    }

    #[test]
    fn divergence_is_never_negative(
        p in dims(), one in kappas(-3.0..4.0), two in kappas(-3.0..4.0), cosine in -1.0..1.0
    ) {
        prop_assert!(vmf::kl_divergence(p, one, two, cosine) >= 0.0);
        prop_assert!(vmf::kl_divergence(p, one, one, 1.0) <= 1e-10);
    }
}

/// The trapezoid rule on the circle, exact to rounding for a smooth periodic density.
#[test]
fn density_on_the_circle_integrates_to_one() {
    for kappa in [0.0, 0.5, 10.0, 300.0] {
        let density = VonMisesFisher::new(vec![0.6, 0.8], kappa).unwrap();
        let n = 2000;
        let angles = (0..n).map(|i| 2.0 * PI * f64::from(i) / f64::from(n));
        let sum: f64 = angles.map(|a| density.log_density(&[a.cos(), a.sin()]).exp()).sum();
        assert!((sum * 2.0 * PI / f64::from(n) - 1.0).abs() < 1e-12, "{kappa}");
    }
}

/// Simpson's rule in w = μᵀy, with the area element dS = 2π dw.
#[test]
fn density_on_the_sphere_integrates_to_one() {
    for kappa in [0.0, 0.5, 10.0, 300.0] {
        let density = VonMisesFisher::new(vec![0.0, 0.0, 1.0], kappa).unwrap();
        let n = 20_000;
        let mut sum = 0.0;
        for i in 0..=n {
            let w = -1.0 + 2.0 * f64::from(i) / f64::from(n);
            let weight = if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
            let y = [(1.0 - w * w).max(0.0).sqrt(), 0.0, w];
            sum += weight * density.log_density(&y).exp();
        }
        let integral = 2.0 * PI * sum * 2.0 / f64::from(n) / 3.0;
        assert!((integral - 1.0).abs() < 1e-8, "{kappa} {integral}");
    }
}

/// E[μᵀy] = A_p and Var[μᵀy] = A_p′, in units of their standard errors.
#[test]
fn samples_have_the_moments_of_their_distribution() {
    let cases = [(2, 0.0), (2, 1e5), (3, 5.0), (17, 0.3), (256, 100.0), (256, 1e5), (4096, 900.0)];
    for (case, (p, kappa)) in cases.into_iter().enumerate() {
        let distribution = VonMisesFisher::new(oblique(p), kappa).unwrap();
        let (n, mut rng) = (if p > 1000 { 1000 } else { 8000 }, stream(case as u64));
        let (mut deviation, mut square) = (0.0, 0.0);
        let complement = vmf::mean_resultant_length_complement(p, kappa);
        for _ in 0..n {
            let y = distribution.sample(&mut rng);
            assert!((dot(&y, &y) - 1.0).abs() < 1e-14);
            // (1 − A) − (1 − w), with 1 − w = ‖y − μ‖² / 2
            let away: f64 =
                y.iter().zip(distribution.mean_direction()).map(|(a, b)| (a - b).powi(2)).sum();
            let x = complement - 0.5 * away;
            deviation += x;
            square += x * x;
        }
        let (n, variance) = (f64::from(n), vmf::mean_resultant_length_slope(p, kappa));
        let standard_errors = deviation / (n * variance).sqrt();
        assert!(standard_errors.abs() < 4.5, "p {p}, kappa {kappa}: {standard_errors}");
        assert!(
            (square / n / variance - 1.0).abs() < 0.2,
            "p {p}, kappa {kappa}: {}",
            square / n / variance
        );
    }
}

#[test]
fn samples_recover_the_direction_and_the_concentration() {
    for (case, (p, kappa)) in
        [(2, 3.0), (3, 40.0), (64, 120.0), (512, 1000.0)].into_iter().enumerate()
    {
        let truth = VonMisesFisher::new(oblique(p), kappa).unwrap();
        let points = truth.sample_many(6000, &mut stream(100 + case as u64));
        let mut mean = vec![0.0; p];
        for y in points.chunks_exact(p) {
            mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += y / 6000.0);
        }
        let r = dot(&mean, &mean).sqrt();
        assert!(dot(&mean, truth.mean_direction()) / r > 0.999);
        let found = vmf::max_likelihood_kappa(p, r).unwrap();
        assert!((found / kappa - 1.0).abs() < 0.06, "p {p}: {found}, expected {kappa}");
    }
}

/// Samples are uniform in all directions orthogonal to the mean, even for p = 2, where there are only
/// two.
#[test]
fn samples_show_no_preference_across_the_mean_direction() {
    for p in [2, 3, 8] {
        let truth = VonMisesFisher::new(axis(p, 0), 2.0).unwrap();
        let n = 20_000;
        let points = truth.sample_many(n, &mut stream(200 + p as u64));
        for i in 1..p {
            let mean = points.chunks_exact(p).map(|y| y[i]).sum::<f64>() / n as f64;
            let square = points.chunks_exact(p).map(|y| y[i] * y[i]).sum::<f64>() / n as f64;
            // E[y_i²] = A_p / κ for every axis across the mean direction
            let expected = vmf::mean_resultant_length(p, 2.0) / 2.0;
            assert!(mean.abs() < 5.0 * (expected / n as f64).sqrt(), "{p} {i}: {mean}");
            assert!((square / expected - 1.0).abs() < 0.05, "{p} {i}: {square}, {expected}");
        }
    }
}

#[test]
fn entropy_is_minus_the_mean_log_density() {
    for (case, (p, kappa)) in [(2, 1.0), (3, 30.0), (100, 200.0)].into_iter().enumerate() {
        let truth = VonMisesFisher::new(oblique(p), kappa).unwrap();
        let (n, mut rng) = (8000, stream(300 + case as u64));
        let sum: f64 = (0..n).map(|_| truth.log_density(&truth.sample(&mut rng))).sum();
        let spread = kappa * vmf::mean_resultant_length_slope(p, kappa).sqrt();
        let error = (sum / f64::from(n) + truth.entropy()).abs();
        assert!(error < 4.5 * spread / f64::from(n).sqrt(), "p {p}: {error}");
    }
}

#[test]
fn fit_recovers_a_known_mixture_and_its_likelihood_never_decreases() {
    let p = 8;
    let mu: Vec<f64> = [axis(p, 0), axis(p, 3), oblique(p)].concat();
    let (weights, kappas) = (vec![0.5, 0.3, 0.2], vec![40.0, 150.0, 15.0]);
    let truth = Mixture::new(p, weights, mu, kappas).unwrap();
    let mut rng = stream(400);
    let points: Vec<f64> = (0..6000).flat_map(|_| truth.sample(&mut rng).unwrap().1).collect();
    let options = EmOptions { components: 3, ..EmOptions::default() };
    let fits = (0..3).map(|i| vmf::fit(&points, p, &options, &mut stream(500 + i)).unwrap());
    let last = |fit: &vmf::EmFit| *fit.log_likelihood.last().unwrap();
    let best = fits
        .inspect(|fit| assert!(fit.log_likelihood.is_sorted()))
        .max_by(|a, b| last(a).total_cmp(&last(b)))
        .unwrap();
    assert!(last(&best) >= truth.mean_log_density(&points).unwrap());
    assert_eq!(last(&best), best.mixture.mean_log_density(&points).unwrap());
    for k in 0..3 {
        let cosine = |j: &usize| dot(best.mixture.mean_direction(*j), truth.mean_direction(k));
        let j = (0..3).max_by(|a, b| cosine(a).total_cmp(&cosine(b))).unwrap();
        assert!(cosine(&j) > 0.995, "{k}: {}", cosine(&j));
        assert!((best.mixture.kappas()[j] / truth.kappas()[k] - 1.0).abs() < 0.12, "{k}");
        assert!((best.mixture.weights()[j] - truth.weights()[k]).abs() < 0.03, "{k}");
    }
}

#[test]
fn fits_from_equal_streams_are_equal_to_the_last_bit() {
    let points = VonMisesFisher::new(oblique(5), 2.0).unwrap().sample_many(200, &mut stream(600));
    let options = EmOptions { components: 4, max_iterations: 20, ..EmOptions::default() };
    let fit = || vmf::fit(&points, 5, &options, &mut stream(601)).unwrap();
    assert_eq!(fit(), fit());
    assert!(fit().log_likelihood.is_sorted());
}
