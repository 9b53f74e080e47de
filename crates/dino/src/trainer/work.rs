//! The [`Work`] of a step says how much of it is done, block by block.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use multicrop::recipe::GLOBAL_CROPS;

use crate::config::Config;
use vit::Network;

/// A pass over a micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The teacher's forward pass: the global crops.
    Teacher,
    /// The student's forward pass: all crops.
    Student,
    /// The student's backward pass, which is two forward passes.
    Backward,
}

/// Counts the blocks of a step that are done.
pub(super) struct Work<'a> {
    teacher: f64, // pixels of a block of the teacher
    student: f64, // and of the student
    total: f64,
    done: Cell<f64>,
    watch: RefCell<&'a mut dyn FnMut(f64) -> ControlFlow<()>>,
}

impl<'a> Work<'a> {
    pub(super) fn of(
        network: &Network,
        config: &Config,
        batches: usize,
        watch: &'a mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Self {
        let data = &config.data;
        let pixels = |crops: usize, side: usize| crops as f64 * (side as f64).powi(2);
        let teacher = pixels(GLOBAL_CROPS, data.global_size);
        let student = teacher + pixels(data.local_crops, data.local_size);
        let blocks = network.backbone.shape().depth * batches;
        Self {
            teacher,
            student,
            total: blocks as f64 * (teacher + 3.0 * student),
            done: Cell::new(0.0),
            watch: RefCell::new(watch),
        }
    }

    /// Adds one block of a pass, and calls the watch.
    pub(super) fn add(&self, part: Part) -> ControlFlow<()> {
        let work = match part {
            Part::Teacher => self.teacher,
            Part::Student => self.student,
            Part::Backward => 2.0 * self.student,
        };
        self.done.set(self.done.get() + work);
        (self.watch.borrow_mut())((self.done.get() / self.total.max(1.0)).min(1.0))
    }
}
