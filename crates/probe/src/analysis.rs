//! Measures of what a network has learned: its mixture of prototypes, and its features.
//!
//! ```text
//! images ─▶ features ─▶ assignment ─▶ mixture (agreement, accuracy_by_kappa, distribution)
//!               │          └────▶ membership (log likelihood)
//!               └─────▶ features
//! ```
//!
//! [`Pass`](crate::Pass) extracts the features. [`geometry`](crate::geometry) has the measures that
//! training reports too: the spectrum of features and the number of unique prototypes.
//!
//! Everything here is a pure function of weights and images; the number of threads changes no bit.
//! `docs/analysis.md` explains each number.

pub mod accuracy_by_kappa;
pub mod agreement;
pub mod assignment;
pub mod distribution;
pub mod features;
pub mod membership;
pub mod mixture;
