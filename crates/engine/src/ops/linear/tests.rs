use proptest::prelude::*;

use matmul::THREADS_AGREE_FROM;

use super::*;
use crate::testing::*;

/// The definition: `y = x Wᵀ + b`, one number after the other.
fn definition(x: &[f64], w: &[f64], b: &[f64], input: usize) -> Vec<f64> {
    let rows = x.len() / input;
    let row = |i: usize| &x[i * input..(i + 1) * input];
    let number = |i: usize, o: usize| b[o] + inner(row(i), &w[o * input..(o + 1) * input]);
    (0..rows).flat_map(|i| (0..b.len()).map(move |o| number(i, o))).collect()
}

fn layer(seed: u64, input: usize, output: usize) -> (Linear, Params, Params) {
    let (params, grads, ranges) = random_params(seed, &[&[output, input], &[output]]);
    let (weight, bias, precision) = (ranges[0], ranges[1], Precision::F32);
    (Linear { weight, bias, input, output, precision }, params, grads)
}

/// Both halves of the backward pass: `dx`, and the gradients of weight and bias.
fn backward(
    layer: &Linear,
    params: &Params,
    x: &Tensor,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    backward_params(layer, x, dy, grads);
    backward_input(layer, params, dy)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sums of up to 40 terms below 1: a few ulp of 40.
    #[test]
    fn forward_is_its_definition(rows in 0usize..70, input in 1usize..40, output in 1usize..40) {
        let (layer, params, _) = layer(1, input, output);
        let x = random_tensor(2, &[rows, input]);
        let (w, b) = (doubles(params.view(layer.weight).host()), doubles(params.view(layer.bias).host()));
        let expected = definition(&doubles(x.host()), &w, &b, input);
        let y = infer(&layer, &params, &x);
        assert_eq!(y.shape(), [rows, output]);
        assert_close(y.host(), &expected, 1e-5, 1e-6);
    }

    #[test]
    fn backward_is_the_slope_of_the_definition(
        rows in 0usize..6, input in 1usize..8, output in 1usize..8,
    ) {
        let (layer, params, mut grads) = layer(3, input, output);
        let (x, dy) = (random_tensor(4, &[rows, input]), random_tensor(5, &[rows, output]));
        let (xd, dyd) = (doubles(x.host()), doubles(dy.host()));
        let (w, b) = (doubles(params.view(layer.weight).host()), doubles(params.view(layer.bias).host()));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| inner(&definition(x, w, b, input), &dyd);
        let dx = backward(&layer, &params, &x, &dy, &mut grads);
        // f32 sums of at most 8 terms below 1, and 1e-9 of the differences.
        assert_close(dx.host(), &gradient(&xd, |x| loss(x, &w, &b)), 2e-6, 1e-6);
        assert_close(grads.view(layer.weight).host(), &gradient(&w, |w| loss(&xd, w, &b)), 2e-6, 1e-6);
        assert_close(grads.view(layer.bias).host(), &gradient(&b, |b| loss(&xd, &w, b)), 2e-6, 1e-6);
    }
}

#[test]
fn parameter_gradients_add_over_two_calls() {
    let (layer, params, mut grads) = layer(6, 5, 3);
    let (x, dy) = (random_tensor(7, &[9, 5]), random_tensor(8, &[9, 3]));
    backward_params(&layer, &x, &dy, &mut grads);
    let twice: Vec<f64> = doubles(grads.whole().host()).iter().map(|g| 2.0 * g).collect();
    let _ = backward(&layer, &params, &x, &dy, &mut grads);
    assert_close(grads.whole().host(), &twice, 1e-5, 1e-5);
}

#[test]
fn threads_give_equal_bits() {
    let (layer, params, grads) = layer(9, 67, 130);
    let (x, dy) = (random_tensor(10, &[301, 67]), random_tensor(11, &[301, 130]));
    assert_threads_agree(|| {
        let mut grads = grads.clone();
        let y = infer(&layer, &params, &x);
        let dx = backward(&layer, &params, &x, &dy, &mut grads);
        [y.host(), dx.host(), grads.whole().host()].concat()
    });
}

/// A sum of `rows` products below 1, in pieces that are added.
#[test]
fn gradients_of_chunks_are_those_of_all_rows() {
    let (input, output) = (40, THREADS_AGREE_FROM);
    for (rows, chunks) in [(511, 1), (512, 2), (700, 2), (1_100, 4), (3_000, 8)] {
        let (layer, _, mut grads) = layer(20, input, output);
        let (x, dy) = (random_tensor(21, &[rows, input]), random_tensor(22, &[rows, output]));
        assert_eq!(layer.chunks(rows), chunks);
        backward_params(&layer, &x, &dy, &mut grads);
        let column = |tensor: &Tensor, width: usize, j: usize| -> Vec<f64> {
            tensor.host().iter().skip(j).step_by(width).map(|&x| f64::from(x)).collect()
        };
        let dys: Vec<_> = (0..output).map(|o| column(&dy, output, o)).collect();
        let xs: Vec<_> = (0..input).map(|i| column(&x, input, i)).collect();
        let weight: Vec<f64> = dys.iter().flat_map(|dy| xs.iter().map(|x| inner(dy, x))).collect();
        let bias: Vec<f64> = dys.iter().map(|dy| dy.iter().sum()).collect();
        assert_close(grads.view(layer.weight).host(), &weight, 3e-5, 1e-5);
        assert_close(grads.view(layer.bias).host(), &bias, 3e-5, 1e-5);
    }
}

/// Fewer threads than chunks, and more.
#[test]
fn threads_give_equal_gradients_of_chunks() {
    let (layer, _, grads) = layer(23, 130, 140);
    let (x, dy) = (random_tensor(24, &[900, 130]), random_tensor(25, &[900, 140]));
    for precision in [Precision::F32, Precision::Bf16] {
        let layer = Linear { precision, ..layer };
        assert_eq!(layer.chunks(900), 3);
        let gradients = || {
            let mut grads = grads.clone();
            backward_params(&layer, &x, &dy, &mut grads);
            bits(grads.whole().host())
        };
        let one = on_threads(1, gradients);
        for threads in [2, 4, 7] {
            assert!(one == on_threads(threads, gradients), "{threads} threads in {precision:?}");
        }
    }
}

#[test]
#[should_panic(expected = "width of the input of a linear layer")]
fn an_input_of_another_width_is_refused() {
    let (layer, params, _) = layer(12, 5, 3);
    infer(&layer, &params, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "input of a linear layer")]
fn a_gradient_with_another_number_of_rows_is_refused() {
    let (layer, _, mut grads) = layer(13, 5, 3);
    backward_params(&layer, &Tensor::zeros(&[2, 5]), &Tensor::zeros(&[3, 3]), &mut grads);
}

/// The three products of factors that bf16 holds exactly are those of f32.
#[test]
fn bf16_layers_are_exact_where_factors_need_no_rounding() {
    let (rows, input, output) = (70, 48, 40);
    let (layer, mut params, grads) = layer(1, input, output);
    let coarse = |numbers: &mut [f32]| numbers.iter_mut().for_each(|x| *x = (*x * 16.0).round());
    coarse(params.whole_mut().host_mut());
    let (mut x, mut dy) = (random_tensor(2, &[rows, input]), random_tensor(3, &[rows, output]));
    coarse(x.host_mut());
    coarse(dy.host_mut());
    let results = |precision| {
        let (layer, mut grads) = (Linear { precision, ..layer }, grads.clone());
        let y = infer(&layer, &params, &x);
        let dx = backward(&layer, &params, &x, &dy, &mut grads);
        [bits(y.host()), bits(dx.host()), bits(grads.whole().host())]
    };
    assert_eq!(results(Precision::Bf16), results(Precision::F32));
}

#[test]
fn bf16_layers_round_their_factors() {
    let (layer, params, _) = layer(1, 64, 64);
    let x = random_tensor(2, &[32, 64]);
    let exact = infer(&layer, &params, &x);
    let rounded = infer(&Linear { precision: Precision::Bf16, ..layer }, &params, &x);
    assert_ne!(bits(rounded.host()), bits(exact.host()));
    // 64 products below 1, each off by at most 2^-8 of itself.
    assert_close(rounded.host(), &doubles(exact.host()), 64.0 / 256.0, 0.0);
}
