//! What the tests of memory share.

use engine::Tensor;

pub const R: usize = 256;
pub const MIB: usize = 1 << 20;

/// Deterministic numbers between −1 and 1 without structure that matters here.
pub fn numbers(shape: &[usize]) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    let mut state = 1u32;
    for x in tensor.host_mut().iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *x = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
    tensor
}
