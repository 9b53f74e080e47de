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

fn layer(seed: u64, d: usize, device: &Device) -> (LayerNorm, Params, Params) {
    let (params, grads, ids) = random_params(seed, &[&[d], &[d]]);
    let layer = LayerNorm { weight: ids[0], bias: ids[1], eps: EPS };
    (layer, params.to(device), grads.to(device))
}

/// γ and β.
fn affine(layer: &LayerNorm, params: &Params) -> (Vec<f64>, Vec<f64>) {
    let [gamma, beta] =
        [layer.weight, layer.bias].map(|param| doubles(&values_of(params.view(param))));
    (gamma, beta)
}

/// Rows whose mean is about `offset`.
fn input(seed: u64, rows: usize, d: usize, offset: f32) -> Tensor {
    let mut x = random_tensor(seed, &[rows, d]);
    x.host_mut().iter_mut().for_each(|x| *x += offset);
    x
}

/// Everything that backward returns or adds, and what the definition says of it.
fn check_backward(rows: usize, d: usize, offset: f32, atol: f64, device: &Device) {
    let (layer, params, mut grads) = layer(3, d, device);
    let (x, dy) = (input(4, rows, d, offset), random_tensor(5, &[rows, d]));
    let (xd, dyd) = (doubles(x.host()), doubles(dy.host()));
    let (gamma, beta) = affine(&layer, &params);
    let (x, dy) = (x.to(device), dy.to(device));
    let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| inner(&definition(x, gamma, beta), &dyd);
    let (_, saved) = forward(&layer, &params, &x);
    let dx = backward(&layer, &params, &x, saved, dy, &mut grads);
    let dx_expected = gradient(&xd, |x| loss(x, &gamma, &beta));
    let scale = magnitude(&dx_expected).max(1.0);
    assert_close(&values(&dx), &dx_expected, atol * scale, 1e-5);
    let dgamma = gradient(&gamma, |gamma| loss(&xd, gamma, &beta));
    assert_close(&values_of(grads.view(layer.weight)), &dgamma, atol * 10.0, 1e-5);
    assert_close(
        &values_of(grads.view(layer.bias)),
        &gradient(&beta, |b| loss(&xd, &gamma, b)),
        1e-5,
        1e-5,
    );
}

on_every_device!(
    forward_is_its_definition,
    backward_is_the_slope_of_the_definition,
    a_large_mean_costs_no_more_than_its_own_rounding,
    backward_survives_a_large_mean,
    a_constant_row_gives_beta_and_finite_gradients,
    sums_over_many_rows_are_those_of_f64,
);

/// With a variance of about 1/3 and more than two values, x̂ is good to a few ulp of 2.
fn forward_is_its_definition(device: &Device) {
    proptest!(ProptestConfig::with_cases(32), |(rows in 0usize..70, d in 3usize..50)| {
        let (layer, params, _) = layer(1, d, device);
        let x = input(2, rows, d, 0.0);
        let (gamma, beta) = affine(&layer, &params);
        let expected = definition(&doubles(x.host()), &gamma, &beta);
        let x = x.to(device);
        let (y, saved) = forward(&layer, &params, &x);
        assert_close(&values(&y), &expected, 2e-5, 1e-5);
        assert_eq!(bits(&values(&y)), bits(&values(&infer(&layer, &params, &x))));
        assert_eq!(bits(&values(&y)), bits(&values(&apply(&layer, &params, &x, &saved))));
    });
}

/// f32 sums of a few dozen terms of order one, in units of the largest gradient.
fn backward_is_the_slope_of_the_definition(device: &Device) {
    proptest!(ProptestConfig::with_cases(32), |(rows in 0usize..5, d in 3usize..20)| {
        check_backward(rows, d, 0.0, 1e-5, device);
    });
}

/// The mean itself is only known to half an ulp of 1e4, 5e-4, and x̂ to 5e-4 · rstd.
fn a_large_mean_costs_no_more_than_its_own_rounding(device: &Device) {
    let (layer, params, _) = layer(6, 384, device);
    let x = input(7, 5, 384, 1e4);
    let (gamma, beta) = affine(&layer, &params);
    let expected = definition(&doubles(x.host()), &gamma, &beta);
    let (y, _) = forward(&layer, &params, &x.to(device));
    assert_close(&values(&y), &expected, 2e-3, 0.0);
}

/// x̂ is known to 1e-3 there, and enters dx with a factor below one.
fn backward_survives_a_large_mean(device: &Device) {
    check_backward(3, 48, 1e4, 2e-3, device);
}

fn a_constant_row_gives_beta_and_finite_gradients(device: &Device) {
    let (layer, params, mut grads) = layer(8, 16, device);
    let x = Tensor::from_slice(&[1, 16], &[3.0; 16]).to(device);
    let (y, saved) = forward(&layer, &params, &x);
    assert_close(&values(&y), &affine(&layer, &params).1, 1e-6, 0.0);
    let dy = random_tensor(9, &[1, 16]).to(device);
    let dx = backward(&layer, &params, &x, saved, dy, &mut grads);
    assert!(values(&dx).into_iter().chain(values(grads.whole())).all(f32::is_finite));
}

/// More rows than any device sums in one block, and no multiple of a block.
fn sums_over_many_rows_are_those_of_f64(device: &Device) {
    let (rows, d) = (707, 37);
    let (layer, params, mut grads) = layer(15, d, device);
    grads.on_host_mut(|grads| grads.whole_mut().host_mut().fill(1.0));
    let (x, dy) = (input(16, rows, d, 0.0), random_tensor(17, &[rows, d]));
    let ones = definition(&doubles(x.host()), &vec![1.0; d], &vec![0.0; d]); // x̂
    let (mut dgamma, mut dbeta) = (vec![1.0; d], vec![1.0; d]);
    for (i, (normed, &dy)) in ones.iter().zip(dy.host()).enumerate() {
        dgamma[i % d] += normed * f64::from(dy);
        dbeta[i % d] += f64::from(dy);
    }
    let x = x.to(device);
    let (_, saved) = forward(&layer, &params, &x);
    drop(backward(&layer, &params, &x, saved, dy.to(device), &mut grads));
    // f32 sums of 707 terms of order one.
    assert_close(&values_of(grads.view(layer.weight)), &dgamma, 1e-4, 1e-5);
    assert_close(&values_of(grads.view(layer.bias)), &dbeta, 1e-4, 1e-5);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn the_order_of_warps_does_not_change_a_bit() {
    let run = |seed| {
        let device = &emulated_cuda(seed);
        let (layer, params, mut grads) = layer(18, 45, device);
        let x = input(19, 133, 45, 1.0).to(device);
        let (y, saved) = forward(&layer, &params, &x);
        let dy = random_tensor(20, &[133, 45]).to(device);
        let dx = backward(&layer, &params, &x, saved, dy, &mut grads);
        bits(&[values(&y), values(&dx), values(grads.whole())].concat())
    };
    let in_order = run(0);
    for seed in 1..4 {
        assert!(in_order == run(seed), "seed {seed} gives other bits");
    }
}

#[test]
fn threads_give_equal_bits() {
    let (layer, params, grads) = layer(10, 33, &Device::Cpu);
    let (x, dy) = (input(11, 403, 33, 1.0), random_tensor(12, &[403, 33]));
    assert_threads_agree(|| {
        let mut grads = grads.clone();
        let (y, saved) = forward(&layer, &params, &x);
        let dx = backward(&layer, &params, &x, saved, dy.clone(), &mut grads);
        [y.host(), dx.host(), grads.whole().host()].concat()
    });
}

#[test]
#[should_panic(expected = "width of the input of a layer norm")]
fn an_input_of_another_width_is_refused() {
    let (layer, params, _) = layer(13, 5, &Device::Cpu);
    infer(&layer, &params, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "sizes of input and gradient of a layer norm")]
fn a_gradient_of_another_size_is_refused() {
    let (layer, params, mut grads) = layer(14, 4, &Device::Cpu);
    let x = Tensor::zeros(&[2, 4]);
    let (_, saved) = forward(&layer, &params, &x);
    backward(&layer, &params, &x, saved, Tensor::zeros(&[3, 4]), &mut grads);
}
