//! Launches of the kernels in `layer_norm.cu`.

use super::{LayerNorm, Saved};
use crate::cuda::{Argument, Device, Kernel, Launch, Module};
use crate::params::Params;
use crate::tensor::{Dtype, Tensor};

static MODULE: Module = Module { name: "layer_norm", source: include_str!("layer_norm.cu") };
const WARP: usize = 32;
/// Threads of a block where each warp works on one row.
const ROW_THREADS: u32 = 128;
const ROWS_PER_BLOCK: usize = ROW_THREADS as usize / WARP;
/// Threads of a block of the backward pass.
const BACKWARD_THREADS: u32 = 256;
/// Rows that a block of the backward pass sums. More rows mean fewer partial sums; fewer rows mean more
/// blocks that run at the same time.
const BACKWARD_ROWS: usize = 64;

/// `y` and the statistics.
pub(super) fn forward(layer: &LayerNorm, params: &Params, x: &Tensor) -> (Tensor, Saved) {
    let device = x.cuda().device();
    let mut y = Tensor::uninit_on(device, x.shape(), Dtype::F32);
    let mut stats = Tensor::uninit_on(device, &[x.rows(), 2], Dtype::F32);
    let arguments = [
        input(x, x.shape()),
        params.view(layer.weight).cuda().into(),
        params.view(layer.bias).cuda().into(),
        layer.eps.into(),
        y.cuda_mut().pointer_mut().into(),
        stats.cuda_mut().pointer_mut().into(),
        x.rows().into(),
        width(x).into(),
    ];
    // SAFETY: `x` and `y` are [rows, d], γ and β [d], `stats` is [rows, 2]: all that the kernel accesses.
    unsafe { launch(device, "layer_norm_forward", a_warp_for_each_row(x), &arguments) };
    (y, Saved { stats })
}

/// `y` from the statistics.
pub(super) fn apply(layer: &LayerNorm, params: &Params, x: &Tensor, stats: &Tensor) -> Tensor {
    let device = x.cuda().device();
    let mut y = Tensor::uninit_on(device, x.shape(), Dtype::F32);
    let arguments = [
        input(x, x.shape()),
        params.view(layer.weight).cuda().into(),
        params.view(layer.bias).cuda().into(),
        input(stats, &[x.rows(), 2]),
        y.cuda_mut().pointer_mut().into(),
        x.rows().into(),
        width(x).into(),
    ];
    // SAFETY: as in `forward`.
    unsafe { launch(device, "layer_norm_apply", a_warp_for_each_row(x), &arguments) };
    y
}

/// `dx`, in place of `dy`; adds to the gradients of γ and β.
pub(super) fn backward(
    layer: &LayerNorm,
    params: &Params,
    x: &Tensor,
    stats: &Tensor,
    dy: &mut Tensor,
    grads: &mut Params,
) {
    let (device, rows, d) = (x.cuda().device(), x.rows(), width(x));
    let blocks = rows.div_ceil(BACKWARD_ROWS);
    let mut partials = Tensor::uninit_on(device, &[blocks, 2, x.width()], Dtype::F32);
    input(dy, x.shape());
    let arguments = [
        input(x, x.shape()),
        input(stats, &[rows, 2]),
        params.view(layer.weight).cuda().into(),
        dy.cuda_mut().pointer_mut().into(),
        partials.cuda_mut().pointer_mut().into(),
        rows.into(),
        (BACKWARD_ROWS as u32).into(),
        d.into(),
    ];
    let grid = Launch::new(rows, BACKWARD_ROWS, BACKWARD_THREADS);
    // SAFETY: `x` and `dy` are [rows, d], `stats` is [rows, 2], γ [d], `partials` [blocks, 2, d].
    unsafe { launch(device, "layer_norm_backward", grid, &arguments) };
    let columns = Launch::new(x.width(), WARP, BACKWARD_THREADS).with_shared(4 * BACKWARD_THREADS);
    for (param, half) in [(layer.weight, 0), (layer.bias, d)] {
        let mut grad = grads.view_mut(param);
        assert_eq!(grad.shape(), [x.width()], "gradient of a layer norm");
        let sizes = [(blocks as u32).into(), half.into(), d.into()];
        let arguments =
            [partials.cuda().pointer().into(), grad.cuda().into(), sizes[0], sizes[1], sizes[2]];
        // SAFETY: `partials` is [blocks, 2, d] and the gradient [d]; each thread has one shared f32.
        unsafe { launch(device, "layer_norm_add_partials", columns, &arguments) };
    }
}

/// A tensor that a kernel reads.
///
/// # Panics
/// If it has another shape or is not f32.
fn input(x: &Tensor, shape: &[usize]) -> Argument {
    assert_eq!(x.len(), shape.iter().product(), "values of an input of a layer norm");
    assert_eq!(x.dtype(), Dtype::F32, "dtype of an input of a layer norm");
    x.cuda().pointer().into()
}

/// `d` as the kernels take it.
fn width(x: &Tensor) -> u32 {
    let d = x.width();
    assert!(d <= i32::MAX as usize, "width {d} of a layer norm, but at most 2³¹ − 1");
    d as u32
}

fn a_warp_for_each_row(x: &Tensor) -> Launch {
    Launch::new(x.rows(), ROWS_PER_BLOCK, ROW_THREADS)
}

/// # Safety
/// As for [`Device::launch`].
unsafe fn launch(device: &Device, name: &'static str, launch: Launch, arguments: &[Argument]) {
    // SAFETY: the caller's promise.
    unsafe { device.launch(Kernel { module: &MODULE, name }, launch, arguments) };
}
