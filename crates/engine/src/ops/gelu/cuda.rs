//! Launches of the kernels in `gelu.cu`.

use crate::cuda::{Argument, Buffer, Device, Kernel, Launch, Module};

static MODULE: Module = Module { name: "gelu", source: include_str!("gelu.cu") };
const THREADS: u32 = 256;
/// Each thread computes four values.
const VALUES_PER_BLOCK: usize = 4 * THREADS as usize;

/// Type of saved values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dtype {
    F32,
    Bf16,
}

/// `y`, of `len` values of f32.
pub(super) fn forward(x: &Buffer, len: usize) -> Buffer {
    let mut y = Buffer::uninit(x.device(), 4 * len);
    let arguments = [x.pointer().into(), y.pointer_mut().into(), len.into()];
    launch(x.device(), "gelu_forward", len, &arguments);
    y
}

/// `y`, and `x` rounded to bf16.
pub(super) fn forward_save_bf16(x: &Buffer, len: usize) -> (Buffer, Buffer) {
    let device = x.device();
    let (mut y, mut saved) = (Buffer::uninit(device, 4 * len), Buffer::uninit(device, 2 * len));
    let outputs = [y.pointer_mut().into(), saved.pointer_mut().into()];
    let arguments = [x.pointer().into(), outputs[0], outputs[1], len.into()];
    launch(device, "gelu_forward_save_bf16", len, &arguments);
    (y, saved)
}

/// `dx` in place of `dy`.
pub(super) fn backward(x: &Buffer, dtype: Dtype, dy: &mut Buffer, len: usize) {
    let kernel = match dtype {
        Dtype::F32 => "gelu_backward_f32",
        Dtype::Bf16 => "gelu_backward_bf16",
    };
    let arguments = [x.pointer().into(), dy.pointer_mut().into(), len.into()];
    launch(x.device(), kernel, len, &arguments);
}

/// `dx` in place of `dy`, and `y`, in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(
    mut x: Buffer,
    dtype: Dtype,
    dy: &mut Buffer,
    len: usize,
) -> Buffer {
    let device = x.device().clone();
    match dtype {
        Dtype::F32 => {
            let y = x.pointer_mut();
            let arguments = [y.into(), dy.pointer_mut().into(), y.into(), len.into()];
            launch(&device, "gelu_recompute_and_backward_f32", len, &arguments);
            x
        }
        Dtype::Bf16 => {
            let mut y = Buffer::uninit(&device, 4 * len);
            let outputs = [dy.pointer_mut().into(), y.pointer_mut().into()];
            let arguments = [x.pointer().into(), outputs[0], outputs[1], len.into()];
            launch(&device, "gelu_recompute_and_backward_bf16", len, &arguments);
            y
        }
    }
}

fn launch(device: &Device, name: &'static str, len: usize, arguments: &[Argument]) {
    let kernel = Kernel { module: &MODULE, name };
    let launch = Launch::new(len, VALUES_PER_BLOCK, THREADS);
    // SAFETY: all callers pass buffers of `len` values and `len`; the kernels access indices below it.
    unsafe { device.launch(kernel, launch, arguments) };
}

#[cfg(test)]
mod tests;
