//! Launches of the kernels in `swiglu.cu`.

use crate::cuda::{Argument, Device, Kernel, Launch, Module};
use crate::tensor::{Dtype, Tensor};

static MODULE: Module = Module { name: "swiglu", source: include_str!("swiglu.cu") };
const THREADS: u32 = 256;

pub(super) fn infer(x: &Tensor) -> Tensor {
    assert_eq!(x.dtype(), Dtype::F32, "dtype of the input of SwiGLU");
    let (device, h) = (x.cuda().device(), x.width() / 2);
    let mut y = Tensor::uninit_on(device, &[x.rows(), h], Dtype::F32);
    let len = y.len();
    let arguments =
        [x.cuda().pointer().into(), y.cuda_mut().pointer_mut().into(), len.into(), h.into()];
    // SAFETY: `x` has `2 len` values of f32 in rows of `2 h`, `y` has `len`.
    unsafe { launch(device, "swiglu_forward", len, &arguments) };
    y
}

/// `y`, and `dx` in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(mut x: Tensor, dy: &Tensor) -> (Tensor, Tensor) {
    assert_eq!(dy.dtype(), Dtype::F32, "dtype of the gradient of SwiGLU");
    let (device, h, len) = (x.cuda().device().clone(), dy.width(), dy.len());
    let mut y = Tensor::uninit_on(&device, dy.shape(), Dtype::F32);
    let (from, gradient) = (x.cuda().pointer().into(), dy.cuda().pointer().into());
    let again = y.cuda_mut().pointer_mut().into();
    let (kernel, mut dx) = match x.dtype() {
        Dtype::F32 => ("swiglu_backward_f32", None),
        Dtype::Bf16 => {
            ("swiglu_backward_bf16", Some(Tensor::uninit_on(&device, x.shape(), Dtype::F32)))
        }
    };
    let to = dx.as_mut().unwrap_or(&mut x).cuda_mut().pointer_mut().into();
    let arguments = [from, gradient, again, to, len.into(), h.into()];
    // SAFETY: `x` and `dx` have `2 len` values in rows of `2 h`, `dy` and `y` have `len`; all but `x` are f32,
    // and `x` has the kernel's type.
    unsafe { launch(&device, kernel, len, &arguments) };
    (y, dx.unwrap_or(x))
}

/// # Safety
/// As for [`Device::launch`], with `len` threads.
unsafe fn launch(device: &Device, name: &'static str, len: usize, arguments: &[Argument]) {
    let launch = Launch::new(len, THREADS as usize, THREADS);
    // SAFETY: the caller's promise.
    unsafe { device.launch(Kernel { module: &MODULE, name }, launch, arguments) };
}
