use super::*;
use crate::VonMisesFisher;
use streams::{Key, Purpose};

fn stream(index: u64) -> streams::Stream {
    Key::new(5, Purpose::Estimate).index(index).open()
}

fn fit_to(points: &[f64], p: usize, components: usize) -> Result<EmFit, Error> {
    fit(points, p, &EmOptions { components, ..EmOptions::default() }, &mut stream(0))
}

#[test]
fn one_component_is_the_maximum_likelihood_estimate() {
    let truth = VonMisesFisher::new(vec![0.6, 0.0, 0.8], 7.0).unwrap();
    let points = truth.sample_many(4000, &mut stream(1));
    let fit = fit_to(&points, 3, 1).unwrap();
    assert_eq!((fit.stop, fit.mixture.weights()), (EmStop::Converged, &[1.0][..]));
    let mut mean = [0.0; 3];
    for y in points.chunks_exact(3) {
        mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += y / 4000.0);
    }
    let expected = max_likelihood_kappa(3, norm(&mean)).unwrap();
    assert!((fit.mixture.kappas()[0] / expected - 1.0).abs() < 1e-10);
    assert!((expected - 7.0).abs() < 0.5, "{expected}");
}

#[test]
fn copies_of_two_points_stop_at_the_cap_with_three_components() {
    let points = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let fit = fit_to(&points, 2, 3).unwrap();
    assert!(fit.mixture.kappas().iter().all(|kappa| kappa.is_finite()));
    assert!(!fit.capped.is_empty());
    assert!(fit.log_likelihood.is_sorted());
    assert!((fit.mixture.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_component_without_points_keeps_its_index_and_gets_weight_zero() {
    let options = EmOptions { components: 2, ..EmOptions::default() };
    let last = Mixture::new(2, vec![0.5; 2], vec![1.0, 0.0, 0.0, 1.0], vec![3.0, 4.0]).unwrap();
    let statistics = Statistics { counts: vec![2.0, 0.0], resultants: vec![1.0, 0.0, 0.0, 0.0] };
    let next = maximize(&statistics, &last, &options).unwrap();
    assert_eq!(next.weights(), [1.0, 0.0]);
    assert_eq!((next.mean_direction(1), next.kappas()[1]), (&[0.0, 1.0][..], 4.0));
}

#[test]
fn opposite_points_give_zero_concentration() {
    let fit = fit_to(&[1.0, 0.0, -1.0, 0.0], 2, 1).unwrap();
    assert_eq!(fit.mixture.kappas(), [0.0]);
}

#[test]
fn refuses_bad_data_and_bad_options() {
    let points = [1.0, 0.0, 0.0, 1.0];
    assert_eq!(fit_to(&points, 2, 0), Err(Error::NoComponents));
    assert_eq!(fit_to(&points, 2, 3), Err(Error::TooFewPoints { points: 2, components: 3 }));
    assert!(matches!(fit_to(&points, 3, 1), Err(Error::Dimension { .. })));
    assert!(matches!(fit_to(&points, 1, 1), Err(Error::TooFlat { .. })));
    assert!(matches!(fit_to(&[1.0, 1.0], 2, 1), Err(Error::NotUnit { row: 0, .. })));
    assert!(matches!(fit_to(&[f64::NAN, 1.0], 2, 1), Err(Error::NotUnit { .. })));
    for options in [
        EmOptions { max_iterations: 0, ..EmOptions::default() },
        EmOptions { tolerance: f64::NAN, ..EmOptions::default() },
        EmOptions { max_kappa: f64::INFINITY, ..EmOptions::default() },
    ] {
        let result = fit(&points, 2, &options, &mut stream(0));
        assert!(matches!(result, Err(Error::Options { .. })), "{options:?}");
    }
}
