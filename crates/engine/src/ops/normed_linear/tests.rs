use proptest::prelude::*;

use super::*;
use crate::matmul::Precision;
use crate::ops::linear;
use crate::testing::*;

fn layers(seed: u64, input: usize, output: usize) -> (NormedLinear, Params, Params) {
    let shapes: [&[usize]; 4] = [&[input], &[input], &[output, input], &[output]];
    let (params, grads, ranges) = random_params(seed, &shapes);
    let norm = LayerNorm { weight: ranges[0], bias: ranges[1], eps: 1e-6 };
    let (weight, bias, precision) = (ranges[2], ranges[3], Precision::F32);
    (
        NormedLinear { norm, linear: Linear { weight, bias, input, output, precision } },
        params,
        grads,
    )
}

/// `y`, `dx` and all gradients, by the layers one after the other.
fn one_after_the_other(
    layers: &NormedLinear,
    params: &Params,
    grads: &Params,
    x: &Tensor,
    dy: &Tensor,
) -> [Vec<f32>; 3] {
    let mut grads = grads.clone();
    let (normed, norm) = layer_norm::forward(&layers.norm, params, x);
    let y = linear::infer(&layers.linear, params, &normed);
    linear::backward_params(&layers.linear, &normed, dy, &mut grads);
    let dnormed = linear::backward_input(&layers.linear, params, dy);
    let dx = layer_norm::backward(&layers.norm, params, x, norm, dnormed, &mut grads);
    [y.host().to_vec(), dx.host().to_vec(), grads.whole().host().to_vec()]
}

/// The same by this operation.
fn together(
    layers: &NormedLinear,
    params: &Params,
    grads: &Params,
    x: &Tensor,
    dy: &Tensor,
) -> [Vec<f32>; 3] {
    let mut grads = grads.clone();
    let (y, saved) = forward(layers, params, x.clone());
    let dx = backward(layers, params, saved, dy, &mut grads);
    [y.host().to_vec(), dx.host().to_vec(), grads.whole().host().to_vec()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Both layers are held to their definitions by tests of their own. Sums of at most 300 terms of order
    /// one.
    #[test]
    fn it_is_its_layers_one_after_the_other(rows in 0usize..300, input in 3usize..50, output in 1usize..90) {
        let (layers, params, grads) = layers(1, input, output);
        let (x, dy) = (random_tensor(2, &[rows, input]), random_tensor(3, &[rows, output]));
        let expected = one_after_the_other(&layers, &params, &grads, &x, &dy);
        let found = together(&layers, &params, &grads, &x, &dy);
        for (found, expected) in found.iter().zip(&expected) {
            let expected = doubles(expected);
            assert_close(found, &expected, 1e-5 * magnitude(&expected).max(1.0), 1e-5);
        }
        assert_eq!(bits(&found[0]), bits(infer(&layers, &params, &x).host()));
    }
}

/// Wide enough for packed products, where there are some.
#[test]
fn threads_give_equal_bits() {
    let (layers, params, grads) = layers(4, 128, 160);
    let (x, dy) = (random_tensor(5, &[700, 128]), random_tensor(6, &[700, 160]));
    for precision in [Precision::F32, Precision::Bf16] {
        let layers = NormedLinear { linear: Linear { precision, ..layers.linear }, ..layers };
        assert_threads_agree(|| together(&layers, &params, &grads, &x, &dy).concat());
    }
}

#[test]
#[should_panic(expected = "width of the input of a linear layer")]
fn an_input_of_another_width_is_refused() {
    let (layers, params, _) = layers(7, 5, 3);
    infer(&layers, &params, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "width of the gradient of a linear layer")]
fn a_gradient_of_another_width_is_refused() {
    let (layers, params, mut grads) = layers(8, 5, 3);
    let (_, saved) = forward(&layers, &params, random_tensor(9, &[2, 5]));
    backward(&layers, &params, saved, &Tensor::zeros(&[2, 4]), &mut grads);
}
