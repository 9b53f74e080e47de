use super::*;
use crate::cuda::emulated;
use crate::testing::*;

/// Everything that the kernels compute: `y`, statistics, `y` again, `dx`, gradients of γ and β.
fn run(device: &Device, shape: Shape, x: &[f32], affine: &[f32], dy: &[f32]) -> [Vec<f32>; 6] {
    let Shape { rows, d } = shape;
    let (x, mut dy) = (Buffer::from_slice(device, x), Buffer::from_slice(device, dy));
    let affine = Buffer::from_slice(device, affine);
    let at = |buffer: &Buffer| Affine {
        gamma: buffer.pointer(),
        beta: buffer.pointer().offset(4 * d),
    };
    let mut grads = Buffer::from_slice(device, &vec![1.0f32; 2 * d]);
    let (y, stats) = forward(&x, at(&affine), 1e-6, shape);
    let again = apply(&x, at(&affine), &stats, shape);
    backward(&x, &stats, affine.pointer(), &mut dy, at(&grads), shape);
    grads.pointer_mut();
    let download = |buffer: &Buffer, first: usize, len: usize| {
        let mut values = vec![0.0f32; len];
        buffer.download(4 * first, &mut values);
        values
    };
    [
        download(&y, 0, rows * d),
        download(&stats, 0, 2 * rows),
        download(&again, 0, rows * d),
        download(&dy, 0, rows * d),
        download(&grads, 0, d),
        download(&grads, d, d),
    ]
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn the_order_of_warps_does_not_change_a_bit() {
    let shape = Shape { rows: 2 * BACKWARD_ROWS + 5, d: 45 };
    let len = shape.rows * shape.d;
    let (x, affine, dy) = (randoms(1, len), randoms(2, 2 * shape.d), randoms(3, len));
    let in_order = run(&emulated::device(0), shape, &x, &affine, &dy).map(|v| bits(&v));
    assert_eq!(in_order[0], in_order[2], "y, and y again");
    for seed in 1..4 {
        let shuffled = run(&emulated::device(seed), shape, &x, &affine, &dy).map(|v| bits(&v));
        assert!(in_order == shuffled, "seed {seed} gives other bits");
    }
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn sums_over_many_blocks_are_those_of_f64() {
    // More blocks of rows than the eight warps that add them, and not a multiple of them.
    let shape = Shape { rows: 11 * BACKWARD_ROWS + 3, d: 37 };
    let len = shape.rows * shape.d;
    let (x, affine, dy) = (randoms(1, len), randoms(2, 2 * shape.d), randoms(3, len));
    let [_, stats, _, _, dgamma, dbeta] = run(&emulated::device(1), shape, &x, &affine, &dy);
    let mut expected = [vec![1.0f64; shape.d], vec![1.0; shape.d]];
    for (i, (&x, &dy)) in x.iter().zip(&dy).enumerate() {
        let (row, j) = (i / shape.d, i % shape.d);
        let normed = f64::from(x - stats[2 * row]) * f64::from(stats[2 * row + 1]);
        expected[0][j] += f64::from(dy) * normed;
        expected[1][j] += f64::from(dy);
    }
    // Sums of about 700 terms of order one.
    assert_close(&dgamma, &expected[0], 1e-4, 1e-5);
    assert_close(&dbeta, &expected[1], 1e-4, 1e-5);
}
