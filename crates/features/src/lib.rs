//! Writes features of images to a file, in bounded memory, and reads such files.
//!
//! ```text
//! images ─▶ probe::Pass ─▶ OUT.partial/: raw rows, and what is done ─▶ OUT: npy, safetensors or parquet
//!                  └─────▶ Store: unit vectors in a temporary file, for similarities ◀─ Table ◀─ OUT
//! ```
//!
//! Rows go to disk as they come. Every few seconds the export writes down how far it is. An export that was
//! stopped or killed continues there, and its file has the same bytes as that of an export that ran through.
//! The file appears whole, under its name, at the end.
//!
//! Features of the built-in images, from a network with random weights:
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use features::{Column, Export};
//! use multicrop::augment::normalize::{IMAGENET_MEAN, IMAGENET_STD};
//! use probe::{Encoder, Kind, Preprocess, Subset, preprocess};
//! use vit::{HeadShape, Network, VitShape, init};
//!
//! let shape = VitShape {
//!     embed_dim: 16, depth: 2, heads: 2, mlp_hidden: 64, patch_size: 8, image_size: 32,
//!     ..VitShape::default()
//! };
//! let head = HeadShape {
//!     embed_dim: 16, hidden_dim: 32, bottleneck_dim: 8, prototypes: 64, ..HeadShape::default()
//! };
//! let network = Network::new(&shape, &head);
//! let params = init::draw(&network, 0, 0.02);
//! let source = Encoder { name: "untrained", network: &network, params: &params };
//!
//! let images = multicrop::open("shapes:test")?;
//! let settings = preprocess::Settings {
//!     resize: None, crop: Some(32), patch_size: 8, mean: IMAGENET_MEAN.to_vec(),
//!     std: IMAGENET_STD.to_vec(), decode: multicrop::decode::Options::default(), batch_size: 32,
//!     strict: false,
//! };
//! let preprocess = Preprocess::new(settings, images.as_ref())?;
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("features.npy");
//! let columns = [Column::new("cls", Kind::Cls, &source, &preprocess)];
//! let export = Export {
//!     images: &Subset::new(images, Some(40), 0), preprocess: &preprocess, source: &source,
//!     mixture: None, columns: &columns, description: &[], out: &out,
//! };
//! let written = export.run(&mut |_, _| ControlFlow::Continue(()))?;
//! assert_eq!((written.images, written.files.len()), (40, 2)); // and a table of names and labels
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod column;
mod error;
mod export;
mod format;
pub mod npy;
mod spool;
mod store;
mod table;

pub use column::{Column, Measure, Values};
pub use error::{Error, Result};
pub use export::{Export, Exported};
pub use format::Format;
pub use store::Store;
pub use table::Table;
