//! A `StepReport` is what one optimizer step returns.

use std::time::Duration;

use report::Metrics;

use crate::monitor::observations::Observations;

/// The results of one optimizer step.
#[derive(Debug, Default, PartialEq)]
pub struct StepReport {
    /// Scalar results: the loss, its parts, and what is derived from the observations.
    pub metrics: Metrics,
    /// The teacher's outputs that are kept for measures of the whole batch.
    pub observations: Observations,
    /// Norm of each tensor's gradient before clipping, in the order of the parameter table.
    pub grad_norms: Vec<f64>,
    /// Duration of the parts of the step.
    pub times: Times,
}

/// Duration of the parts of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Times {
    /// The teacher's forward pass.
    pub teacher_forward: Duration,
    /// The student's forward pass.
    pub student_forward: Duration,
    /// Loss and gradients of the objective.
    pub objective: Duration,
    /// The student's backward pass.
    pub backward: Duration,
    /// Clipping and AdamW.
    pub optimizer: Duration,
    /// Updates of the teacher and the centers.
    pub teacher_update: Duration,
}
