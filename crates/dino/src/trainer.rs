//! Training: one step, the loop around it, what it reports and what it saves.

pub mod events;
mod losses;
mod pace;
mod recipe;
mod run;
mod saved;
pub mod step;

pub use events::{Event, Headline, ProbeRecord, ProbeSummary, Started, StepRecord, Summary};
pub use run::{Request, pretrain};
