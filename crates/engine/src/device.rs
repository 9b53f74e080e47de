//! The devices whose memory a tensor can lie in.

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The host and its memory.
    Cpu,
}
