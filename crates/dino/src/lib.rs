//! Self-distillation with vision transformers: DINO, iBOT, DINO-vMF, iBOT-vMF.
//!
//! ```text
//! config ─▶ plan ─▶ trainer ─▶ run_folder, checkpoint ─▶ open   a trained network, for crate `probe`
//!                     ├─▶ terms ─▶ objective   loss, gradients, center
//!                     ├─▶ optim, schedule      AdamW, teacher, learning rate
//!                     ├─▶ monitor              alarms
//!                     └─▶ evaluation           probes of the teacher's features
//! ```
//!
//! The network is crate `vit`, its operations are crate `engine`, images come from crate `multicrop`. Crate
//! `probe` evaluates and analyzes features; metrics and the files that hold them are crate `report`. This
//! crate prints nothing: a run reports [`trainer::Event`]s.
//!
//! Two steps on the built-in images, and the network that they leave:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use dino::config::Config;
//! use dino::trainer::{Event, Request, pretrain};
//!
//! let folder = tempfile::tempdir()?;
//! let sets = ["optim.steps=2", "optim.batch_size=4", "eval.train=none", "eval.test=none"];
//! let mut config = Config::resolve(Some("shapes-tiny"), None, &sets.map(str::to_owned), &[])?;
//! config.run.out = Some(folder.path().join("run").display().to_string());
//!
//! let request = Request { config, name: "example".to_owned(), resume: false, allow_data_change: false, dataset: None };
//! let mut losses = Vec::new();
//! let summary = pretrain(request, &AtomicBool::new(false), &mut |event| {
//!     if let Event::Step(record) = event {
//!         losses.push(record.metrics.value(report::Metric::Loss));
//!     }
//! })?;
//! assert_eq!((summary.steps, losses.len()), (2, 2));
//!
//! let opened = dino::open::open(&summary.run)?;
//! assert_eq!(opened.step, Some(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod config;
pub mod conversion;
pub mod environment;
pub mod error;
pub mod evaluation;
pub mod fingerprint;
pub mod forecast;
pub mod foreign;
pub mod masking;
pub mod memory;
pub mod monitor;
mod nearest;
pub mod objective;
pub mod open;
pub mod optim;
pub mod own_images;
pub mod plan;
pub mod preset;
pub mod run_folder;
pub mod schedule;
pub mod start;
pub mod terms;
pub mod trainer;
