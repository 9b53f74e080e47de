//! `dino-vmf plan`: what a run will cost, before it starts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use dino::checkpoint;
use dino::forecast::{Disk, Forecast};
use dino::own_images::Settings;
use dino::trainer::{self, Event};
use serde_json::json;

use super::forecasting;
use super::pretrain::Pretrain;
use crate::console::Console;

/// How long steps and images are measured.
const BUDGET: Duration = Duration::from_secs(1);

/// Show what a run will cost before it starts: time, memory, disk
///
/// Takes the flags of `pretrain` and resolves them in the same way. Times a few pieces of a training step and
/// some images for about a second, and extends them to the whole run. Nothing is written. A run that does not
/// fit into memory or on the disk is refused, as `pretrain` would do, with a flag that makes it fit.
///
/// `pretrain` prints the same in short form before it starts.
///
/// Example: dino-vmf plan --data photos/ --epochs 20
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    run: Pretrain,
}

impl Plan {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let Settings { config, dataset, .. } = self.run.settings(console)?;
        let prepared = trainer::prepare(&config, dataset, self.run.resumes(), &mut |event| {
            if let Event::Warning(text) = event {
                console.event("warning", &json!({ "text": text }));
                console.warn(text);
            }
        })?;
        let folder = config.run.out.as_ref().map_or(Path::new("runs").to_owned(), PathBuf::from);
        let first_step = match self.run.resumes() {
            true => checkpoint::steps(&folder)?.last().copied().unwrap_or(0),
            false => 0,
        };
        let subject = prepared.subject(&folder, first_step);
        let forecast = Forecast::of(&subject, BUDGET)?;
        console.event("plan", &forecast);
        forecasting::table(&forecast).iter().for_each(|line| console.text(line));
        prepared.require_memory()?;
        Disk::require(&subject)?;
        Ok(())
    }
}
