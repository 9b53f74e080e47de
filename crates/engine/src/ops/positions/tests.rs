use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition of one side: the full `[n, grid]` matrix of cubic weights, borders clamped.
fn side(grid: usize, n: usize, offset: f64) -> Vec<f64> {
    let kernel = |t: f64| match t.abs() {
        t if t <= 1.0 => 1.25 * t.powi(3) - 2.25 * t.powi(2) + 1.0,
        t if t < 2.0 => -0.75 * (t.powi(3) - 5.0 * t.powi(2) + 8.0 * t - 4.0),
        _ => 0.0,
    };
    let mut matrix = vec![0.0; n * grid];
    for i in 0..n {
        let center = (i as f64 + 0.5) * grid as f64 / (n as f64 + offset) - 0.5;
        // The kernel is zero beyond two cells; every cell that lies outside counts at the border.
        for cell in -3..grid as i64 + 3 {
            let at = cell.clamp(0, grid as i64 - 1) as usize;
            matrix[i * grid + at] += kernel(center - cell as f64);
        }
    }
    matrix
}

/// The full `[gh · gw, grid · grid]` matrix.
fn definition(grid: usize, (gh, gw): (usize, usize), offset: f64) -> Vec<f64> {
    let (rows, cols) = (side(grid, gh, offset), side(grid, gw, offset));
    let mut matrix = Vec::new();
    for cell in 0..gh * gw {
        for source in 0..grid * grid {
            let row = rows[cell / gw * grid + source / grid];
            matrix.push(row * cols[cell % gw * grid + source % grid]);
        }
    }
    matrix
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Sixteen terms; forward adds them in f64, backward in f32.
    #[test]
    fn forward_is_the_full_matrix_and_backward_its_transpose(
        grid in 1usize..9, gh in 1usize..9, gw in 1usize..9, d in 1usize..5,
        offset in prop::sample::select(vec![0.0, 0.1]),
    ) {
        let matrix = definition(grid, (gh, gw), offset);
        let resample = Resample::new(grid, (gh, gw), offset);
        let table = randoms(1, grid * grid * d);
        let mut out = vec![f32::NAN; gh * gw * d];
        resample.forward(&table, d, &mut out);
        let dout = randoms(2, out.len());
        let mut dtable = randoms(3, table.len());
        let (mut expected, mut dexpected) = (vec![0.0; out.len()], doubles(&dtable));
        for (at, weight) in matrix.iter().enumerate() {
            let (cell, source) = (at / (grid * grid), at % (grid * grid));
            for j in 0..d {
                expected[cell * d + j] += weight * f64::from(table[source * d + j]);
                dexpected[source * d + j] += weight * f64::from(dout[cell * d + j]);
            }
        }
        resample.backward(&dout, d, &mut dtable);
        assert_close(&out, &expected, 1e-6, 1e-6);
        assert_close(&dtable, &dexpected, 2e-5, 1e-6);
    }
}

#[test]
fn the_stored_grid_without_offset_is_the_identity() {
    let table = randoms(4, 14 * 14 * 3);
    let mut out = vec![0.0; table.len()];
    Resample::new(14, (14, 14), 0.0).forward(&table, 3, &mut out);
    assert_eq!(out, table);
}

/// Cubic weights of every cell add up to one.
#[test]
fn a_constant_table_stays_constant() {
    let mut out = vec![0.0; 6 * 9];
    Resample::new(14, (6, 9), 0.1).forward(&[2.5; 14 * 14], 1, &mut out);
    assert_close(&out, &[2.5; 54], 1e-6, 0.0);
}

#[test]
#[should_panic(expected = "position table")]
fn a_table_of_another_size_is_refused() {
    Resample::new(3, (2, 2), 0.1).forward(&[0.0; 8], 1, &mut [0.0; 4]);
}

#[test]
#[should_panic(expected = "resampled positions")]
fn an_output_of_another_size_is_refused() {
    Resample::new(3, (2, 2), 0.1).forward(&[0.0; 9], 1, &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "gradient of resampled positions")]
fn a_gradient_of_another_size_is_refused() {
    Resample::new(3, (2, 2), 0.1).backward(&[0.0; 3], 1, &mut [0.0; 9]);
}
