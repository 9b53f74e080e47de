use proptest::prelude::*;

use super::*;
use crate::testing::*;

const EPS: f32 = 1e-6;

/// The definition, row after row.
fn definition(x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let d = gamma.len();
    let row = |x: &[f64]| -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / d as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let normed = x.iter().map(|x| (x - mean) / (variance + f64::from(EPS)).sqrt());
        normed.zip(gamma.iter().zip(beta)).map(|(x, (gamma, beta))| gamma * x + beta).collect()
    };
    x.chunks_exact(d).flat_map(row).collect()
}

fn layer(seed: u64, d: usize) -> (LayerNorm, Params, Params) {
    let (params, grads, ranges) = random_params(seed, &[&[d], &[d]]);
    (LayerNorm { weight: ranges[0], bias: ranges[1], eps: EPS }, params, grads)
}

/// Rows whose mean is about `offset`.
fn input(seed: u64, rows: usize, d: usize, offset: f32) -> Tensor {
    let mut x = random_tensor(seed, &[rows, d]);
    x.host_mut().iter_mut().for_each(|x| *x += offset);
    x
}

/// Everything that backward returns or adds, and what the definition says of it.
fn check_backward(rows: usize, d: usize, offset: f32, atol: f64) {
    let (layer, params, mut grads) = layer(3, d);
    let (x, dy) = (input(4, rows, d, offset), random_tensor(5, &[rows, d]));
    let (xd, dyd) = (doubles(x.host()), doubles(dy.host()));
    let (gamma, beta) =
        (doubles(params.view(layer.weight).host()), doubles(params.view(layer.bias).host()));
    let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| inner(&definition(x, gamma, beta), &dyd);
    let (_, saved) = forward(&layer, &params, &x);
    let dx = backward(&layer, &params, &x, saved, dy, &mut grads);
    let dx_expected = gradient(&xd, |x| loss(x, &gamma, &beta));
    let scale = magnitude(&dx_expected).max(1.0);
    assert_close(dx.host(), &dx_expected, atol * scale, 1e-5);
    let dgamma = gradient(&gamma, |gamma| loss(&xd, gamma, &beta));
    assert_close(grads.view(layer.weight).host(), &dgamma, atol * 10.0, 1e-5);
    assert_close(
        grads.view(layer.bias).host(),
        &gradient(&beta, |b| loss(&xd, &gamma, b)),
        1e-5,
        1e-5,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// With a variance of about 1/3 and more than two numbers, x̂ is good to a few ulp of 2.
    #[test]
    fn forward_is_its_definition(rows in 0usize..70, d in 3usize..50) {
        let (layer, params, _) = layer(1, d);
        let x = input(2, rows, d, 0.0);
        let (gamma, beta) = (doubles(params.view(layer.weight).host()), doubles(params.view(layer.bias).host()));
        let (y, saved) = forward(&layer, &params, &x);
        assert_close(y.host(), &definition(&doubles(x.host()), &gamma, &beta), 2e-5, 1e-5);
        assert_eq!(bits(y.host()), bits(infer(&layer, &params, &x).host()));
        assert_eq!(bits(y.host()), bits(apply(&layer, &params, &x, &saved).host()));
    }

    /// f32 sums of a few dozen terms of order one, in units of the largest gradient.
    #[test]
    fn backward_is_the_slope_of_the_definition(rows in 0usize..5, d in 3usize..20) {
        check_backward(rows, d, 0.0, 1e-5);
    }
}

/// The mean itself is only known to half an ulp of 1e4, 5e-4, and x̂ to 5e-4 · rstd.
#[test]
fn a_large_mean_costs_no_more_than_its_own_rounding() {
    let (layer, params, _) = layer(6, 384);
    let x = input(7, 5, 384, 1e4);
    let (gamma, beta) =
        (doubles(params.view(layer.weight).host()), doubles(params.view(layer.bias).host()));
    let (y, _) = forward(&layer, &params, &x);
    assert_close(y.host(), &definition(&doubles(x.host()), &gamma, &beta), 2e-3, 0.0);
}

/// x̂ is known to 1e-3 there, and enters dx with a factor below one.
#[test]
fn backward_survives_a_large_mean() {
    check_backward(3, 48, 1e4, 2e-3);
}

#[test]
fn a_constant_row_gives_beta_and_finite_gradients() {
    let (layer, params, mut grads) = layer(8, 16);
    let x = Tensor::from_slice(&[1, 16], &[3.0; 16]);
    let (y, saved) = forward(&layer, &params, &x);
    assert_close(y.host(), &doubles(params.view(layer.bias).host()), 1e-6, 0.0);
    let dx = backward(&layer, &params, &x, saved, random_tensor(9, &[1, 16]), &mut grads);
    assert!(dx.host().iter().chain(grads.whole().host()).all(|x| x.is_finite()));
}

#[test]
fn threads_give_equal_bits() {
    let (layer, params, grads) = layer(10, 33);
    let (x, dy) = (input(11, 403, 33, 1.0), random_tensor(12, &[403, 33]));
    assert_threads_agree(|| {
        let mut grads = grads.clone();
        let (y, saved) = forward(&layer, &params, &x);
        let dx = backward(&layer, &params, &x, saved, dy.clone(), &mut grads);
        [&y.host()[..], &dx.host()[..], grads.whole().host()].concat()
    });
}

#[test]
#[should_panic(expected = "width of the input of a layer norm")]
fn an_input_of_another_width_is_refused() {
    let (layer, params, _) = layer(13, 5);
    infer(&layer, &params, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "sizes of input and gradient of a layer norm")]
fn a_gradient_of_another_size_is_refused() {
    let (layer, params, mut grads) = layer(14, 4);
    let x = Tensor::zeros(&[2, 4]);
    let (_, saved) = forward(&layer, &params, &x);
    backward(&layer, &params, &x, saved, Tensor::zeros(&[3, 4]), &mut grads);
}
