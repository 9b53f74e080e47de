//! A data loader for multi-crop self-supervised training: images from any source to deterministic
//! batches of crops, with the pixels of Pillow.
//!
//! ```text
//! source    a folder, tar or WebDataset shards, parquet, a list, CIFAR, IDX          dataset
//!   │       read: the bytes of image i
//!   ▼
//! decode    JPEG, PNG, WebP, TIFF, … to bytes, or to floats if a file has more         decode, image
//!   │
//!   ▼
//! crops     2 global and n local ones: random box, resize, flip, colors, blur,       recipe, augment,
//!   │       normalize                                                                resize, planes
//!   ▼
//! batch     [crops, images, channels, size, size], prefetched by worker threads      loader, order
//! ```
//!
//! The right column names the modules. For evaluation, [`eval_view`] takes the place of the crops:
//! one centered square without randomness. [`whole_view`] keeps the image's aspect ratio, and
//! [`random_view`] is the one random box of a linear probe.
//!
//! Every random number is a pure function of (seed, epoch, sample, crop), so neither the number of
//! workers nor a restart changes a batch. An image that cannot be read is reported and replaced by
//! the next sample. Only too many of them end a run.
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
//!     // crops of each image, images, channels, height, width
//!     assert_eq!(batch.globals.shape(), [2, 8, 3, 32, 32]);
//!     assert_eq!(batch.locals.shape(), [4, 8, 3, 16, 16]);
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
pub mod random_view;
pub mod recipe;
pub mod resize;
pub mod values;
pub mod whole_view;

pub use dataset::{Dataset, OpenOptions, open, open_with, same_classes};
pub use error::{Error, SampleError};
pub use image::{DeepImage, Image, Image8};
