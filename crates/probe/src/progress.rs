//! `Progress` reports how much of an evaluation is done and asks whether to go on.

use std::ops::ControlFlow;

use crate::error::Stopped;

/// Counts images that are done, of all, and keeps what a reader of the result must know.
pub struct Progress<'a> {
    done: usize,
    total: usize,
    notes: Vec<String>,
    report: &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>,
}

impl<'a> Progress<'a> {
    /// Nothing of `total` is done. `report` gets images done and all images after each batch; it breaks
    /// to stop.
    pub fn new(total: usize, report: &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Self {
        Self { done: 0, total, notes: Vec::new(), report }
    }

    /// Keeps a sentence that a reader of the result must know, such as that a fit did not converge.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The sentences so far.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Reports that `count` more images are done. With 0, asks only whether to go on: a probe that
    /// computes for long does so now and then.
    ///
    /// # Errors
    /// If the caller wants to stop.
    pub fn advance(&mut self, count: usize) -> Result<(), Stopped> {
        self.done += count;
        match (self.report)(self.done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped),
        }
    }
}
