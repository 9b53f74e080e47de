//! Tensors in pooled memory and the fused operations of a vision transformer.
//!
//! What the crate promises:
//!
//! * **Ownership is the tape.** There is no autograd. An operation has a forward form, which returns
//!   what its backward needs, a backward form, which consumes it, and an inference form, which saves
//!   nothing. The borrow checker proves that an activation is used once and freed in time.
//! * **Parameters live in one buffer** ([`params::Params`]); layers hold ranges into it. Gradients,
//!   moments and the teacher have the same layout, so an optimizer step is a pass over contiguous
//!   memory.
//! * **The number of threads never changes a result.** Work is cut into pieces of fixed size and
//!   reduced in a fixed order ([`rows`]).
//! * **A steady training step allocates nothing** from the system: buffers return to a pool
//!   ([`pool`]) by size class.
//!
//! Activation gradients are overwritten, parameter gradients are added to. Wrong shapes are a
//! caller's mistake and panic with both shapes; there is no other way for an operation to fail.

pub mod cuda;
pub mod ops;
pub mod params;
pub mod profile;
pub mod rows;
pub mod simd;
pub mod stored;
mod tensor;
#[cfg(test)]
mod testing;

pub use params::{ParamTable, Params, Range};
pub use tensor::Tensor;
pub use {matmul, pool};
