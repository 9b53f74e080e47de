use proptest::prelude::*;
use rand::RngExt;
use streams::{Key, Purpose};

use super::*;
use crate::testing::*;

/// How a factor lies in memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    transposed: bool,
    /// Numbers between the end of a row and the next one.
    gap: usize,
}

/// A `[rows, cols]` matrix in this layout: its memory, and its value in row-major order.
fn factor(seed: u64, rows: usize, cols: usize, layout: Layout) -> (Vec<f32>, Vec<f64>) {
    let (outer, inner) = if layout.transposed { (cols, rows) } else { (rows, cols) };
    let stride = inner + layout.gap;
    let data = randoms(seed, outer * stride);
    let at = |i: usize, j: usize| if layout.transposed { j * stride + i } else { i * stride + j };
    let value = (0..rows * cols).map(|n| f64::from(data[at(n / cols, n % cols)])).collect();
    (data, value)
}

fn view(data: &[f32], rows: usize, cols: usize, layout: Layout) -> Mat<'_> {
    if layout.transposed {
        Mat::strided(data, cols, rows, rows + layout.gap).t()
    } else {
        Mat::strided(data, rows, cols, cols + layout.gap)
    }
}

/// The definition, row-major.
fn definition(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let number = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f64>();
    (0..m * n).map(|at| number(at / n, at % n)).collect()
}

fn layouts() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0usize..4).prop_map(|(transposed, gap)| Layout { transposed, gap })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Sums of at most 40 products below 1.
    #[test]
    fn products_are_their_definition(
        (m, k, n) in (0usize..40, 0usize..40, 0usize..40),
        a_layout in layouts(), b_layout in layouts(), gap in 0usize..4, add: bool, all: bool,
    ) {
        let (a, a_value) = factor(1, m, k, a_layout);
        let (b, b_value) = factor(2, k, n, b_layout);
        let before = randoms(3, m * (n + gap));
        let mut out = before.clone();
        let dst = MatMut::strided(&mut out, m, n, n + gap);
        let write = if add { Write::Add } else { Write::Over };
        let threads = if all { Threads::All } else { Threads::One };
        matmul(dst, write, 0.5, view(&a, m, k, a_layout), view(&b, k, n, b_layout), threads);
        let product = definition(&a_value, &b_value, (m, k, n));
        let mut expected = doubles(&before);
        for (at, product) in product.iter().enumerate() {
            let old = &mut expected[at / n * (n + gap) + at % n];
            *old = 0.5 * product + if add { *old } else { 0.0 };
        }
        // Numbers in the gaps keep their values.
        assert_close(&out, &expected, 5e-6, 1e-6);
    }
}

#[test]
fn old_contents_that_are_replaced_may_be_nan() {
    for k in [0, 1, 5] {
        let mut out = [f32::NAN; 6];
        let (a, b) = (vec![1.0; 2 * k], vec![2.0; k * 3]);
        let (a, b) = (Mat::new(&a, 2, k), Mat::new(&b, k, 3));
        matmul(MatMut::new(&mut out, 2, 3), Write::Over, 1.0, a, b, Threads::One);
        assert_eq!(out, [2.0 * k as f32; 6]);
    }
}

/// One product of the sweep, as bits.
fn product((m, k, n): (usize, usize, usize), seed: u64) -> Vec<u32> {
    let layout = |bit: u64| Layout { transposed: seed & bit != 0, gap: 0 };
    let (a, b) = (randoms(1, m * k), randoms(2, k * n));
    let mut out = randoms(3, m * n);
    let write = if seed & 4 != 0 { Write::Add } else { Write::Over };
    let (a, b) = (view(&a, m, k, layout(1)), view(&b, k, n, layout(2)));
    matmul(MatMut::new(&mut out, m, n), write, 0.7, a, b, Threads::All);
    bits(&out)
}

/// Holds the pinned `gemm` to what the crate promises; sizes up to those that it gives to threads.
#[test]
fn the_number_of_threads_never_changes_a_bit() {
    let mut stream = Key::new(1, Purpose::Bench).open();
    let mut shapes = vec![(1576, 64, 1152), (384, 1576, 128), (80, 256, 2048), (1, 4096, 512)];
    let mut extent = |top: f64| stream.random_range(0.0..top.ln()).exp() as usize;
    shapes.extend((0..200).map(|_| (extent(400.0), extent(800.0), extent(400.0))));
    let mut extent = || stream.random_range(60..260);
    shapes.extend((0..150).map(|_| (extent(), extent(), extent())));
    let sweep = || -> Vec<_> {
        shapes.iter().enumerate().map(|(i, &shape)| product(shape, i as u64)).collect()
    };
    let one = on_threads(1, sweep);
    for n in [2, 3, 7] {
        for ((shape, one), many) in shapes.iter().zip(&one).zip(on_threads(n, sweep)) {
            assert!(*one == many, "{shape:?} has other bits with {n} threads");
        }
    }
}

#[test]
#[should_panic(expected = "inner extents differ")]
fn factors_that_do_not_fit_are_refused() {
    let (a, b) = ([0.0; 6], [0.0; 8]);
    let dst = &mut [0.0; 8];
    let (a, b) = (Mat::new(&a, 2, 3), Mat::new(&b, 2, 4));
    matmul(MatMut::new(dst, 2, 4), Write::Over, 1.0, a, b, Threads::One);
}

#[test]
#[should_panic(expected = "the destination has another shape")]
fn a_destination_of_another_shape_is_refused() {
    let (a, b) = ([0.0; 6], [0.0; 12]);
    let dst = &mut [0.0; 8];
    let (a, b) = (Mat::new(&a, 2, 3), Mat::new(&b, 3, 4));
    matmul(MatMut::new(dst, 4, 2), Write::Over, 1.0, a, b, Threads::One);
}

#[test]
#[should_panic(expected = "needs 11 numbers, found 10")]
fn a_view_beyond_its_memory_is_refused() {
    Mat::strided(&[0.0; 10], 3, 3, 4);
}

#[test]
#[should_panic(expected = "overlap")]
fn rows_that_overlap_are_refused() {
    MatMut::strided(&mut [0.0; 10], 3, 3, 2);
}
