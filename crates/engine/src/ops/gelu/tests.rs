use proptest::prelude::*;

use super::*;
use crate::testing::*;

fn input(seed: u64, shape: &[usize]) -> Tensor {
    let mut x = random_tensor(seed, shape);
    x.host_mut().iter_mut().for_each(|x| *x *= 5.0);
    x
}

on_every_device!(
    known_values,
    forward_and_backward_are_the_definition,
    the_tanh_form_is_its_definition,
    a_saved_input_may_be_bf16,
    bf16_has_the_bits_of_a_cast,
);

fn known_values(device: &Device) {
    let x = Tensor::from_slice(&[5], &[0.0, 1.0, -1.0, 40.0, -40.0]).to(device);
    let (y, _) = forward(x, Form::Exact, Dtype::F32);
    // Φ(1) = 0.8413447460685429
    assert_close(&values(&y), &[0.0, 0.841_344_746, -0.158_655_254, 40.0, 0.0], 3e-7, 1e-6);
}

/// The tanh form with the definition's tanh, and its slope.
fn the_tanh_form_is_its_definition(device: &Device) {
    let tanh_form = |x: f64| {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + u.tanh())
    };
    let slope = |x: f64| (tanh_form(x + 1e-5) - tanh_form(x - 1e-5)) / 2e-5;
    let (x, dy) = (input(8, &[37, 19]), random_tensor(9, &[37, 19]));
    let expected: Vec<f64> = x.host().iter().map(|&x| tanh_form(f64::from(x))).collect();
    let products = x.host().iter().zip(dy.host());
    let dx_expected: Vec<f64> =
        products.map(|(&x, &dy)| f64::from(dy) * slope(f64::from(x))).collect();
    let inferred = infer(&x.clone().to(device), Form::Tanh);
    let (y, saved) = forward(x.clone().to(device), Form::Tanh, Dtype::F32);
    let mut dx = dy.clone().to(device);
    let again = recompute_and_backward(saved, &mut dx);
    assert_close(&values(&y), &expected, 3e-6, 1e-6);
    assert_close(&values(&dx), &dx_expected, 3e-6, 1e-5);
    assert_eq!(bits(&values(&y)), bits(&values(&inferred)));
    assert_eq!(bits(&values(&y)), bits(&values(&again)));
    // PyTorch's `gelu(tensor([1., -2.]), approximate="tanh")`.
    let known = infer(&Tensor::from_slice(&[2], &[1.0, -2.0]).to(device), Form::Tanh);
    assert_close(&values(&known), &[0.841_192, -0.045_402_3], 1e-6, 1e-6);
}

/// `dy` times the slope of the definition at `x`.
fn expected_dx(x: &[f32], dy: &[f32]) -> Vec<f64> {
    let slope = |x: f64| (gelu_in_f64(x + 1e-5) - gelu_in_f64(x - 1e-5)) / 2e-5;
    x.iter().zip(dy).map(|(&x, &dy)| f64::from(dy) * slope(f64::from(x))).collect()
}

/// Φ is good to 2e-7, its derivative to 1e-7; both are multiplied by up to 5.
fn forward_and_backward_are_the_definition(device: &Device) {
    proptest!(ProptestConfig::with_cases(24), |(rows in 0usize..70, d in 1usize..40)| {
        let x = input(1, &[rows, d]);
        let dy = random_tensor(2, &[rows, d]);
        let expected: Vec<f64> = x.host().iter().map(|&x| gelu_in_f64(f64::from(x))).collect();
        let dx_expected = expected_dx(x.host(), dy.host());
        let (x, dy) = (x.to(device), dy.to(device));
        let inferred = infer(&x, Form::Exact);
        let kept = Saved { x: x.clone(), form: Form::Exact };
        let (y, saved) = forward(x, Form::Exact, Dtype::F32);
        assert_close(&values(&y), &expected, 2e-6, 1e-6);
        assert_eq!(bits(&values(&y)), bits(&values(&inferred)));

        let mut in_place = dy.clone();
        let again = recompute_and_backward(kept, &mut in_place);
        let dx = backward(saved, dy);
        assert_close(&values(&dx), &dx_expected, 2e-6, 1e-6);
        assert_eq!(bits(&values(&again)), bits(&values(&y)));
        assert_eq!(bits(&values(&in_place)), bits(&values(&dx)));
    });
}

/// More values than a few blocks of the kernel, and not a multiple of four.
fn a_saved_input_may_be_bf16(device: &Device) {
    let (x, dy) = (input(5, &[67, 33]).to(device), random_tensor(6, &[67, 33]));
    let (y, saved) = forward(x.clone(), Form::Exact, Dtype::Bf16);
    assert_eq!(bits(&values(&y)), bits(&values(&infer(&x, Form::Exact))));
    assert_eq!((saved.x.device(), saved.x.dtype()), (device.clone(), Dtype::Bf16));
    let rounded = values(&cast::to(saved.x.clone(), Dtype::F32));
    let expected: Vec<f64> = rounded.iter().map(|&x| gelu_in_f64(f64::from(x))).collect();
    let dx_expected = expected_dx(&rounded, dy.host());

    let mut in_place = dy.clone().to(device);
    let kept = Saved { x: saved.x.clone(), form: Form::Exact };
    let again = recompute_and_backward(kept, &mut in_place);
    let dx = backward(saved, dy.to(device));
    assert_close(&values(&again), &expected, 2e-6, 1e-6);
    assert_close(&values(&dx), &dx_expected, 2e-6, 1e-6);
    assert_eq!(bits(&values(&in_place)), bits(&values(&dx)));
}

fn bf16_has_the_bits_of_a_cast(device: &Device) {
    let special =
        [f32::NAN, -f32::NAN, f32::INFINITY, -0.0, f32::MAX, 1e-40, 1.003_906_2, 1.011_718_8];
    let mut x = input(7, &[11, 33]);
    x.host_mut()[..special.len()].copy_from_slice(&special);
    x.host_mut()[special.len()] = f32::from_bits(0x7f80_0001); // NaN in its last bit alone
    let expected = cast::to(x.clone(), Dtype::Bf16);
    let (_, saved) = forward(x.to(device), Form::Exact, Dtype::Bf16);
    let words = |x: &Tensor| x.host_bf16().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(words(&saved.x.on_host()), words(&expected));
}

#[test]
fn threads_give_equal_bits() {
    let (x, dy) = (input(3, &[301, 33]), random_tensor(4, &[301, 33]));
    assert_threads_agree(|| {
        let (y, saved) = forward(x.clone(), Form::Exact, Dtype::F32);
        let mut dx = dy.clone();
        let kept = Saved { x: x.clone(), form: Form::Exact };
        let again = recompute_and_backward(kept, &mut dx);
        [y.host(), again.host(), dx.host(), backward(saved, dy.clone()).host()].concat()
    });
}

#[test]
#[should_panic(expected = "sizes of input and gradient of GELU")]
fn a_gradient_of_another_size_is_refused() {
    let (_, saved) = forward(Tensor::zeros(&[2, 3]), Form::Exact, Dtype::F32);
    backward(saved, Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "sizes of input and gradient of GELU")]
fn recomputing_refuses_a_gradient_of_another_size() {
    let (_, saved) = forward(Tensor::zeros(&[2, 3]), Form::Exact, Dtype::F32);
    recompute_and_backward(saved, &mut Tensor::zeros(&[3, 3]));
}
