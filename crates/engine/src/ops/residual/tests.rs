use proptest::prelude::*;

use super::*;
use crate::ops::tokens::gather;
use crate::testing::*;

/// The definition: the whole stream after the branch has joined.
fn definition(x: &[f64], kept: &Layout, y: &[f64], scale: f64, gamma: &[f64]) -> Vec<f64> {
    let d = gamma.len();
    let mut out = x.to_vec();
    let rows = kept.spans().iter().flat_map(|span| span.first..span.first + span.rows);
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
        let all = Layout::packed(&groups);
        let kept = all.filter(|i| keep[i]);
        let (params, mut grads, ids) = random_params(1, &[&[d]]);
        let gamma = ids[0];
        let scale = Scale { drop_path: 1.25, gamma: with_gamma.then_some(gamma) };
        let gammad = if with_gamma { doubles(params.view(gamma).host()) } else { vec![1.0; d] };
        let x = random_tensor(2, &[all.rows(), d]);
        let y = random_tensor(3, &[kept.rows(), d]);
        let (xd, yd) = (doubles(x.host()), doubles(y.host()));
        let mut stream = x.clone();
        add(&params, &mut stream, &kept, &y, scale);
        assert_close(stream.host(), &definition(&xd, &kept, &yd, 1.25, &gammad), 1e-6, 1e-6);

        let dstream = random_tensor(4, x.shape());
        let dstreamd = doubles(dstream.host());
        let loss = |y: &[f64], gamma: &[f64]| {
            inner(&definition(&xd, &kept, y, 1.25, gamma), &dstreamd)
        };
        let dy = backward(&params, &dstream, &kept, scale);
        assert_close(dy.host(), &gradient(&yd, |y| loss(y, &gammad)), 1e-6, 1e-6);
        grads.whole_mut().host_mut().fill(0.5);
        backward_gamma(gamma, &gather(&dstream, &kept), &y, 1.25, &mut grads);
        let slope = gradient(&gammad, |gamma| loss(&yd, gamma));
        let expected: Vec<f64> = slope.iter().map(|slope| 0.5 + slope).collect();
        assert_close(grads.view(gamma).host(), &expected, 1e-5, 1e-6);
    }
}

#[test]
fn dropped_sequences_keep_their_bits() {
    let kept = Layout::packed(&[(3, 2)]).filter(|i| i == 1);
    let x = random_tensor(5, &[6, 4]);
    let mut stream = x.clone();
    let (params, ..) = random_params(1, &[]);
    let scale = Scale { drop_path: 2.0, gamma: None };
    add(&params, &mut stream, &kept, &random_tensor(6, &[2, 4]), scale);
    assert_eq!(stream.host()[..8], x.host()[..8]);
    assert_ne!(stream.host()[8..16], x.host()[8..16]);
    assert_eq!(stream.host()[16..], x.host()[16..]);
}

#[test]
fn threads_give_equal_bits() {
    let kept = Layout::packed(&[(60, 7)]).filter(|i| i % 4 != 0);
    let (x, y) = (random_tensor(7, &[420, 9]), random_tensor(8, &[kept.rows(), 9]));
    let (params, grads, ids) = random_params(9, &[&[9]]);
    let scale = Scale { drop_path: 1.1, gamma: Some(ids[0]) };
    assert_threads_agree(|| {
        let mut stream = x.clone();
        add(&params, &mut stream, &kept, &y, scale);
        let dy = backward(&params, &stream, &kept, scale);
        let mut grads = grads.clone();
        backward_gamma(ids[0], &dy, &y, 1.1, &mut grads);
        [stream.host(), dy.host(), grads.whole().host()].concat()
    });
}

#[test]
#[should_panic(expected = "output of a residual branch")]
fn a_branch_of_another_shape_is_refused() {
    let kept = Layout::packed(&[(1, 2)]);
    let (params, ..) = random_params(1, &[]);
    let scale = Scale { drop_path: 1.0, gamma: None };
    add(&params, &mut Tensor::zeros(&[4, 3]), &kept, &Tensor::zeros(&[3, 3]), scale);
}

#[test]
#[should_panic(expected = "layer scale")]
fn a_layer_scale_of_another_width_is_refused() {
    let kept = Layout::packed(&[(1, 2)]);
    let (params, _, ids) = random_params(1, &[&[4]]);
    let scale = Scale { drop_path: 1.0, gamma: Some(ids[0]) };
    add(&params, &mut Tensor::zeros(&[2, 3]), &kept, &Tensor::zeros(&[2, 3]), scale);
}

#[test]
#[should_panic(expected = "gradient of a layer scale")]
fn a_layer_scale_gradient_of_another_width_is_refused() {
    let rows = Tensor::zeros(&[2, 3]);
    let (_, mut grads, ids) = random_params(1, &[&[4]]);
    backward_gamma(ids[0], &rows, &rows, 1.0, &mut grads);
}
