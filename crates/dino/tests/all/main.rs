//! Tests of training: golden fixtures, checkpoints, settings.
//!
//! One program for all: each test program links the libraries again, which takes longer than most tests. Tests that
//! measure the memory of their process are programs of their own.

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
mod terms;
