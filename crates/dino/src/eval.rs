//! Evaluations of frozen features.

pub mod features;
pub mod images;
pub mod knn;
pub mod trained;
