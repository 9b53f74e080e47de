use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition, row by row.
fn definition(x: &[f64], h: usize) -> Vec<f64> {
    let row = |row: &[f64]| -> Vec<f64> {
        let (a, b) = row.split_at(h);
        a.iter().zip(b).map(|(a, b)| a / (1.0 + (-a).exp()) * b).collect()
    };
    x.chunks_exact(2 * h).flat_map(row).collect()
}

fn input(seed: u64, shape: &[usize]) -> Tensor {
    let mut x = random_tensor(seed, shape);
    x.host_mut().iter_mut().for_each(|x| *x *= 5.0);
    x
}

on_every_device!(known_values, forward_and_backward_are_the_definition, a_saved_input_may_be_bf16,);

fn known_values(device: &Device) {
    let x = Tensor::from_slice(&[1, 6], &[0.0, 1.0, -60.0, 5.0, 2.0, 3.0]).to(device);
    // σ(1) = 0.7310585786300049
    assert_close(&values(&infer(&x)), &[0.0, 1.462_117_157, 0.0], 1e-6, 1e-6);
}

/// σ is good to 2e-7; it is multiplied by up to 25.
fn forward_and_backward_are_the_definition(device: &Device) {
    proptest!(ProptestConfig::with_cases(24), |(rows in 0usize..70, h in 1usize..20)| {
        let (x, dy) = (input(1, &[rows, 2 * h]), random_tensor(2, &[rows, h]));
        let (xd, dyd) = (doubles(x.host()), doubles(dy.host()));
        let expected = definition(&xd, h);
        let dx_expected = gradient(&xd, |x| inner(&definition(x, h), &dyd));
        let inferred = values(&infer(&x.clone().to(device)));
        let (y, saved) = forward(x.clone().to(device), Dtype::F32);
        let (again, dx) = recompute_and_backward(saved, &dy.clone().to(device));
        assert_close(&values(&y), &expected, 6e-6, 1e-6);
        assert_close(&values(&dx), &dx_expected, 2e-5, 1e-5);
        assert_eq!(bits(&values(&y)), bits(&inferred));
        assert_eq!(bits(&values(&again)), bits(&inferred));
    });
}

fn a_saved_input_may_be_bf16(device: &Device) {
    let (x, dy) = (input(3, &[67, 34]), random_tensor(4, &[67, 17]));
    let (y, saved) = forward(x.clone().to(device), Dtype::Bf16);
    assert_eq!(bits(&values(&y)), bits(&values(&infer(&x.clone().to(device)))));
    assert_eq!(saved.x.dtype(), Dtype::Bf16);
    let rounded = doubles(&values(&cast::to(saved.x.clone(), Dtype::F32)));
    let (again, dx) = recompute_and_backward(saved, &dy.clone().to(device));
    let dyd = doubles(dy.host());
    assert_close(&values(&again), &definition(&rounded, 17), 6e-6, 1e-6);
    let expected = gradient(&rounded, |x| inner(&definition(x, 17), &dyd));
    assert_close(&values(&dx), &expected, 2e-5, 1e-5);
}

#[test]
fn threads_give_equal_bits() {
    let (x, dy) = (input(5, &[301, 34]), random_tensor(6, &[301, 17]));
    assert_threads_agree(|| {
        let (y, saved) = forward(x.clone(), Dtype::F32);
        let (again, dx) = recompute_and_backward(saved, &dy);
        [y.host(), again.host(), dx.host()].concat()
    });
}

#[test]
#[should_panic(expected = "sizes of input and gradient of SwiGLU")]
fn a_gradient_of_another_size_is_refused() {
    let (_, saved) = forward(Tensor::zeros(&[2, 6]), Dtype::F32);
    recompute_and_backward(saved, &Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "width of the input of SwiGLU")]
fn an_odd_width_is_refused() {
    infer(&Tensor::zeros(&[2, 3]));
}
