//! Tensors on a device, and the fused operations of a vision transformer.
//!
//! ```text
//! ParamTable ─ names, shapes, roles            Layout ─ which rows of the token matrix are a sequence
//!     │                                            │
//!  Params ─ weights, gradients, moments        Tensor ─ activations
//!     └───────────────┬────────────────────────────┘
//!             ops::<op>::{forward, backward, infer}
//!                     │  match on the tensor's device
//!          ops/<op>/{cpu,cuda}.rs
//! ```
//!
//! What the crate promises:
//!
//! * **Ownership is the tape.** There is no autograd. An operation has a forward form, which returns
//!   what its backward needs, a backward form, which consumes it, and an inference form, which saves
//!   nothing. The borrow checker proves that an activation is used once and freed in time.
//! * **Values have a device.** A [`Tensor`] does not dereference to a slice. The network above the
//!   operations never reads a value, so it is written once for all devices.
//! * **Parameters live in one buffer** ([`Params`]); layers hold a [`Param`], the place of a tensor in
//!   it. Gradients, moments and the teacher have the same layout, so an optimizer step is a pass over
//!   contiguous memory.
//! * **The number of threads never changes a result.** Work is cut into blocks of fixed size and reduced
//!   in a fixed order ([`rows`]).
//! * **A steady training step allocates nothing** from the system: buffers return to a pool ([`pool`]) by
//!   size class.
//!
//! Wrong shapes are a caller's mistake and panic with both shapes. An operation cannot fail otherwise.
//!
//! A linear layer and a GELU, forward and backward:
//!
//! ```
//! use std::sync::Arc;
//!
//! use engine::matmul::Precision;
//! use engine::ops::gelu;
//! use engine::ops::linear::{self, Linear};
//! use engine::{Dtype, ParamTable, Params, Role, Tensor};
//!
//! let mut table = ParamTable::default();
//! let weight = table.add("fc.weight", &[3, 2], Role::Weight);
//! let bias = table.add("fc.bias", &[3], Role::Bias);
//! let fc = Linear { weight, bias, input: 2, output: 3, precision: Precision::F32 };
//! let mut params = Params::zeros(Arc::new(table));
//! params.view_mut(weight).host_mut().copy_from_slice(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
//!
//! let x = Tensor::from_slice(&[1, 2], &[3.0, -2.0]);
//! let (y, saved) = gelu::forward(linear::infer(&fc, &params, &x), gelu::Form::Exact, Dtype::F32);
//! assert_eq!(y.shape(), [1, 3]);
//!
//! let mut grads = Params::zeros(params.table().clone());
//! let dh = gelu::backward(saved, Tensor::from_slice(&[1, 3], &[1.0, 1.0, 1.0]));
//! linear::backward_params(&fc, &x, &dh, &mut grads);
//! let dx = linear::backward_input(&fc, &params, &dh);
//! assert_eq!(dx.shape(), x.shape());
//! assert!(grads.view(bias).host().iter().all(|&db| db != 0.0));
//! ```

pub mod cuda;
pub mod device;
pub mod layout;
pub mod ops;
pub mod params;
pub mod profile;
pub mod reduce;
pub mod rows;
pub mod simd;
pub mod tensor;
#[cfg(test)]
mod testing;

pub use device::Device;
pub use layout::Layout;
pub use params::{Param, ParamTable, Params, Role};
pub use tensor::{Dtype, Tensor, View, ViewMut};
pub use {matmul, pool};
