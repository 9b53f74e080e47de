//! Reads and writes checkpoints of other programs.
//!
//! ```text
//! file ─▶ Archive: tensors by name, plain data ─▶ dialect: format, network, this program's names ─▶ f32 values
//!         zip, legacy pickle, safetensors, shards    DINO, iBOT, DINOv2, timm, Hugging Face
//! ```
//!
//! An [`archive::Archive`] knows containers, not networks; [`pickle`] knows neither files nor tensors' values;
//! [`dialect`] knows names.
//!
//! [`convert`] goes the other way: it lays a network out under the names of another program, and
//! [`archive::write`] writes the file.

mod about;
pub mod archive;
pub mod convert;
pub mod dialect;
mod dtype;
mod error;
pub mod pickle;

pub use about::About;
pub use archive::{Archive, Container, TensorInfo};
pub use dtype::{Dtype, FloatType};
pub use error::Error;
