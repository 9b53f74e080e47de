//! Residual addition with layer scale and drop path, on the kept sequences only.
//!
//! ```text
//! x_kept += s · γ ⊙ y        dy = s · γ ⊙ dx_kept        dγ += s · Σ dx_kept ⊙ y
//! ```
//!
//! `x` is the stream `[rows, d]`, `y` the branch's output on the kept sequences `[kept rows, d]`,
//! γ the optional layer scale `[d]`, `s` one over the probability of being kept. Dropped sequences
//! stay as they are: their branch was never computed.
//!
//! Source: stochastic depth, Huang et al., arXiv:1603.09382, per sample; layer scale, Touvron et
//! al., arXiv:2103.17239.

mod cpu;

use crate::layout::Layout;
use crate::params::{Param, Params};
use crate::profile;
use crate::tensor::Tensor;

/// What a branch's output is multiplied by before it is added.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// `s`.
    pub drop_path: f32,
    /// γ, `[d]`, if the branch has a layer scale.
    pub gamma: Option<Param>,
}

/// Adds `y`, the branch's output on the kept sequences, to the stream.
pub fn add(params: &Params, stream: &mut Tensor, kept: &Layout, y: &Tensor, scale: Scale) {
    let _timer = profile::time("residual", 0, 3 * y.len());
    assert_eq!(y.shape(), [kept.rows(), stream.width()], "output of a residual branch");
    check_gamma(params, scale, stream.width());
    let (params, y) = (params.on_host(), y.on_host());
    stream.on_host_mut(|stream| cpu::add(&params, stream, kept, &y, scale));
}

/// `dy` on the kept sequences, `[kept rows, d]`.
pub fn backward(params: &Params, dstream: &Tensor, kept: &Layout, scale: Scale) -> Tensor {
    let _timer = profile::time("residual, backward", 0, 2 * kept.rows() * dstream.width());
    check_gamma(params, scale, dstream.width());
    cpu::backward(&params.on_host(), &dstream.on_host(), kept, scale).to(&dstream.device())
}

/// Adds to the gradient of γ. `dx_kept` are the kept rows of the stream's gradient.
pub fn backward_gamma(
    gamma: Param,
    dx_kept: &Tensor,
    y: &Tensor,
    drop_path: f32,
    grads: &mut Params,
) {
    assert_eq!(dx_kept.shape(), y.shape(), "gradient and output of a residual branch");
    assert_eq!(grads.view(gamma).len(), y.width(), "gradient of a layer scale");
    let (dx_kept, y) = (dx_kept.on_host(), y.on_host());
    grads.on_host_mut(|grads| {
        cpu::backward_gamma(&dx_kept, &y, drop_path, grads.view_mut(gamma).host_mut());
    });
}

fn check_gamma(params: &Params, scale: Scale, d: usize) {
    let width = scale.gamma.map(|gamma| params.view(gamma).len());
    assert!(width.is_none_or(|width| width == d), "width of a layer scale");
}

#[cfg(test)]
mod tests;
