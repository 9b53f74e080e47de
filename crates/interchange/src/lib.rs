//! Reads checkpoints of other programs.
//!
//! ```text
//! file ─▶ Archive: tensors by name, plain data ─▶ dialect: format, network, this program's names ─▶ f32 values
//!         zip, legacy pickle, safetensors, shards    DINO, iBOT, DINOv2, timm, Hugging Face
//! ```
//!
//! An [`archive::Archive`] knows containers, not networks; [`pickle`] knows neither files nor tensors' values;
//! [`dialect`] knows names.

pub mod archive;
pub mod dialect;
mod dtype;
mod error;
pub mod pickle;

pub use archive::{Archive, Container, TensorInfo};
pub use dtype::Dtype;
pub use error::Error;
