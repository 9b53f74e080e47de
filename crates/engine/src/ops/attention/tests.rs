use proptest::prelude::*;

use super::cpu::LONG;
use super::*;
use crate::layout::Span;
use crate::ops::tokens::{gather, scatter_add};
use crate::testing::*;

/// The definition: every sequence and head on its own, nothing packed; the output and `P`.
fn definition(qkv: &[f64], sequences: &Layout, heads: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = sequences.rows().max(1);
    let width = qkv.len() / rows / 3;
    let dim = width / heads;
    let mut out = vec![0.0; rows * width];
    let mut probs = Vec::new();
    let part = |row: usize, part: usize, head: usize| {
        &qkv[row * 3 * width + part * width + head * dim..][..dim]
    };
    for &Span { first, rows: tokens } in sequences.spans() {
        for head in 0..heads {
            for i in first..first + tokens {
                let score =
                    |j: usize| inner(part(i, 0, head), part(j, 1, head)) / (dim as f64).sqrt();
                let weights: Vec<f64> = (first..first + tokens).map(|j| score(j).exp()).collect();
                let total: f64 = weights.iter().sum();
                for (j, weight) in weights.iter().enumerate() {
                    for (e, v) in part(first + j, 2, head).iter().enumerate() {
                        out[i * width + head * dim + e] += weight / total * v;
                    }
                }
                probs.extend(weights.iter().map(|weight| weight / total));
            }
        }
    }
    (if sequences.is_empty() { Vec::new() } else { out }, probs)
}

/// So many heads, in f32.
fn of(heads: usize) -> Attention {
    Attention { heads, precision: Precision::F32 }
}

fn input(seed: u64, sequences: &Layout, width: usize, scale: f32) -> Tensor {
    let mut qkv = random_tensor(seed, &[sequences.rows(), 3 * width]);
    qkv.host_mut().iter_mut().for_each(|x| *x *= scale);
    qkv
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Averages of numbers below 2 with weights that are good to a few ulp.
    #[test]
    fn forward_is_its_definition(
        groups in prop::collection::vec((0usize..3, 1usize..20), 0..3),
        heads in 1usize..4, dim in 1usize..10,
    ) {
        let sequences = Layout::packed(&groups);
        let qkv = input(1, &sequences, heads * dim, 2.0);
        let (expected, probs) = definition(&doubles(qkv.host()), &sequences, heads);
        let (out, saved) = forward(qkv.clone(), &sequences, &sequences, of(heads));
        assert_close(out.host(), &expected, 1e-5, 1e-5);
        assert_eq!(bits(out.host()), bits(infer(&qkv, &sequences, &sequences, of(heads)).host()));
        // Probabilities are computed again from their log-sum-exps.
        let (_, again) = backward(saved, &out);
        assert_close(again.host(), &expected, 1e-5, 1e-5);
        let maps = probabilities(&qkv, &sequences, &sequences, of(heads));
        let maps: Vec<f32> = maps.iter().flat_map(|map| map.host().to_vec()).collect();
        assert_close(&maps, &probs, 1e-6, 1e-5);
    }

    /// As above; products of three numbers below 2, summed over at most 7 tokens.
    #[test]
    fn backward_is_the_slope_of_the_definition(
        groups in prop::collection::vec((0usize..3, 1usize..8), 0..3),
        heads in 1usize..4, dim in 1usize..4,
    ) {
        let sequences = Layout::packed(&groups);
        let qkv = input(2, &sequences, heads * dim, 2.0);
        let dout = random_tensor(3, &[sequences.rows(), heads * dim]);
        let doutd = doubles(dout.host());
        let loss = |qkv: &[f64]| inner(&definition(qkv, &sequences, heads).0, &doutd);
        let expected = gradient(&doubles(qkv.host()), loss);
        let (dqkv, _) = backward(forward(qkv, &sequences, &sequences, of(heads)).1, &dout);
        assert_close(dqkv.host(), &expected, 1e-5, 1e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// As if the other tokens' outputs were thrown away, which makes their gradients zero.
    #[test]
    fn first_tokens_alone_have_the_outputs_and_gradients_they_have_among_all(
        groups in prop::collection::vec((0usize..3, 1usize..20), 0..3),
        heads in 1usize..4, dim in 1usize..10, wanted in 1usize..4,
    ) {
        let (sequences, width) = (Layout::packed(&groups), heads * dim);
        let first = sequences.truncated(|span| wanted.min(span.rows));
        let qkv = input(11, &sequences, width, 2.0);
        let dout = random_tensor(12, &[first.rows(), width]);
        let mut dall = Tensor::zeros(&[sequences.rows(), width]);
        scatter_add(&dout, &first, &mut dall);
        let (all, saved) = forward(qkv.clone(), &sequences, &sequences, of(heads));
        let (expected, _) = backward(saved, &dall);
        let queries = first.compact();
        let (out, saved) = forward(qkv.clone(), &sequences, &queries, of(heads));
        let (dqkv, again) = backward(saved, &dout);
        assert_close(out.host(), &doubles(gather(&all, &first).host()), 1e-6, 1e-5);
        assert_close(again.host(), &doubles(out.host()), 1e-5, 1e-5);
        assert_close(dqkv.host(), &doubles(expected.host()), 1e-5, 1e-5);
        assert_eq!(bits(out.host()), bits(infer(&qkv, &sequences, &queries, of(heads)).host()));
    }
}

#[test]
#[should_panic(expected = "queries are the first tokens")]
fn more_queries_than_tokens_are_refused() {
    let (sequences, queries) = (Layout::packed(&[(1, 4)]), Layout::packed(&[(1, 5)]));
    infer(&Tensor::zeros(&[4, 6]), &sequences, &queries, of(1));
}

#[test]
fn a_single_token_attends_to_itself() {
    let sequences = Layout::packed(&[(2, 1)]);
    let qkv = input(4, &sequences, 6, 3.0);
    let out = infer(&qkv, &sequences, &sequences, of(2));
    for row in 0..2 {
        assert_eq!(out.host()[row * 6..][..6], qkv.host()[row * 18 + 12..][..6]);
    }
}

/// Scores of up to 1e4 · √e: the softmax subtracts the largest before it exponentiates.
#[test]
fn large_scores_stay_finite() {
    let sequences = Layout::packed(&[(1, 9), (2, 4)]);
    let qkv = input(5, &sequences, 8, 100.0);
    let (out, saved) = forward(qkv, &sequences, &sequences, of(2));
    assert!(out.host().iter().all(|x| x.is_finite()));
    let (dqkv, _) = backward(saved, &random_tensor(6, &[17, 8]));
    assert!(dqkv.host().iter().all(|x| x.is_finite()));
}

#[test]
fn threads_give_equal_bits() {
    let sequences = Layout::packed(&[(3, 37), (5, 10)]);
    let qkv = input(7, &sequences, 48, 1.0);
    let dout = random_tensor(8, &[sequences.rows(), 48]);
    for precision in [Precision::F32, Precision::Bf16] {
        assert_threads_agree(|| {
            let attention = Attention { heads: 3, precision };
            let (out, saved) = forward(qkv.clone(), &sequences, &sequences, attention);
            let (dqkv, again) = backward(saved, &dout);
            [out.host(), dqkv.host(), again.host()].concat()
        });
    }
}

/// Factors of 8 bits: each is wrong by up to 2⁻⁹ of itself, scores of up to 4 by 2⁻⁶, and weights and
/// averages by as much of themselves. Had a product been left out, nothing would fit. Short sequences have
/// factors of f32, and only what is kept for backward is rounded.
#[test]
fn bf16_is_close_to_f32_forward_and_backward() {
    for (shape, short) in [(vec![(2, 33), (3, 10)], true), (vec![(1, LONG), (1, 300)], false)] {
        let sequences = Layout::packed(&shape);
        let qkv = input(9, &sequences, 64, 1.5);
        let dout = random_tensor(10, &[sequences.rows(), 64]);
        let run = |precision| {
            let (out, saved) =
                forward(qkv.clone(), &sequences, &sequences, Attention { heads: 2, precision });
            let (dqkv, again) = backward(saved, &dout);
            (out, dqkv, again)
        };
        let (exact, rounded) = (run(Precision::F32), run(Precision::Bf16));
        assert_close(rounded.0.host(), &doubles(exact.0.host()), 1e-2, 1e-2);
        assert_close(rounded.1.host(), &doubles(exact.1.host()), 2e-2, 2e-2);
        assert_close(rounded.2.host(), &doubles(rounded.0.host()), 1e-2, 1e-2);
        assert_eq!(bits(rounded.0.host()) == bits(exact.0.host()), short);
        assert_ne!(bits(rounded.1.host()), bits(exact.1.host()));
    }
}

#[test]
#[should_panic(expected = "rows of attention")]
fn rows_without_a_sequence_are_refused() {
    let sequences = Layout::packed(&[(1, 4)]);
    infer(&Tensor::zeros(&[5, 6]), &sequences, &sequences, of(1));
}

#[test]
#[should_panic(expected = "heads divide the width")]
fn a_width_that_heads_do_not_divide_is_refused() {
    let sequences = Layout::packed(&[(1, 4)]);
    infer(&Tensor::zeros(&[4, 15]), &sequences, &sequences, of(2));
}

#[test]
#[should_panic(expected = "gradient of attention")]
fn a_gradient_of_another_shape_is_refused() {
    let sequences = Layout::packed(&[(1, 4)]);
    let (_, saved) = forward(Tensor::zeros(&[4, 6]), &sequences, &sequences, of(1));
    backward(saved, &Tensor::zeros(&[4, 3]));
}
