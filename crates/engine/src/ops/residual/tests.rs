use proptest::prelude::*;

use super::*;
use crate::ops::tokens::gather;
use crate::testing::*;

/// The definition: the whole stream after the branch has joined.
fn definition(x: &[f64], kept: &Sequences, y: &[f64], scale: f64, gamma: &[f64]) -> Vec<f64> {
    let d = gamma.len();
    let mut out = x.to_vec();
    let rows = kept.spans().iter().flat_map(|&(first, tokens)| first..first + tokens);
    for (at, row) in rows.enumerate() {
        (0..d).for_each(|j| out[row * d + j] += scale * gamma[j] * y[at * d + j]);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One product and one sum of numbers below 2; dγ sums at most 40 of them.
    #[test]
    fn forward_and_backward_are_the_definition(
        groups in prop::collection::vec((0usize..4, 1usize..5), 0..3),
        keep in prop::collection::vec(any::<bool>(), 8), d in 1usize..6, with_gamma: bool,
    ) {
        let all = Sequences::packed(&groups);
        let kept = all.filter(|i| keep[i]);
        let (scale, gamma) = (1.25f32, randoms(1, d));
        let gamma_option = with_gamma.then_some(&gamma[..]);
        let gammad = if with_gamma { doubles(&gamma) } else { vec![1.0; d] };
        let x = random_tensor(2, &[all.rows(), d]);
        let y = random_tensor(3, &[kept.rows(), d]);
        let (xd, yd) = (doubles(&x), doubles(&y));
        let mut stream = x.clone();
        add(&mut stream, &kept, &y, scale, gamma_option);
        assert_close(&stream, &definition(&xd, &kept, &yd, 1.25, &gammad), 1e-6, 1e-6);

        let dstream = random_tensor(4, x.shape());
        let dstreamd = doubles(&dstream);
        let loss = |y: &[f64], gamma: &[f64]| {
            inner(&definition(&xd, &kept, y, 1.25, gamma), &dstreamd)
        };
        let dy = backward(&dstream, &kept, scale, gamma_option);
        assert_close(&dy, &gradient(&yd, |y| loss(y, &gammad)), 1e-6, 1e-6);
        let mut dgamma = vec![0.5; d];
        backward_gamma(&gather(&dstream, &kept), &y, scale, &mut dgamma);
        let slope = gradient(&gammad, |gamma| loss(&yd, gamma));
        let expected: Vec<f64> = slope.iter().map(|slope| 0.5 + slope).collect();
        assert_close(&dgamma, &expected, 1e-5, 1e-6);
    }
}

#[test]
fn dropped_sequences_keep_their_bits() {
    let kept = Sequences::packed(&[(3, 2)]).filter(|i| i == 1);
    let x = random_tensor(5, &[6, 4]);
    let mut stream = x.clone();
    add(&mut stream, &kept, &random_tensor(6, &[2, 4]), 2.0, None);
    assert_eq!(stream[..8], x[..8]);
    assert_ne!(stream[8..16], x[8..16]);
    assert_eq!(stream[16..], x[16..]);
}

#[test]
fn threads_give_equal_bits() {
    let kept = Sequences::packed(&[(60, 7)]).filter(|i| i % 4 != 0);
    let (x, y) = (random_tensor(7, &[420, 9]), random_tensor(8, &[kept.rows(), 9]));
    let gamma = randoms(9, 9);
    assert_threads_agree(|| {
        let mut stream = x.clone();
        add(&mut stream, &kept, &y, 1.1, Some(&gamma));
        let dy = backward(&stream, &kept, 1.1, Some(&gamma));
        let mut dgamma = vec![0.0; 9];
        backward_gamma(&dy, &y, 1.1, &mut dgamma);
        [&stream[..], &dy[..], &dgamma[..]].concat()
    });
}

#[test]
#[should_panic(expected = "output of a residual branch")]
fn a_branch_of_another_shape_is_refused() {
    let kept = Sequences::packed(&[(1, 2)]);
    add(&mut Tensor::zeros(&[4, 3]), &kept, &Tensor::zeros(&[3, 3]), 1.0, None);
}

#[test]
#[should_panic(expected = "layer scale")]
fn a_layer_scale_of_another_width_is_refused() {
    let kept = Sequences::packed(&[(1, 2)]);
    add(&mut Tensor::zeros(&[2, 3]), &kept, &Tensor::zeros(&[2, 3]), 1.0, Some(&[1.0; 4]));
}

#[test]
#[should_panic(expected = "gradient of a layer scale")]
fn a_layer_scale_gradient_of_another_width_is_refused() {
    let rows = Tensor::zeros(&[2, 3]);
    backward_gamma(&rows, &rows, 1.0, &mut [0.0; 4]);
}
