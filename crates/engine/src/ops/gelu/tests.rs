use proptest::prelude::*;

use super::*;
use crate::testing::*;

fn input(seed: u64, shape: &[usize]) -> Tensor {
    let mut x = random_tensor(seed, shape);
    x.host_mut().iter_mut().for_each(|x| *x *= 5.0);
    x
}

#[test]
fn known_values() {
    let (y, _) = forward(Tensor::from_slice(&[5], &[0.0, 1.0, -1.0, 40.0, -40.0]), Dtype::F32);
    // Φ(1) = 0.8413447460685429
    assert_close(y.host(), &[0.0, 0.841_344_746, -0.158_655_254, 40.0, 0.0], 3e-7, 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Φ is good to 2e-7, its derivative to 1e-7; both are multiplied by up to 5.
    #[test]
    fn forward_and_backward_are_the_definition(rows in 0usize..70, d in 1usize..40) {
        let x = input(1, &[rows, d]);
        let dy = random_tensor(2, &[rows, d]);
        let expected: Vec<f64> = x.host().iter().map(|&x| gelu_in_f64(f64::from(x))).collect();
        let slope = |x: f64| (gelu_in_f64(x + 1e-5) - gelu_in_f64(x - 1e-5)) / 2e-5;
        let dx_expected: Vec<f64> =
            x.host().iter().zip(dy.host().iter()).map(|(&x, &dy)| f64::from(dy) * slope(f64::from(x))).collect();
        let inferred = infer(&x);
        let kept = Saved { x: x.clone() };
        let (y, saved) = forward(x, Dtype::F32);
        assert_close(y.host(), &expected, 2e-6, 1e-6);
        assert_eq!(bits(y.host()), bits(inferred.host()));

        let mut in_place = dy.clone();
        let again = recompute_and_backward(kept, &mut in_place);
        let dx = backward(saved, dy);
        assert_close(dx.host(), &dx_expected, 2e-6, 1e-6);
        assert_eq!(bits(again.host()), bits(y.host()));
        assert_eq!(bits(in_place.host()), bits(dx.host()));
    }
}

#[test]
fn threads_give_equal_bits() {
    let (x, dy) = (input(3, &[301, 33]), random_tensor(4, &[301, 33]));
    assert_threads_agree(|| {
        let (y, saved) = forward(x.clone(), Dtype::F32);
        let mut dx = dy.clone();
        let kept = Saved { x: x.clone() };
        let again = recompute_and_backward(kept, &mut dx);
        [&y.host()[..], &again.host()[..], &dx.host()[..], &backward(saved, dy.clone()).host()[..]]
            .concat()
    });
}

#[test]
#[should_panic(expected = "sizes of input and gradient of GELU")]
fn a_gradient_of_another_size_is_refused() {
    let (_, saved) = forward(Tensor::zeros(&[2, 3]), Dtype::F32);
    backward(saved, Tensor::zeros(&[2, 4]));
}

#[test]
#[should_panic(expected = "sizes of input and gradient of GELU")]
fn recomputing_refuses_a_gradient_of_another_size() {
    let (_, saved) = forward(Tensor::zeros(&[2, 3]), Dtype::F32);
    recompute_and_backward(saved, &mut Tensor::zeros(&[3, 3]));
}
