//! KoLeo-proto: pushes every prototype away from its nearest neighbor on the sphere.
//!
//! ```text
//! μₖ = sign(gₖ) vₖ / ‖vₖ‖        n(k) = argmax_{j ≠ k} ⟨μⱼ, μₖ⟩, the lowest j of several
//! L  = −1/K Σₖ log(dₖ + ε)       dₖ = ‖μₖ − μ_n(k) + s‖
//!
//! ∂L/∂μₖ −= eₖ,  ∂L/∂μ_n(k) += eₖ,   eₖ = (μₖ − μ_n(k) + s) / (K dₖ (dₖ + ε))
//! dvₖ = sign(gₖ) / ‖vₖ‖ · (∂L/∂μₖ − ⟨∂L/∂μₖ, μₖ⟩ μₖ)
//! ```
//!
//! with ε = 1e-8, and `s` either 0 or ε in every coordinate ([`Form`]). It is the estimate of
//! Kozachenko and Leonenko of the entropy of the directions, up to constants: maximal where they are
//! spread out. The neighbor's number is not differentiated, its vector is. Norms `g` get no
//! gradient.
//!
//! `v` is `[k, r]`. The search multiplies tiles of directions, so memory does not grow with the
//! square of `k`. One thread searches each row, so the number of threads changes nothing.
//!
//! Source: Sablayrolles et al., *Spreading vectors for similarity search*, arXiv:1806.03198; on
//! prototypes: Govindarajan et al., *On Partial Prototype Collapse in the DINO Family of
//! Self-Supervised Methods*, arXiv:2410.14060.

mod cpu;

use crate::params::{Param, Params};
use crate::tensor::Tensor;

/// How a distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is: a pair at distance 0 has no gradient.
    Plain,
    /// With 1e-8 added to each coordinate of the difference, as in DINOv2.
    Shifted,
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    directions: Tensor, // μ, [k, r]
    scales: Vec<f32>,   // sign(g) / ‖v‖, [k]
    neighbors: Vec<u32>,
    form: Form,
}

impl Saved {
    /// The nearest neighbor of each prototype, `[k]`.
    pub fn neighbors(&self) -> &[u32] {
        &self.neighbors
    }
}

/// `L`, for prototypes of signed norms `g`, `[k]` or `[k, 1]`, and directions `v`, `[k, r]`.
///
/// # Panics
/// If there are fewer than two prototypes, or shapes do not fit.
pub fn forward(params: &Params, g: Param, v: Param, form: Form) -> (f64, Saved) {
    let (k, len) = (params.view(g).len(), params.view(v).len());
    assert!(k >= 2 && len.is_multiple_of(k), "directions of {k} prototypes");
    let params = params.on_host();
    cpu::forward(params.view(g).host(), params.view(v).host(), form)
}

/// Adds the gradient of `scale · L` to that of the directions `v`.
pub fn backward(saved: Saved, scale: f32, v: Param, grads: &mut Params) {
    assert_eq!(grads.view(v).len(), saved.directions.len(), "gradient of directions");
    grads.on_host_mut(|grads| cpu::backward(saved, scale, grads.view_mut(v).host_mut()));
}

#[cfg(test)]
mod tests;
