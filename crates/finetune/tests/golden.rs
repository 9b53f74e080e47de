//! Comparison with Pillow, timm and PyTorch. The scripts in `tests/golden/` made the data.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "golden/operations.rs"]
mod operations;
#[path = "golden/step.rs"]
mod step;
