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
        let resample = Resample::new(grid, (gh, gw), Resampling { offset, antialias: false });
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

/// Values of PyTorch 2.15's `interpolate(table, size=..., mode="bicubic", antialias=True)`, and with
/// `scale_factor=(n + 0.1) / 5` instead of a size, rounded to six digits.
#[test]
fn antialiased_positions_are_those_of_pytorch() {
    let table: Vec<f32> = (0..25).map(|i| (i * 7 % 11) as f32 / 10.0).collect();
    let cases: [((usize, usize), f64, &[f64]); 4] = [
        (
            (3, 4),
            0.0,
            &[
                0.231_715, 0.646_153, 0.491_672, 0.700_118, 0.341_458, 0.450_385, 0.458_819,
                0.648_417, 0.642_686, 0.302_465, 0.554_371, 0.289_839,
            ],
        ),
        (
            (2, 7),
            0.0,
            &[
                0.145_784, 0.423_946, 0.618_567, 0.505_767, 0.439_479, 0.590_841, 0.792_369,
                0.652_082, 0.382_202, 0.276_076, 0.546_840, 0.523_930, 0.444_676, 0.383_566,
            ],
        ),
        (
            (3, 4),
            0.1,
            &[
                0.210_649, 0.664_400, 0.482_857, 0.692_105, 0.336_234, 0.438_440, 0.461_092,
                0.638_001, 0.633_495, 0.309_338, 0.565_656, 0.313_489,
            ],
        ),
        (
            (2, 7),
            0.1,
            &[
                0.124_542, 0.424_635, 0.640_645, 0.492_991, 0.441_028, 0.578_513, 0.792_136,
                0.632_363, 0.375_048, 0.271_341, 0.573_096, 0.523_102, 0.444_838, 0.411_279,
            ],
        ),
    ];
    for (grid, offset, expected) in cases {
        let mut out = vec![0.0; expected.len()];
        let resample = Resample::new(5, grid, Resampling { offset, antialias: true });
        resample.forward(&table, 1, &mut out);
        assert_close(&out, expected, 1e-6, 0.0);
    }
}

/// Backward is the transpose of forward: `⟨out, dout⟩ = ⟨table, dtable⟩`.
#[test]
fn the_gradient_of_antialiased_positions_is_the_transpose() {
    for (grid, target) in [(7, (3, 4)), (4, (9, 2)), (1, (2, 2))] {
        let resample = Resample::new(grid, target, Resampling { offset: 0.1, antialias: true });
        let table = randoms(1, grid * grid * 3);
        let dout = randoms(2, target.0 * target.1 * 3);
        let (mut out, mut dtable) = (vec![0.0; dout.len()], vec![0.0; table.len()]);
        resample.forward(&table, 3, &mut out);
        resample.backward(&dout, 3, &mut dtable);
        let forward = inner(&doubles(&out), &doubles(&dout));
        let backward = inner(&doubles(&table), &doubles(&dtable));
        assert!((forward - backward).abs() < 1e-5, "{forward} {backward}");
    }
}

#[test]
fn the_stored_grid_without_offset_is_the_identity() {
    let table = randoms(4, 14 * 14 * 3);
    for antialias in [false, true] {
        let mut out = vec![0.0; table.len()];
        let exact = Resampling { offset: 0.0, antialias };
        Resample::new(14, (14, 14), exact).forward(&table, 3, &mut out);
        assert_eq!(out, table);
    }
}

/// Cubic weights of every cell add up to one.
#[test]
fn a_constant_table_stays_constant() {
    for antialias in [false, true] {
        let mut out = vec![0.0; 6 * 9];
        let resample = Resample::new(14, (6, 9), Resampling { offset: 0.1, antialias });
        resample.forward(&[2.5; 14 * 14], 1, &mut out);
        assert_close(&out, &[2.5; 54], 1e-6, 0.0);
    }
}

#[test]
#[should_panic(expected = "position table")]
fn a_table_of_another_size_is_refused() {
    Resample::new(3, (2, 2), Resampling::DINO).forward(&[0.0; 8], 1, &mut [0.0; 4]);
}

#[test]
#[should_panic(expected = "resampled positions")]
fn an_output_of_another_size_is_refused() {
    Resample::new(3, (2, 2), Resampling::DINO).forward(&[0.0; 9], 1, &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "gradient of resampled positions")]
fn a_gradient_of_another_size_is_refused() {
    Resample::new(3, (2, 2), Resampling::DINO).backward(&[0.0; 3], 1, &mut [0.0; 9]);
}
