//! Frozen features, judged: evaluations and analyses of what a network has learned.
//!
//! ```text
//! Subset ─▶ Pass ─▶ Source ──▶ Features ─▶ Probe ─────▶ Scores      k-NN, linear, logistic, few labels
//! images    batches  a network  rows and    linear ───▶ outcomes    of many learning rates
//!                    or pixels  labels      logistic ─▶ classifier  at the optimum; fewshot
//!                                           analysis ─▶ measures    the mixture, the features
//!                                           geometry ─▶ measures    of vectors alone
//! ```
//!
//! [`Pass`] is the only loop over images: evaluations, analyses and exports share it. It leaves out images
//! that cannot be read and counts them. A [`Source`] is any network with its weights ([`Encoder`]), or the
//! pixels themselves. A [`Probe`] gets features of training and of test images and returns scores; an
//! [`Evaluation`] is two labelled sets of images and the probes. [`analysis`] needs no training set, and
//! [`geometry`] no images.
//!
//! This crate knows networks (crate `vit`) and images (crate `multicrop`), and nothing of training: it has
//! no objective, no checkpoint, no configuration.
//!
//! A new probe is one file with a type that implements [`Probe`]. `dino::evaluation` lists the probes of a
//! run; training, `eval` and `--json` then report its scores by their names.
//!
//! k-NN of raw pixels and of a network with random weights, on the built-in images:
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use multicrop::augment::normalize::{IMAGENET_MEAN, IMAGENET_STD};
//! use probe::{Encoder, Evaluation, Probe, RawPixels, evaluation, knn, preprocess};
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
//!
//! let preprocess = preprocess::Settings {
//!     resize: None, crop: Some(32), patch_size: 8, mean: IMAGENET_MEAN.to_vec(),
//!     std: IMAGENET_STD.to_vec(), decode: multicrop::decode::Options::default(), batch_size: 32,
//!     strict: false,
//! };
//! let settings = evaluation::Settings { preprocess, max_train: Some(100), max_test: Some(50) };
//! let probes: Vec<Box<dyn Probe>> = vec![Box::new(knn::Knn::new(knn::Settings::default()))];
//! let (train, test) = (multicrop::open("shapes:train")?, multicrop::open("shapes:test")?);
//! let evaluation = Evaluation::new(train, test, settings, probes)?;
//!
//! let encoder = Encoder { name: "untrained", network: &network, params: &params };
//! let judged = evaluation.judge(&[&RawPixels, &encoder], &mut |_, _| ControlFlow::Continue(()))?;
//! for judgment in &judged.judgments {
//!     for scores in &judgment.scores {
//!         let top1 = scores.values[0]; // raw k-NN k = 10: top-1 …
//!         assert!((0.0..=100.0).contains(&top1.value), "{}: {top1:?}", judgment.source);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod accuracy;
pub mod analysis;
mod attention;
pub mod average_precision;
pub mod bootstrap;
pub mod components;
mod definition;
pub mod error;
pub mod evaluation;
pub mod fewshot;
pub mod geometry;
pub mod knn;
pub mod linear;
pub mod logistic;
mod matrix;
mod pass;
pub mod pooling;
pub mod preprocess;
mod progress;
pub mod propagation;
pub mod retrieval;
pub mod segmentation;
pub mod separation;
pub mod sets;
pub mod similarity;
mod source;
mod subset;
pub mod whitening;

pub use attention::strongest;
pub use definition::{Features, Probe, Score, Scores, Size, Stream};
pub use error::{Error, Result, Stopped};
pub use evaluation::{Evaluated, Evaluation, Judged, Judgment, require_labels};
pub use matrix::{Matrix, Storage, Values};
pub use pass::{Chunk, Extracted, Pass, Passed, Views};
pub use preprocess::Preprocess;
pub use progress::Progress;
pub use source::{Encoder, Kind, RawPixels, Source, Wanted};
pub use subset::Subset;
