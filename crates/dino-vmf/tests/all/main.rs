//! Runs the program as a person does.
//!
//! One program for all: each test program links the libraries again, which takes longer than most tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod alarms;
mod analyze;
mod bad_input;
mod channels;
mod checkpoint;
mod commands;
mod completions;
mod convert;
mod copydetect;
mod data;
mod deep;
mod during;
mod evaluations;
mod export;
mod extend;
mod finetune;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod init;
mod larger_than_memory;
mod leaving;
mod links;
mod ood;
mod own_images;
mod person;
mod pictures;
mod plan;
mod readme;
mod reports;
mod resume;
mod resume_compares;
mod retrieval;
mod similar;
mod suite;
mod threads;
mod transfer;
mod video;
mod words;
