//! The operations, one module each.
//!
//! Activation gradients overwrite, parameter gradients add. An operation never calls another one, but for
//! [`normed_linear`] and [`mlp`], which send some rows at a time through several.

pub mod adamw;
pub mod attention;
pub mod ema;
pub mod gelu;
pub mod grad_norm;
pub mod koleo;
pub mod l2_normalize;
pub mod layer_norm;
pub mod linear;
pub mod mixture_cross_entropy;
pub mod mlp;
pub mod normed_linear;
pub mod patch_embed;
pub mod positions;
pub mod residual;
pub mod tokens;
