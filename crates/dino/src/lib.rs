//! Self-distillation with vision transformers: DINO, iBOT, DINO-vMF: model, objective, training, evaluation.

#![forbid(unsafe_code)]

pub mod analysis;
pub mod checkpoint;
pub mod config;
pub mod error;
pub mod geometry;
pub mod masking;
pub mod matrix;
pub mod memory;
pub mod metrics;
pub mod monitor;
mod nearest;
pub mod objective;
pub mod open;
pub mod optim;
pub mod plan;
pub mod preset;
pub mod probe;
pub mod run_folder;
pub mod schedule;
pub mod terms;
pub mod trainer;
