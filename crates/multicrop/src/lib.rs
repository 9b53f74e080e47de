//! Images from any source to deterministic multi-crop batches, Pillow-exact.
//!
//! The way of an image, and the module for each part of it:
//!
//! ```text
//! SOURCE ─▶ dataset ─▶ decode ─▶ Image8 ─▶ recipe (augment, resize) ─▶ loader ─▶ Batch
//!                                    └─▶ eval_view ─▶ features, k-NN
//! ```
//!
//! Every random number is a pure function of (seed, epoch, sample, crop): neither the number of
//! workers nor a restart changes a batch. Images that cannot be read are counted, named and
//! replaced by the next sample; they end a run only if they are many.
//!
//! ```
//! use std::sync::Arc;
//! use multicrop::loader::{Loader, LoaderConfig};
//! use multicrop::recipe::Recipe;
//!
//! let dataset = multicrop::open("shapes:test")?;
//! let recipe = Arc::new(Recipe::dino(32, 16, 4));
//! let config = LoaderConfig { batch_size: 8, ..LoaderConfig::default() };
//! for batch in Loader::<f32>::start(dataset, recipe, config, 0, 2)? {
//!     let batch = batch?;
//!     assert_eq!(batch.globals.data.len(), 2 * 8 * 3 * 32 * 32);
//!     assert_eq!(batch.locals.data.len(), 4 * 8 * 3 * 16 * 16);
//! }
//! # Ok::<(), multicrop::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod augment;
pub mod dataset;
pub mod decode;
pub mod error;
pub mod eval_view;
pub mod guard;
pub mod image;
pub mod loader;
pub mod order;
pub mod planes;
pub mod recipe;
pub mod resize;

pub use dataset::{Dataset, OpenOptions, open, open_with, same_classes};
pub use error::{Error, SampleError};
pub use image::Image8;
