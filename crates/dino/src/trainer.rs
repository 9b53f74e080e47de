//! Training: one step, the loop around it, what it reports and what it saves.

pub mod events;
mod losses;
mod pace;
mod run;
mod saved;
pub mod step;

pub use events::{Event, KnnRecord, KnnSummary, Started, StepRecord, Summary};
pub use run::{Request, pretrain};
