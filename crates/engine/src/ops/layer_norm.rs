//! Layer normalization over the last extent.
//!
//! ```text
//! x̂ = (x − mean) · rstd,   rstd = 1 / √(variance + eps)        y = γ ⊙ x̂ + β
//!
//! dx = rstd · (g − ⟨g⟩ − x̂ ⟨g ⊙ x̂⟩),  g = dy ⊙ γ        dγ += Σ dy ⊙ x̂        dβ += Σ dy
//! ```
//!
//! `x`, `y` are `[rows, d]`, `γ`, `β` are `[d]`; ⟨·⟩ is the mean over a row. The variance takes two
//! passes: E\[x²\] − E\[x\]² loses every digit where the mean is large. Saved are 8 bytes a row; `x`
//! itself stays with the caller, who has it anyway, and `y` is recomputed from it by [`apply`].

pub(super) mod cpu;
mod cuda;

use crate::device::Device;
use crate::params::{Param, Params};
use crate::profile;
use crate::tensor::Tensor;

/// A layer norm.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// γ, `[d]`.
    pub weight: Param,
    /// β, `[d]`.
    pub bias: Param,
    /// ε, added to the variance.
    pub eps: f32,
}

impl LayerNorm {
    fn check(&self, params: &Params, x: &Tensor) {
        let width = params.view(self.weight).len();
        assert_eq!(width, x.width(), "width of the input of a layer norm");
    }
}

/// Mean and 1 / standard deviation of each row.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    pub(super) stats: Tensor, // [rows, 2]
}

impl Saved {
    /// Unspecified statistics of `rows` rows.
    pub(super) fn uninit(rows: usize) -> Self {
        Self { stats: Tensor::uninit(&[rows, 2]) }
    }
}

/// `y` and the statistics of the rows.
pub fn forward(layer: &LayerNorm, params: &Params, x: &Tensor) -> (Tensor, Saved) {
    let _timer = profile::time("layer norm", 0, 2 * x.len());
    layer.check(params, x);
    match x.device() {
        Device::Cpu => cpu::forward(layer, params, x),
        Device::Cuda(_) => cuda::forward(layer, params, x),
    }
}

/// `y` alone.
pub fn infer(layer: &LayerNorm, params: &Params, x: &Tensor) -> Tensor {
    forward(layer, params, x).0
}

/// `y` again, from the statistics of the forward pass.
pub fn apply(layer: &LayerNorm, params: &Params, x: &Tensor, saved: &Saved) -> Tensor {
    let _timer = profile::time("layer norm", 0, 2 * x.len());
    layer.check(params, x);
    match x.device() {
        Device::Cpu => cpu::apply(layer, params, x, &saved.stats),
        Device::Cuda(_) => cuda::apply(layer, params, x, &saved.stats),
    }
}

/// `dx`, in place of `dy`; adds to the gradients of γ and β.
pub fn backward(
    layer: &LayerNorm,
    params: &Params,
    x: &Tensor,
    saved: Saved,
    mut dy: Tensor,
    grads: &mut Params,
) -> Tensor {
    let _timer = profile::time("layer norm, backward", 0, 3 * x.len());
    layer.check(params, x);
    assert_eq!(x.len(), dy.len(), "sizes of input and gradient of a layer norm");
    match x.device() {
        Device::Cpu => cpu::backward(layer, params, x, &saved.stats, &mut dy, grads),
        Device::Cuda(_) => cuda::backward(layer, params, x, &saved.stats, &mut dy, grads),
    }
    dy
}

#[cfg(test)]
mod tests;
