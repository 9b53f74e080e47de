//! Launches of the kernels in `gelu.cu`.

use super::{Form, Saved};
use crate::cuda::{Argument, Device, Kernel, Launch, Module};
use crate::tensor::{Dtype, Tensor};

static MODULE: Module = Module { name: "gelu", source: include_str!("gelu.cu") };
const THREADS: u32 = 256;
/// Each thread computes four values.
const VALUES_PER_BLOCK: usize = 4 * THREADS as usize;

/// `y`, and `x` in `dtype`, in one pass over `x`.
pub(super) fn forward(x: Tensor, form: Form, dtype: Dtype) -> (Tensor, Saved) {
    if x.dtype() == dtype {
        return (infer(&x, form), Saved { x, form });
    }
    let (device, len) = (x.cuda().device(), x.len());
    let mut y = Tensor::uninit_on(device, x.shape(), Dtype::F32);
    let mut saved = Tensor::uninit_on(device, x.shape(), dtype);
    let outputs = [y.cuda_mut().pointer_mut().into(), saved.cuda_mut().pointer_mut().into()];
    let arguments = [input(&x, Dtype::F32), outputs[0], outputs[1], len.into(), form.into()];
    // SAFETY: all tensors have `len` values; `x` and `y` are f32, `saved` is bf16.
    unsafe { launch(device, "gelu_forward_save_bf16", len, &arguments) };
    (y, Saved { x: saved, form })
}

/// `y` alone.
pub(super) fn infer(x: &Tensor, form: Form) -> Tensor {
    let (device, len) = (x.cuda().device(), x.len());
    let mut y = Tensor::uninit_on(device, x.shape(), Dtype::F32);
    let arguments =
        [input(x, Dtype::F32), y.cuda_mut().pointer_mut().into(), len.into(), form.into()];
    // SAFETY: `x` and `y` have `len` values of f32.
    unsafe { launch(device, "gelu_forward", len, &arguments) };
    y
}

/// `dx`, in place of `dy`. Does not write `y`, which saves a third of the memory traffic.
pub(super) fn backward(saved: &Saved, dy: &mut Tensor) {
    let Saved { x, form } = saved;
    let kernel = match x.dtype() {
        Dtype::F32 => "gelu_backward_f32",
        Dtype::Bf16 => "gelu_backward_bf16",
    };
    let (device, len) = (x.cuda().device(), x.len());
    let arguments = [input(x, x.dtype()), in_place(dy, len), len.into(), (*form).into()];
    // SAFETY: `x` has `len` values of the kernel's type and `dy` as many of f32.
    unsafe { launch(device, kernel, len, &arguments) };
}

/// `dx`, in place of `dy`, and `y`, in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let Saved { mut x, form } = saved;
    let (device, len) = (x.cuda().device().clone(), x.len());
    let (dx, from) = (in_place(dy, len), input(&x, x.dtype()));
    match x.dtype() {
        Dtype::F32 => {
            let arguments = [from, dx, x.cuda_mut().pointer_mut().into(), len.into(), form.into()];
            // SAFETY: `x`, which becomes `y`, and `dy` have `len` values of f32.
            unsafe { launch(&device, "gelu_recompute_and_backward_f32", len, &arguments) };
            x
        }
        Dtype::Bf16 => {
            let mut y = Tensor::uninit_on(&device, x.shape(), Dtype::F32);
            let arguments = [from, dx, y.cuda_mut().pointer_mut().into(), len.into(), form.into()];
            // SAFETY: `x` has `len` values of bf16, `dy` and `y` as many of f32.
            unsafe { launch(&device, "gelu_recompute_and_backward_bf16", len, &arguments) };
            y
        }
    }
}

impl From<Form> for Argument {
    fn from(form: Form) -> Self {
        match form {
            Form::Exact => 0u32.into(),
            Form::Tanh => 1u32.into(),
        }
    }
}

/// A tensor that a kernel reads.
///
/// # Panics
/// If it has another dtype.
fn input(x: &Tensor, dtype: Dtype) -> Argument {
    assert_eq!(x.dtype(), dtype, "dtype of the input of GELU");
    x.cuda().pointer().into()
}

/// A gradient that a kernel overwrites.
///
/// # Panics
/// If it does not have `len` values of f32.
fn in_place(dy: &mut Tensor, len: usize) -> Argument {
    assert_eq!((dy.len(), dy.dtype()), (len, Dtype::F32), "gradient of GELU");
    dy.cuda_mut().pointer_mut().into()
}

/// # Safety
/// As for [`Device::launch`], with `len` values.
unsafe fn launch(device: &Device, name: &'static str, len: usize, arguments: &[Argument]) {
    let launch = Launch::new(len, VALUES_PER_BLOCK, THREADS);
    // SAFETY: the caller's promise.
    unsafe { device.launch(Kernel { module: &MODULE, name }, launch, arguments) };
}
