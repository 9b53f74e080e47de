//! The devices whose memory a tensor can lie in.

use crate::cuda;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The host and its memory.
    Cpu,
    /// A CUDA device and its memory.
    Cuda(cuda::Device),
}
