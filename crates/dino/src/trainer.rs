//! The `trainer` takes optimizer steps, runs the loop around them, reports events and saves the run.

mod batch;
pub mod events;
mod pace;
mod report;
mod run;
mod saved;
pub mod step;
mod work;

pub use events::{
    Event, Headline, Missing, ProbeRecord, ProbeSummary, Started, StepRecord, Summary,
};
pub use run::{LONG_REST, Prepared, Request, prepare, pretrain};
