use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition, row after row.
fn definition(x: &[f64], d: usize) -> Vec<f64> {
    let row = |x: &[f64]| -> Vec<f64> {
        let norm = inner(x, x).sqrt().max(1e-12);
        x.iter().map(|x| x / norm).collect()
    };
    x.chunks_exact(d).flat_map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Numbers below 1 from sums of at most 50 terms.
    #[test]
    fn forward_is_its_definition(rows in 0usize..70, d in 1usize..50) {
        let x = random_tensor(1, &[rows, d]);
        let (y, _) = forward(x.clone());
        assert_close(y.host(), &definition(&doubles(x.host()), d), 1e-6, 1e-6);
        assert_eq!(bits(y.host()), bits(infer(x).host()));
    }

    /// Gradients grow as 1 / ‖x‖, and so does their rounding.
    #[test]
    fn backward_is_the_slope_of_the_definition(rows in 0usize..5, d in 2usize..20) {
        let (x, dy) = (random_tensor(2, &[rows, d]), random_tensor(3, &[rows, d]));
        let dyd = doubles(dy.host());
        let expected = gradient(&doubles(x.host()), |x| inner(&definition(x, d), &dyd));
        let (_, saved) = forward(x);
        assert_close(backward(saved, dy).host(), &expected, 1e-6 * magnitude(&expected).max(1.0), 1e-5);
    }
}

#[test]
fn a_row_of_zeros_stays_zero_and_its_gradient_is_divided_by_epsilon() {
    let (y, saved) = forward(Tensor::zeros(&[1, 3]));
    assert_eq!(y.host()[..], [0.0; 3]);
    let dx = backward(saved, Tensor::from_slice(&[1, 3], &[1.0, -2.0, 0.0]));
    assert_close(dx.host(), &[1e12, -2e12, 0.0], 0.0, 1e-6);
}

#[test]
fn threads_give_equal_bits() {
    let (x, dy) = (random_tensor(4, &[301, 33]), random_tensor(5, &[301, 33]));
    assert_threads_agree(|| {
        let (y, saved) = forward(x.clone());
        [y.host(), backward(saved, dy.clone()).host()].concat()
    });
}

#[test]
#[should_panic(expected = "sizes of output and gradient of a normalization")]
fn a_gradient_of_another_size_is_refused() {
    let (_, saved) = forward(Tensor::zeros(&[2, 3]));
    backward(saved, Tensor::zeros(&[2, 4]));
}
