use half::bf16;

use super::*;
use crate::cuda::emulated;
use crate::testing::*;

/// Not a multiple of four, nor of a block's values.
const LEN: usize = 2 * VALUES_PER_BLOCK + 7;

fn input() -> Vec<f32> {
    randoms(1, LEN).iter().map(|x| 5.0 * x).collect()
}

fn download<T: bytemuck::Pod>(buffer: &Buffer) -> Vec<T> {
    let mut values = vec![T::zeroed(); buffer.bytes() / size_of::<T>()];
    buffer.download(0, &mut values);
    values
}

fn slope(x: f32) -> f64 {
    let x = f64::from(x);
    (gelu_in_f64(x + 1e-5) - gelu_in_f64(x - 1e-5)) / 2e-5
}

/// Runs every kernel on `x`, saved in `dtype`.
fn check(dtype: Dtype) {
    let device = emulated::device(1);
    let (x, dy) = (input(), randoms(2, LEN));
    let expected: Vec<f64> = x.iter().map(|&x| gelu_in_f64(x.into())).collect();
    let on_device = Buffer::from_slice(&device, &x);
    let (y, saved) = match dtype {
        Dtype::F32 => (forward(&on_device, LEN), on_device.clone()),
        Dtype::Bf16 => forward_save_bf16(&on_device, LEN),
    };
    assert_close(&download(&y), &expected, 2e-6, 1e-6);

    let x: Vec<f32> = match dtype {
        Dtype::F32 => x,
        Dtype::Bf16 => download::<bf16>(&saved).iter().map(|x| x.to_f32()).collect(),
    };
    let dx_expected: Vec<f64> =
        x.iter().zip(&dy).map(|(&x, &dy)| f64::from(dy) * slope(x)).collect();
    let mut dx = Buffer::from_slice(&device, &dy);
    backward(&saved, dtype, &mut dx, LEN);
    assert_close(&download(&dx), &dx_expected, 2e-6, 1e-6);

    let mut in_place = Buffer::from_slice(&device, &dy);
    let again = recompute_and_backward(saved, dtype, &mut in_place, LEN);
    assert_eq!(download::<u32>(&in_place), download::<u32>(&dx));
    let expected: Vec<f64> = x.iter().map(|&x| gelu_in_f64(x.into())).collect();
    assert_close(&download(&again), &expected, 2e-6, 1e-6);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn kernels_compute_the_definition() {
    check(Dtype::F32);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn kernels_read_an_input_saved_as_bf16() {
    check(Dtype::Bf16);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn the_kernel_rounds_to_the_bits_of_the_cpu() {
    let special =
        [f32::NAN, -f32::NAN, f32::INFINITY, -0.0, f32::MAX, 1e-40, 1.003_906_2, 1.011_718_8];
    let mut x = input();
    x[..special.len()].copy_from_slice(&special);
    x[special.len()] = f32::from_bits(0x7f80_0001); // NaN in its last bit alone
    let (_, saved) = forward_save_bf16(&Buffer::from_slice(&emulated::device(0), &x), LEN);
    let expected: Vec<u16> = x.iter().map(|&x| bf16::from_f32(x).to_bits()).collect();
    assert_eq!(download::<u16>(&saved), expected);
}
