//! Launches of the kernels in `layer_norm.cu`.

use crate::cuda::{Argument, Buffer, Device, Kernel, Launch, Module, Pointer};

static MODULE: Module = Module { name: "layer_norm", source: include_str!("layer_norm.cu") };
/// Threads of a block where each warp works on one row.
const ROW_THREADS: u32 = 128;
const ROWS_PER_BLOCK: usize = ROW_THREADS as usize / WARP;
/// Threads of a block of the backward pass.
const BACKWARD_THREADS: u32 = 256;
/// Rows that a block of the backward pass sums. More rows mean fewer partial sums; fewer rows mean more
/// blocks that run at the same time.
const BACKWARD_ROWS: usize = 64;
const WARP: usize = 32;

/// Numbers of rows and columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) d: usize,
}

/// γ and β, each `[d]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine {
    pub(super) gamma: Pointer,
    pub(super) beta: Pointer,
}

/// `y` and the statistics.
pub(super) fn forward(x: &Buffer, affine: Affine, eps: f32, shape: Shape) -> (Buffer, Buffer) {
    let device = x.device();
    let mut y = Buffer::uninit(device, x.bytes());
    let mut stats = Buffer::uninit(device, shape.rows * 8);
    let arguments = [
        x.pointer().into(),
        affine.gamma.into(),
        affine.beta.into(),
        eps.into(),
        y.pointer_mut().into(),
        stats.pointer_mut().into(),
        shape.rows.into(),
        shape.width().into(),
    ];
    // SAFETY: `x` and `y` are [rows, d], γ and β [d], `stats` is [rows, 2]: all that the kernel accesses.
    unsafe { launch(device, "layer_norm_forward", shape.rows_launch(), &arguments) };
    (y, stats)
}

/// `y` from the statistics.
pub(super) fn apply(x: &Buffer, affine: Affine, stats: &Buffer, shape: Shape) -> Buffer {
    let mut y = Buffer::uninit(x.device(), x.bytes());
    let arguments = [
        x.pointer().into(),
        affine.gamma.into(),
        affine.beta.into(),
        stats.pointer().into(),
        y.pointer_mut().into(),
        shape.rows.into(),
        shape.width().into(),
    ];
    // SAFETY: as in `forward`.
    unsafe { launch(x.device(), "layer_norm_apply", shape.rows_launch(), &arguments) };
    y
}

/// `dx` in place of `dy`; adds to the gradients of γ and β at `grads`.
pub(super) fn backward(
    x: &Buffer,
    stats: &Buffer,
    gamma: Pointer,
    dy: &mut Buffer,
    grads: Affine,
    shape: Shape,
) {
    let device = x.device();
    let blocks = shape.rows.div_ceil(BACKWARD_ROWS);
    let mut partials = Buffer::uninit(device, blocks * 2 * shape.d * 4);
    let arguments = [
        x.pointer().into(),
        stats.pointer().into(),
        gamma.into(),
        dy.pointer_mut().into(),
        partials.pointer_mut().into(),
        shape.rows.into(),
        (BACKWARD_ROWS as u32).into(),
        shape.width().into(),
    ];
    let grid = Launch::new(shape.rows, BACKWARD_ROWS, BACKWARD_THREADS);
    // SAFETY: `x` and `dy` are [rows, d], `stats` is [rows, 2], γ [d], `partials` [blocks, 2, d].
    unsafe { launch(device, "layer_norm_backward", grid, &arguments) };
    let columns = Launch::new(shape.d, WARP, BACKWARD_THREADS).with_shared(BACKWARD_THREADS * 4);
    for (grad, half) in [(grads.gamma, 0), (grads.beta, shape.width())] {
        let sizes = [(blocks as u32).into(), half.into(), shape.width().into()];
        let arguments = [partials.pointer().into(), grad.into(), sizes[0], sizes[1], sizes[2]];
        // SAFETY: `partials` is [blocks, 2, d] and the gradient [d]; there is one shared f32 a thread.
        unsafe { launch(device, "layer_norm_add_partials", columns, &arguments) };
    }
}

impl Shape {
    /// `d` as the kernels take it.
    fn width(self) -> u32 {
        assert!(self.d <= i32::MAX as usize, "width {} of a layer norm", self.d);
        self.d as u32
    }

    /// A warp for each row.
    fn rows_launch(self) -> Launch {
        Launch::new(self.rows, ROWS_PER_BLOCK, ROW_THREADS)
    }
}

/// # Safety
/// As for [`Device::launch`].
unsafe fn launch(device: &Device, name: &'static str, launch: Launch, arguments: &[Argument]) {
    // SAFETY: the caller's promise.
    unsafe { device.launch(Kernel { module: &MODULE, name }, launch, arguments) };
}

#[cfg(test)]
mod tests;
