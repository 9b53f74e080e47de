use proptest::prelude::*;
use rand::RngExt;
use streams::{Key, Purpose};

use super::*;
use crate::testing::*;

/// The layout of an operand in memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    transposed: bool,
    /// Values between the end of a row and the start of the next one.
    gap: usize,
}

/// A random `[rows, cols]` matrix in this layout: its memory, and its elements in row-major order.
fn operand(seed: u64, rows: usize, cols: usize, layout: Layout) -> (Vec<f32>, Vec<f64>) {
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

/// A B by definition, in row-major order.
fn definition(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let element = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f64>();
    (0..m * n).map(|at| element(at / n, at % n)).collect()
}

fn layouts() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0usize..4).prop_map(|(transposed, gap)| Layout { transposed, gap })
}

const CHOSEN: &str = "the chosen backend";
const DIRECT: &str = "direct";

/// All backends for f32 that this CPU can run, and the one that `matmul` chooses.
fn f32_backends() -> Vec<(&'static str, Multiply)> {
    let mut backends: Vec<(&'static str, Multiply)> = vec![
        (CHOSEN, |dst, a, b, product| matmul(dst, a, b, product)),
        ("gemm", |dst, a, b, product| portable::multiply(dst, &a, &b, product)),
    ];
    #[cfg(target_arch = "x86_64")]
    if matches!(dispatch::level(), dispatch::Level::Avx512 | dispatch::Level::Amx) {
        backends.push((DIRECT, |dst, a, b, product| {
            // SAFETY: the CPU has AVX-512, and the shapes match.
            unsafe { direct::multiply(dst, &a, &b, product) };
        }));
    }
    #[cfg(target_arch = "x86_64")]
    if dispatch::level() == dispatch::Level::Amx {
        backends.push(("AMX, operands in three parts", |dst, a, b, product| {
            // SAFETY: the CPU has AMX, and the shapes match.
            unsafe { packed::multiply(packed::Microkernel::AmxSplitF32, dst, &a, &b, product) };
        }));
    }
    backends
}

type Multiply = fn(MatMut<'_>, Mat<'_>, Mat<'_>, Product<'_>);

/// A matmul: its shape, the layouts, what is written, and the threads.
#[derive(Debug, Clone, Copy)]
struct Case {
    shape: (usize, usize, usize),
    layouts: (Layout, Layout),
    gap: usize,
    write: usize,
    all: bool,
}

fn cases([m, k, n]: [std::ops::Range<usize>; 3]) -> impl Strategy<Value = Case> {
    let rest = (0usize..4, 0usize..3, any::<bool>());
    ((m, k, n), (layouts(), layouts()), rest).prop_map(|(shape, layouts, (gap, write, all))| Case {
        shape,
        layouts,
        gap,
        write,
        all,
    })
}

/// Compares half of a product with the definition, for each of these backends. Values in the gaps between
/// the rows of the destination must not change.
fn assert_definition(
    backends: &[(&str, Multiply)],
    precision: Precision,
    Case { shape: (m, k, n), layouts: (a_layout, b_layout), gap, write, all }: Case,
    (absolute, relative): (f64, f64),
) {
    let (a, a_value) = operand(1, m, k, a_layout);
    let (b, b_value) = operand(2, k, n, b_layout);
    let (before, bias) = (randoms(3, m * (n + gap)), randoms(4, n));
    let value = match precision {
        Precision::F32 => definition(&a_value, &b_value, (m, k, n)),
        Precision::Bf16 => definition(&rounded(&a_value), &rounded(&b_value), (m, k, n)),
    };
    let mut expected = doubles(&before);
    for (at, value) in value.iter().enumerate() {
        let old = &mut expected[at / n * (n + gap) + at % n];
        *old = 0.5 * value + [0.0, f64::from(bias[at % n]), *old][write];
    }
    let product = if all { Product::ALL } else { Product::ONE }.in_precision(precision).times(0.5);
    let write = [Write::Over, Write::OverBias(&bias), Write::Add][write];
    for (name, multiply) in backends {
        // `matmul` handles empty matrices before it calls a backend.
        if *name != CHOSEN && m * k * n == 0 {
            continue;
        }
        let mut out = before.clone();
        let dst = MatMut::strided(&mut out, m, n, n + gap);
        let (a, b) = (view(&a, m, k, a_layout), view(&b, k, n, b_layout));
        multiply(dst, a, b, Product { write, ..product });
        println!("{name}");
        assert_close(&out, &expected, absolute, relative);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Sums of at most 40 products below 1.
    #[test]
    fn f32_matmuls_match_the_definition(case in cases([0..40, 0..40, 0..40])) {
        assert_definition(&f32_backends(), Precision::F32, case, (5e-6, 1e-6));
    }
}

/// Root mean square error of an f32 matmul. The error of each element is relative to `Σ |a b|`.
fn relative_error(multiply: Multiply, (m, k, n): (usize, usize, usize), spread: i32) -> f64 {
    // Both operands have magnitudes from 2^-spread to 2^spread, so sums have large and small terms.
    let wide = |seed: u64, len: usize| -> Vec<f32> {
        let exponents = randoms(seed + 10, len).into_iter();
        let values = randoms(seed, len).into_iter().zip(exponents);
        values.map(|(x, e)| x * 2f32.powi((e * spread as f32) as i32)).collect()
    };
    let (a, b) = (wide(1, m * k), wide(2, k * n));
    let mut out = vec![0.0; m * n];
    multiply(MatMut::new(&mut out, m, n), Mat::new(&a, m, k), Mat::new(&b, k, n), Product::ONE);
    let value = definition(&doubles(&a), &doubles(&b), (m, k, n));
    let absolute = |values: &[f32]| values.iter().map(|x| f64::from(x.abs())).collect::<Vec<_>>();
    let size = definition(&absolute(&a), &absolute(&b), (m, k, n));
    let squares = out.iter().zip(value).zip(size).map(|((x, value), size)| {
        let error = (f64::from(*x) - value) / size;
        error * error
    });
    (squares.sum::<f64>() / (m * n) as f64).sqrt()
}

/// What the documentation of `amx` states. With a spread of 50, one product is nearly the whole sum.
#[test]
fn every_f32_backend_is_as_accurate_as_gemm() {
    for shape in [(40, 96, 40), (33, 384, 65), (20, 1536, 70), (8, 6000, 96)] {
        for spread in [0, 8, 50] {
            let gemm =
                relative_error(|dst, a, b, p| portable::multiply(dst, &a, &b, p), shape, spread);
            for (name, multiply) in f32_backends() {
                if name == DIRECT && shape.1.max(shape.2) > 128 {
                    continue; // never chosen; it adds up all of k in one sum, `gemm` in several
                }
                let error = relative_error(multiply, shape, spread);
                println!("{shape:?}, magnitudes 2^±{spread}: {name} {error:.1e}, gemm {gemm:.1e}");
                let most = if spread > 10 { 1.25 * gemm } else { gemm };
                assert!(error <= most, "{name}");
            }
        }
    }
}

/// Values rounded to bf16 by definition: to nearest, ties to even, of the upper 16 bits.
fn rounded(values: &[f64]) -> Vec<f64> {
    let round = |x: &f64| {
        let bits = (*x as f32).to_bits();
        let up = 0x7fff + (bits >> 16 & 1);
        f64::from(f32::from_bits((bits + up) & 0xffff_0000))
    };
    values.iter().map(round).collect()
}

/// All backends for bf16 that this CPU can run, and the one that `matmul` chooses.
fn bf16_backends() -> Vec<(&'static str, Multiply)> {
    let mut backends: Vec<(&'static str, Multiply)> = vec![
        (CHOSEN, |dst, a, b, product| matmul(dst, a, b, product)),
        ("gemm of rounded operands", |dst, a, b, product| {
            portable::multiply(dst, &a, &b, product.in_precision(Precision::Bf16));
        }),
    ];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw") {
        backends.push(("AVX512-BF16", |dst, a, b, product| {
            // SAFETY: the CPU has these instructions, and the shapes match.
            unsafe { packed::multiply(packed::Microkernel::Avx512Bf16, dst, &a, &b, product) };
        }));
    }
    backends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Products of rounded values are exact in f32; at most 600 of them are added, in f32.
    #[test]
    fn bf16_matmuls_match_the_definition_for_rounded_operands(case in cases([1..80, 1..600, 1..80])) {
        assert_definition(&bf16_backends(), Precision::Bf16, case, (1e-5, 1e-6));
    }
}

#[test]
fn infinities_and_nan_pass_through_bf16_matmuls() {
    for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let (mut a, b) = (vec![1.0; 40 * 40], vec![1.0; 40 * 40]);
        a[3 * 40 + 5] = special;
        for (name, multiply) in bf16_backends() {
            let mut out = vec![0.0; 40 * 40];
            let product = Product::ONE.in_precision(Precision::Bf16);
            let (a, b) = (Mat::new(&a, 40, 40), Mat::new(&b, 40, 40));
            multiply(MatMut::new(&mut out, 40, 40), a, b, product);
            let rows = out.chunks_exact(40).enumerate();
            for (i, row) in rows {
                let same =
                    |x: &f32| x.to_bits() == special.to_bits() || x.is_nan() && special.is_nan();
                assert!(row.iter().all(|x| if i == 3 { same(x) } else { *x == 40.0 }), "{name}");
            }
        }
    }
}

/// An infinity may become NaN: splitting it computes ∞ − ∞.
#[test]
fn a_value_that_is_not_finite_affects_only_its_row_in_f32_matmuls() {
    for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let (mut a, b) = (vec![1.0; 100 * 100], vec![1.0; 100 * 100]);
        a[3 * 100 + 5] = special;
        for (name, multiply) in f32_backends() {
            let mut out = vec![0.0; 100 * 100];
            let (a, b) = (Mat::new(&a, 100, 100), Mat::new(&b, 100, 100));
            multiply(MatMut::new(&mut out, 100, 100), a, b, Product::ONE);
            for (i, row) in out.chunks_exact(100).enumerate() {
                let right = |x: &f32| if i == 3 { !x.is_finite() } else { *x == 100.0 };
                assert!(row.iter().all(right), "{name}");
            }
        }
    }
}

/// Compares the three orders of the packed backends, which are used for many rows, few rows and a transposed
/// left operand. `gemm` does not promise this.
#[test]
fn a_row_of_a_packed_matmul_does_not_depend_on_the_other_rows() {
    let (m, k, n) = (1300, 700, 300);
    let (a, b) = (randoms(1, m * k), randoms(2, k * n));
    let transposed: Vec<f32> = (0..m * k).map(|at| a[at % m * k + at / m]).collect();
    for precision in [Precision::F32, Precision::Bf16] {
        let product = Product::ALL.in_precision(precision);
        if Backend::choose([m, k, n], &product) == Backend::Gemm {
            eprintln!("skipped: this CPU has no packed backend for {precision:?}");
            continue;
        }
        let multiply = |a: Mat<'_>| {
            let mut out = vec![0.0; a.rows * n];
            matmul(MatMut::new(&mut out, a.rows, n), a, Mat::new(&b, k, n), product);
            bits(&out)
        };
        let all = multiply(Mat::new(&a, m, k));
        for rows in [1, 31, 33, 64, 600, 1299] {
            let few = multiply(Mat::new(&a[..rows * k], rows, k));
            assert!(few == all[..rows * n], "{rows} rows in {precision:?}");
        }
        let same = multiply(Mat::new(&transposed, k, m).t());
        assert!(same == all, "a transpose in {precision:?}");
    }
}

/// Multiplies some rows at a time, as operations do.
#[test]
fn a_prepared_operand_gives_the_rows_of_one_matmul() {
    for (m, k, n) in [(300, 700, 300), (150, 40, 33), (70, 128, 8)] {
        let (a, b, bias) = (randoms(1, m * k), randoms(2, n * k), randoms(3, n));
        for precision in [Precision::F32, Precision::Bf16] {
            let product = Product::ALL.in_precision(precision).with_bias(&bias);
            let right = Mat::new(&b, n, k).t();
            let mut whole = vec![0.0; m * n];
            matmul(MatMut::new(&mut whole, m, n), Mat::new(&a, m, k), right, product);
            let prepared = Prepared::new(right, precision);
            let block = prepared.rows_per_call(m);
            let mut by_rows = vec![f32::NAN; m * n];
            for (a, out) in a.chunks(block * k).zip(by_rows.chunks_mut(block * n)) {
                let rows = a.len() / k;
                prepared.multiply(MatMut::new(out, rows, n), Mat::new(a, rows, k), product);
            }
            if Backend::choose([m, k, n], &product) != Backend::Gemm {
                assert!(bits(&by_rows) == bits(&whole), "{m} x {k} x {n} in {precision:?}");
            } else {
                assert_close(&by_rows, &doubles(&whole), 1e-5, 1e-5); // at most 700 products below 1
            }
        }
    }
}

#[test]
fn overwritten_contents_may_be_nan() {
    for k in [0, 1, 5] {
        let mut out = [f32::NAN; 6];
        let (a, b) = (vec![1.0; 2 * k], vec![2.0; k * 3]);
        let (a, b) = (Mat::new(&a, 2, k), Mat::new(&b, k, 3));
        matmul(MatMut::new(&mut out, 2, 3), a, b, Product::ONE);
        assert_eq!(out, [2.0 * k as f32; 6]);
    }
}

/// The bits of one matmul of the sweep. `seed` chooses layouts, precision and what is written.
fn product((m, k, n): (usize, usize, usize), seed: u64) -> Vec<u32> {
    let layout = |bit: u64| Layout { transposed: seed & bit != 0, gap: 0 };
    let (a, b) = (randoms(1, m * k), randoms(2, k * n));
    let mut out = randoms(3, m * n);
    let scaled = Product::ALL.times(0.7);
    let product = if seed & 4 != 0 { scaled.added() } else { scaled };
    let (a, b) = (view(&a, m, k, layout(1)), view(&b, k, n, layout(2)));
    let product = if seed & 8 != 0 { product.in_precision(Precision::Bf16) } else { product };
    matmul(MatMut::new(&mut out, m, n), a, b, product);
    bits(&out)
}

/// Tests the promise of the crate, for the pinned `gemm` and the packed backends. Some shapes are large
/// enough to be divided among threads.
#[test]
fn the_number_of_threads_never_changes_a_bit() {
    let mut stream = Key::new(1, Purpose::Bench).open();
    let mut shapes =
        vec![(1576, 64, 1152), (1100, 900, 300), (384, 1576, 128), (80, 256, 2048), (1, 4096, 512)];
    let mut size = |top: f64| stream.random_range(0.0..top.ln()).exp() as usize;
    shapes.extend((0..200).map(|_| (size(400.0), size(800.0), size(400.0))));
    let mut size = || stream.random_range(60..260);
    shapes.extend((0..150).map(|_| (size(), size(), size())));
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

/// `THREADS_AGREE_FROM` promises this to callers that choose `Threads` by the number of threads.
#[test]
fn one_thread_and_all_threads_agree_from_the_documented_size_on() {
    for (m, k, n) in [(128, 129, 8), (128, 129, 128), (128, 200, 300), (700, 385, 97)] {
        let (a, b) = (randoms(1, m * k), randoms(2, k * n));
        for precision in [Precision::F32, Precision::Bf16] {
            let multiply = |threads| {
                let mut out = vec![0.0; m * n];
                let product = Product { threads, precision, ..Product::ONE };
                let (a, b) = (Mat::new(&a, m, k), Mat::new(&b, k, n));
                matmul(MatMut::new(&mut out, m, n), a, b, product);
                bits(&out)
            };
            let same = multiply(Threads::One) == on_threads(3, || multiply(Threads::All));
            assert!(same, "{m} x {k} x {n} in {precision:?}");
        }
    }
}

/// The table in the crate documentation, at this CPU's level.
#[cfg(target_arch = "x86_64")]
#[test]
fn backends_are_chosen_as_the_documentation_says() {
    use dispatch::Level;
    use packed::Microkernel::{AmxBf16, AmxSplitF32, Avx512Bf16};
    let (one, all) = (Product::ONE, Product::ALL);
    let bf16 = all.in_precision(Precision::Bf16);
    let has_bf16 = is_x86_feature_detected!("avx512bf16");
    let (split, rounded, direct) = match dispatch::level() {
        Level::Amx => (Backend::Packed(AmxSplitF32), Backend::Packed(AmxBf16), Backend::Direct),
        Level::Avx512 if has_bf16 => (Backend::Gemm, Backend::Packed(Avx512Bf16), Backend::Direct),
        Level::Avx512 => (Backend::Gemm, Backend::Gemm, Backend::Direct),
        Level::Avx2 | Level::Baseline => (Backend::Gemm, Backend::Gemm, Backend::Gemm),
    };
    for (shape, product, expected) in [
        ([1, 16, 16], bf16, rounded),
        ([1000, 15, 1000], bf16, Backend::Gemm),
        ([1000, 1000, 15], bf16, Backend::Gemm),
        ([1, 96, 128], all, split),
        ([1000, 95, 128], all, Backend::Gemm),
        ([1000, 96, 127], all, Backend::Gemm),
        ([128, 129, 128], one, split),
        ([127, 129, 128], one, Backend::Gemm),
        ([127, 128, 128], one, direct),
        ([1000, 95, 128], one, direct),
        ([1000, 16, 129], one, Backend::Gemm),
    ] {
        assert_eq!(Backend::choose(shape, &product), expected, "{shape:?} with {product:?}");
    }
}

#[test]
#[should_panic(expected = "k differs")]
fn operands_that_do_not_match_are_refused() {
    let (a, b) = ([0.0; 6], [0.0; 8]);
    let dst = &mut [0.0; 8];
    let (a, b) = (Mat::new(&a, 2, 3), Mat::new(&b, 2, 4));
    matmul(MatMut::new(dst, 2, 4), a, b, Product::ONE);
}

#[test]
#[should_panic(expected = "the destination has the wrong shape")]
fn a_destination_of_the_wrong_shape_is_refused() {
    let (a, b) = ([0.0; 6], [0.0; 12]);
    let dst = &mut [0.0; 8];
    let (a, b) = (Mat::new(&a, 2, 3), Mat::new(&b, 3, 4));
    matmul(MatMut::new(dst, 4, 2), a, b, Product::ONE);
}

#[test]
#[should_panic(expected = "needs 11 values, found 10")]
fn a_view_beyond_its_slice_is_refused() {
    Mat::strided(&[0.0; 10], 3, 3, 4);
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_rows_are_refused() {
    MatMut::strided(&mut [0.0; 10], 3, 3, 2);
}
