use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition of gather: the list of rows that are taken.
fn taken(sequences: &Sequences) -> Vec<usize> {
    sequences.spans().iter().flat_map(|&(first, tokens)| first..first + tokens).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gather_takes_the_rows_and_scatter_is_its_transpose(
        groups in prop::collection::vec((0usize..4, 1usize..6), 0..4),
        keep in prop::collection::vec(any::<bool>(), 16), width in 1usize..5, only_cls: bool,
    ) {
        let all = Sequences::packed(&groups);
        let kept = all.filter(|i| keep[i]);
        let kept = if only_cls { kept.cls() } else { kept };
        let matrix = random_tensor(1, &[all.rows(), width]);
        let out = gather(&matrix, &kept);
        let rows = taken(&kept);
        let expected: Vec<f32> =
            rows.iter().flat_map(|i| matrix[i * width..][..width].to_vec()).collect();
        assert_eq!(out.shape(), [rows.len(), width]);
        assert_eq!(out[..], expected);

        let (from, before) = (random_tensor(2, out.shape()), random_tensor(3, matrix.shape()));
        let mut to = before.clone();
        scatter_add(&from, &kept, &mut to);
        let mut expected = before;
        for (at, i) in rows.iter().enumerate() {
            (0..width).for_each(|j| expected[i * width + j] += from[at * width + j]);
        }
        assert_eq!(to[..], expected[..]);
    }
}

#[test]
fn packed_sequences_follow_each_other() {
    let sequences = Sequences::packed(&[(2, 3), (0, 9), (1, 2)]);
    assert_eq!(sequences.spans(), [(0, 3), (3, 3), (6, 2)]);
    assert_eq!((sequences.len(), sequences.rows()), (3, 8));
    assert_eq!(sequences.cls().spans(), [(0, 1), (3, 1), (6, 1)]);
    let kept = sequences.filter(|i| i != 1);
    assert_eq!(kept.spans(), [(0, 3), (6, 2)]);
    assert_eq!(kept.compact().spans(), [(0, 3), (3, 2)]);
    assert!(sequences.filter(|_| false).is_empty());
}

#[test]
fn threads_give_equal_bits() {
    let kept = Sequences::packed(&[(40, 7)]).filter(|i| i % 3 != 0);
    let matrix = random_tensor(4, &[280, 5]);
    assert_threads_agree(|| {
        let out = gather(&matrix, &kept);
        let mut to = matrix.clone();
        scatter_add(&out, &kept, &mut to);
        [&out[..], &to[..]].concat()
    });
}

#[test]
#[should_panic(expected = "rows to scatter")]
fn rows_without_a_place_are_refused() {
    let sequences = Sequences::packed(&[(1, 2)]);
    scatter_add(&Tensor::zeros(&[3, 1]), &sequences, &mut Tensor::zeros(&[4, 1]));
}

#[test]
#[should_panic]
fn a_matrix_that_ends_early_is_refused() {
    gather(&Tensor::zeros(&[3, 1]), &Sequences::packed(&[(2, 2)]));
}
