//! Full fine-tuning: a backbone and a linear layer are trained together on labelled images.
//!
//! ```text
//! images ─▶ view ─▶ mixing ─▶ network ─▶ targets    scores, loss, gradients
//!           erasing, rand_augment │         groups ─▶ step    AdamW, a rate for each layer
//!                                 ▼                    │
//!                            tested ◀───── run ────────┘─▶ saved
//! ```
//!
//! The protocol is that of BEiT, with which iBOT reports fine-tuning: layer-wise learning rates, mixup, CutMix, label
//! smoothing, RandAugment, random erasing, drop path. Every random number is a pure function of (seed, epoch, image) or
//! (seed, step), so neither threads nor a restart change a bit of the result.
//!
//! This crate prints nothing: [`finetune`] reports [`Event`]s.

#![forbid(unsafe_code)]

mod about;
mod erasing;
mod error;
mod events;
pub mod groups;
mod memory;
mod mixing;
mod network;
mod pace;
mod rand_augment;
mod run;
mod saved;
mod settings;
mod step;
pub mod targets;
mod tested;
mod view;

pub use error::{Error, Result};
pub use events::{Event, StepRecord};
pub use mixing::{Mix, Mixing};
pub use network::{Classifier, Pooling};
pub use rand_augment::{Operation, RandAugment};
pub use run::{Request, Summary, finetune};
pub use saved::{BEST, LAST, RECORD};
pub use settings::{Recipe, Settings};
pub use step::{Batch, NotFinite, State, Training, Watch};
pub use tested::Tested;
pub use view::{Changes, TrainingView};
