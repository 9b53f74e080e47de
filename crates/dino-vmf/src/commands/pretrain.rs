//! `dino-vmf pretrain`: trains a network, and reports progress until the run ends or a signal stops it.

mod conclusion;
mod flags;
mod settings;
mod ticker;
mod view;

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use dino::own_images::Settings;
use dino::trainer::{self, Request};

use super::{Outcome, signals};
use crate::console::Console;
pub(crate) use flags::Pretrain;
use view::View;

impl Pretrain {
    pub(crate) fn run(&self, console: &mut Console) -> Result<Outcome> {
        let Settings { config, name, dataset, .. } = self.settings(console)?;
        match self.starts_new(&config) {
            Some((text, true)) => console.warn(text),
            Some((text, false)) => console.note(text),
            None => {}
        }
        let stop = signals::stop_on_signals().context("cannot listen to signals")?;
        let view = Mutex::new(View::new(console, config.optim.batch_size));
        let (resume, allow_data_change) = (self.resume.is_some(), self.allow_data_change);
        let request = Request { config, name, resume, allow_data_change, dataset };
        let summary = ticker::with(&view, &stop, || {
            trainer::pretrain(request, &stop, &mut |event| ticker::lock(&view).show(&event))
        })?;
        view.into_inner().unwrap_or_else(PoisonError::into_inner).conclude(&summary);
        Ok(if summary.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }
}
