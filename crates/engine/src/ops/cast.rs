//! Values rounded to bf16 and widened to f32 again.
//!
//! ```text
//! to bf16    the nearest value of 8 significant bits, ties to even
//! to f32     exactly the same value
//! ```
//!
//! Activations that wait for the backward pass are kept in bf16 where matmuls are in bf16. The matmul
//! that reads them rounds its operands anyway, so little is lost, and they take half of the memory.

pub(crate) mod cpu;

use crate::tensor::{Dtype, Tensor};

/// `x` in this dtype; `x` itself if it has it already.
pub fn to(x: Tensor, dtype: Dtype) -> Tensor {
    if x.dtype() == dtype {
        return x;
    }
    let device = x.device();
    let x = x.on_host();
    match dtype {
        Dtype::F32 => cpu::widened(&x),
        Dtype::Bf16 => cpu::rounded(&x),
    }
    .to(&device)
}

#[cfg(test)]
mod tests;
