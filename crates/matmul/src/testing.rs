//! Random values, comparison and thread pools for the tests.

use rand::RngExt;
use streams::{Key, Purpose};

/// Panics where `|actual − expected| > atol + rtol · |expected|`, and where a value is NaN.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f64], atol: f64, rtol: f64) {
    assert_eq!(actual.len(), expected.len(), "lengths of the slices to compare");
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - e).abs();
        let bound = atol + rtol * e.abs();
        assert!(error <= bound, "value {i} is {a}, expected {e}: off by {error:e} > {bound:e}");
    }
}

/// `len` values from [−1, 1) that depend only on the seed.
pub(crate) fn randoms(seed: u64, len: usize) -> Vec<f32> {
    let mut stream = Key::new(seed, Purpose::Bench).open();
    (0..len).map(|_| stream.random_range(-1.0f32..1.0)).collect()
}

pub(crate) fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Runs `f` in a thread pool of its own with `n` threads.
pub(crate) fn on_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(f)
}
