//! What a run will cost, before it starts.

mod step;
mod work;

pub use step::StepTime;
