//! Helpers for the tests of operations: comparison, random values, thread pools, differences.

use std::sync::Arc;

use rand::RngExt;
use streams::{Key, Purpose};

use crate::device::Device;
use crate::params::{Param, ParamTable, Params, Role};
use crate::tensor::{Tensor, View};

/// Makes tests of functions that take a device: one on the CPU, one on an emulated CUDA device.
macro_rules! on_every_device {
    ($($test:ident),+ $(,)?) => {
        mod on_cpu {
            $(#[test]
            fn $test() {
                super::$test(&$crate::Device::Cpu);
            })+
        }

        mod on_emulated_cuda {
            $(#[test]
            #[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
            fn $test() {
                super::$test(&$crate::testing::emulated_cuda(1));
            })+
        }
    };
}
pub(crate) use on_every_device;

/// A new emulated device whose warps and lanes run in an order that depends on the seed.
pub(crate) fn emulated_cuda(seed: u64) -> Device {
    Device::Cuda(crate::cuda::emulated::device(seed))
}

/// The values of a tensor on any device.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.on_host().host().to_vec()
}

/// The values of a view on any device.
pub(crate) fn values_of(view: View<'_>) -> Vec<f32> {
    view.on_host().into_owned()
}

/// Panics where `|actual − expected| > atol + rtol · |expected|`, and where a value is NaN.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f64], atol: f64, rtol: f64) {
    assert_eq!(actual.len(), expected.len(), "values to compare");
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - e).abs();
        let bound = atol + rtol * e.abs();
        assert!(error <= bound, "value {i} is {a}, expected {e}: off by {error:e} > {bound:e}");
    }
}

/// The largest magnitude: what tolerances of sums are relative to.
pub(crate) fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |top, x| top.max(x.abs()))
}

/// `len` values from [−1, 1) that depend on the seed alone.
pub(crate) fn randoms(seed: u64, len: usize) -> Vec<f32> {
    let mut stream = Key::new(seed, Purpose::Bench).open();
    (0..len).map(|_| stream.random_range(-1.0f32..1.0)).collect()
}

/// A tensor of [`randoms`].
pub(crate) fn random_tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_slice(shape, &randoms(seed, shape.iter().product()))
}

/// Parameters of these shapes, filled with [`randoms`], and zero gradients of the same layout.
pub(crate) fn random_params(seed: u64, shapes: &[&[usize]]) -> (Params, Params, Vec<Param>) {
    let mut table = ParamTable::default();
    let ids =
        shapes.iter().enumerate().map(|(i, shape)| table.add(i.to_string(), shape, Role::Weight));
    let ids = ids.collect();
    let table = Arc::new(table);
    let mut params = Params::zeros(table.clone());
    params.whole_mut().host_mut().copy_from_slice(&randoms(seed, table.len()));
    (params, Params::zeros(table), ids)
}

pub(crate) fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths of an inner product");
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `∂f/∂xᵢ` by a central difference of width `2h`, whose error is O(h²).
pub(crate) fn partial(x: &[f64], i: usize, h: f64, f: impl Fn(&[f64]) -> f64) -> f64 {
    let mut moved = x.to_vec();
    moved[i] = x[i] + h;
    let above = f(&moved);
    moved[i] = x[i] - h;
    (above - f(&moved)) / (2.0 * h)
}

/// All of [`partial`], with a width that leaves ten digits of functions of order one.
pub(crate) fn gradient(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..x.len()).map(|i| partial(x, i, 1e-5, &f)).collect()
}

/// GELU by its definition: `x Φ(x)`, with Φ from the series of erf in f64, good for |x| ≤ 6.
pub(crate) fn gelu_in_f64(x: f64) -> f64 {
    let (mut term, mut series) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        series += term;
    }
    x * (0.5 + series * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt())
}

/// Runs `f` in a pool of `n` threads of its own.
pub(crate) fn on_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(f)
}

/// Panics if 1, 2 and 3 threads do not compute the same bits.
#[track_caller]
pub(crate) fn assert_threads_agree(f: impl Fn() -> Vec<f32> + Send + Sync) {
    let one = bits(&on_threads(1, &f));
    for n in [2, 3] {
        assert!(one == bits(&on_threads(n, &f)), "{n} threads give other bits than one");
    }
}
