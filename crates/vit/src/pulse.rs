//! A [`Pulse`] is what a caller does between two blocks: show progress, or end a long pass.

use std::ops::ControlFlow;

/// Called after each block of a pass. `Break` ends the pass without a result.
pub type Pulse<'a> = &'a dyn Fn() -> ControlFlow<()>;

/// Does nothing and ends no pass.
pub(super) const GO_ON: Pulse<'static> = &|| ControlFlow::Continue(());
