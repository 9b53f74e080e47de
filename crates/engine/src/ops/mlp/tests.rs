use proptest::prelude::*;

use super::*;
use crate::matmul::Precision;
use crate::ops::gelu;
use crate::ops::layer_norm::LayerNorm;
use crate::tensor::Dtype;
use crate::testing::*;

/// An MLP, its parameters, and zero gradients.
fn layers(seed: u64, d: usize, hidden: usize) -> (Mlp, Params, Params) {
    let shapes: [&[usize]; 6] = [&[d], &[d], &[hidden, d], &[hidden], &[d, hidden], &[d]];
    let (params, grads, ranges) = random_params(seed, &shapes);
    let linear = |first: usize, input, output| Linear {
        weight: ranges[first],
        bias: ranges[first + 1],
        input,
        output,
        precision: Precision::F32,
    };
    let norm = LayerNorm { weight: ranges[0], bias: ranges[1], eps: 1e-6 };
    let first = NormedLinear { norm, linear: linear(2, d, hidden) };
    (Mlp { first, gelu: gelu::Form::Exact, second: linear(4, hidden, d) }, params, grads)
}

fn in_precision(mlp: Mlp, precision: Precision) -> Mlp {
    let first = Linear { precision, ..mlp.first.linear };
    let second = Linear { precision, ..mlp.second };
    Mlp { first: NormedLinear { linear: first, ..mlp.first }, second, ..mlp }
}

/// `y`, `dx` and all gradients, by the layers one after the other.
fn one_after_the_other(
    mlp: &Mlp,
    params: &Params,
    grads: &Params,
    x: &Tensor,
    dy: &Tensor,
) -> [Vec<f32>; 3] {
    let mut grads = grads.clone();
    let (normed, norm) = layer_norm::forward(&mlp.first.norm, params, x);
    let hidden = linear::infer(&mlp.first.linear, params, &normed);
    let (activated, gelu) = gelu::forward(hidden, mlp.gelu, Dtype::F32);
    let y = linear::infer(&mlp.second, params, &activated);
    linear::backward_params(&mlp.second, &activated, dy, &mut grads);
    let dhidden = gelu::backward(gelu, linear::backward_input(&mlp.second, params, dy));
    linear::backward_params(&mlp.first.linear, &normed, &dhidden, &mut grads);
    let dnormed = linear::backward_input(&mlp.first.linear, params, &dhidden);
    let dx = layer_norm::backward(&mlp.first.norm, params, x, norm, dnormed, &mut grads);
    [y.host().to_vec(), dx.host().to_vec(), grads.whole().host().to_vec()]
}

/// The same by this operation.
fn together(
    mlp: &Mlp,
    params: &Params,
    grads: &Params,
    x: &Tensor,
    dy: &Tensor,
    keep_hidden: bool,
) -> [Vec<f32>; 3] {
    let mut grads = grads.clone();
    let (y, saved) = forward(mlp, params, x.clone(), keep_hidden);
    let dx = backward(mlp, params, saved, dy, &mut grads);
    [y.host().to_vec(), dx.host().to_vec(), grads.whole().host().to_vec()]
}

/// The definition, one row after the other.
fn definition(x: &[f64], params: &[f64], (d, hidden): (usize, usize)) -> Vec<f64> {
    let (gamma, rest) = params.split_at(d);
    let (beta, rest) = rest.split_at(d);
    let (w1, rest) = rest.split_at(d * hidden);
    let (b1, rest) = rest.split_at(hidden);
    let (w2, b2) = rest.split_at(d * hidden);
    let linear = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
        w.chunks_exact(x.len()).zip(b).map(|(w, b)| b + inner(x, w)).collect()
    };
    let row = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / d as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let normed = x.iter().zip(gamma.iter().zip(beta));
        let normed = normed.map(|(x, (g, b))| (x - mean) / (variance + 1e-6).sqrt() * g + b);
        let h = linear(&normed.collect::<Vec<_>>(), w1, b1);
        linear(&h.into_iter().map(gelu_in_f64).collect::<Vec<_>>(), w2, b2)
    };
    x.chunks_exact(d).flat_map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sums of at most 300 terms of order one.
    #[test]
    fn it_is_its_layers_one_after_the_other(
        rows in 0usize..300, d in 3usize..40, hidden in 1usize..90,
        gelu in prop::sample::select(vec![gelu::Form::Exact, gelu::Form::Tanh]),
    ) {
        let (mlp, params, grads) = layers(1, d, hidden);
        let mlp = Mlp { gelu, ..mlp };
        let (x, dy) = (random_tensor(2, &[rows, d]), random_tensor(3, &[rows, d]));
        let expected = one_after_the_other(&mlp, &params, &grads, &x, &dy);
        let kept = together(&mlp, &params, &grads, &x, &dy, true);
        for (found, expected) in kept.iter().zip(&expected) {
            let expected = doubles(expected);
            assert_close(found, &expected, 1e-5 * magnitude(&expected).max(1.0), 1e-5);
        }
        let again = together(&mlp, &params, &grads, &x, &dy, false);
        assert_eq!(kept.each_ref().map(|x| bits(x)), again.each_ref().map(|x| bits(x)));
        assert_eq!(bits(&kept[0]), bits(infer(&mlp, &params, &x).host()));
    }

    /// In units of the largest gradient.
    #[test]
    fn backward_is_the_slope_of_the_definition(rows in 1usize..4, d in 3usize..7, hidden in 1usize..7) {
        let (mlp, params, grads) = layers(4, d, hidden);
        let (x, dy) = (random_tensor(5, &[rows, d]), random_tensor(6, &[rows, d]));
        let (xd, pd, dyd) = (doubles(x.host()), doubles(params.whole().host()), doubles(dy.host()));
        let loss = |x: &[f64], params: &[f64]| inner(&definition(x, params, (d, hidden)), &dyd);
        let [y, dx, dparams] = together(&mlp, &params, &grads, &x, &dy, true);
        assert_close(&y, &definition(&xd, &pd, (d, hidden)), 2e-5, 1e-5);
        let expected = gradient(&xd, |x| loss(x, &pd));
        assert_close(&dx, &expected, 3e-5 * magnitude(&expected).max(1.0), 1e-5);
        let expected = gradient(&pd, |params| loss(&xd, params));
        assert_close(&dparams, &expected, 3e-5 * magnitude(&expected).max(1.0), 1e-5);
    }
}

/// Wide enough for packed products, where there are some.
#[test]
fn threads_give_equal_bits() {
    let (mlp, params, grads) = layers(7, 128, 160);
    let (x, dy) = (random_tensor(8, &[700, 128]), random_tensor(9, &[700, 128]));
    for precision in [Precision::F32, Precision::Bf16] {
        let mlp = in_precision(mlp, precision);
        for keep_hidden in [true, false] {
            assert_threads_agree(|| together(&mlp, &params, &grads, &x, &dy, keep_hidden).concat());
        }
    }
}

/// Each product is off by at most 2⁻⁸ of its terms, of either sign.
#[test]
fn bf16_rounds_factors_and_what_is_kept() {
    let (mlp, params, grads) = layers(10, 64, 96);
    let (x, dy) = (random_tensor(11, &[130, 64]), random_tensor(12, &[130, 64]));
    let rounded = in_precision(mlp, Precision::Bf16);
    let exact = together(&mlp, &params, &grads, &x, &dy, true);
    for keep_hidden in [true, false] {
        let found = together(&rounded, &params, &grads, &x, &dy, keep_hidden);
        for (found, exact) in found.iter().zip(&exact) {
            let exact = doubles(exact);
            assert_ne!(doubles(found), exact);
            assert_close(found, &exact, 0.02 * magnitude(&exact), 0.0);
        }
    }
}

#[test]
#[should_panic(expected = "width of the input of an MLP")]
fn an_input_of_another_width_is_refused() {
    let (mlp, params, _) = layers(13, 5, 3);
    infer(&mlp, &params, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "gradient of an MLP")]
fn a_gradient_of_another_size_is_refused() {
    let (mlp, params, mut grads) = layers(14, 5, 3);
    let (_, saved) = forward(&mlp, &params, random_tensor(15, &[2, 5]), true);
    backward(&mlp, &params, saved, &Tensor::zeros(&[3, 5]), &mut grads);
}
