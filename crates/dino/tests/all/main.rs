//! Tests of training: golden fixtures, checkpoints, settings.
//!
//! One program for all: each test program links the libraries again, which takes longer than most tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod ablations;
mod accumulation;
mod checkpoint;
mod configuration;
mod every_key;
mod fixtures;
mod golden;
mod golden_head;
mod golden_ibot;
mod golden_koleo;
mod golden_loss;
mod golden_schedules;
mod golden_trajectory;
mod golden_vit;
mod grid;
mod interrupted;
mod likelihood;
mod memory;
mod recompute;
mod terms;
