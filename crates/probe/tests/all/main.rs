//! Tests of the evaluations.
//!
//! One program for all: each test program links the libraries again, which takes longer than most tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../../../dino/tests/all/fixtures.rs"]
#[expect(dead_code, reason = "the tests of dino use all of it")]
mod fixtures;
mod golden_analysis;
mod golden_knn;
mod golden_linear;
mod golden_logistic;
mod golden_propagation;
mod golden_ranking;
mod probe;
mod similarity;
