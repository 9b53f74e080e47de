//! The operations.
//!
//! An operation is one folder. `ops/<op>.rs` has the formulas, the shapes, the checks and the match on
//! devices; `ops/<op>/cpu.rs` computes on the CPU; `ops/<op>/cuda.rs` launches the kernels of
//! `ops/<op>/<op>.cu`; `ops/<op>/tests.rs` has a naive definition in f64 that every device is tested
//! against. An operation without a kernel for a device computes on a copy in host memory.
//!
//! Activation gradients are overwritten, because each has one producer. Parameter gradients are added to,
//! because micro-batches and shared layers sum theirs.
//!
//! Fusion happens inside an operation: [`normed_linear`] and [`mlp`] use the CPU halves of other
//! operations on some rows at a time. On a CUDA device they run one operation after the other.

pub mod adamw;
pub mod attention;
pub mod cast;
pub mod center;
pub mod ema;
pub mod embed;
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
pub mod swiglu;
pub mod tokens;
