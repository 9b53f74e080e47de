//! The probes of an evaluation.

use super::definition::Probe;
use super::knn::Knn;
use crate::config::Eval;

/// All probes, in the order of reports. A new probe is a line here.
pub fn all(settings: &Eval) -> Vec<Box<dyn Probe>> {
    vec![Box::new(Knn::new(settings))]
}
