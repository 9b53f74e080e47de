//! `dino-vmf eval linear`: linear classifiers on frozen features, by SGD.

mod state;
mod training;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueHint};
use dino::open::Opened;
use probe::linear::{Outcome, Settings};
use probe::{Encoder, Size, Wanted};
use serde_json::json;

use super::super::Outcome as Ended;
use super::super::opening::Checkpoint;
use super::super::signals::stop_on_signals;
use super::super::viewing::Viewing;
use super::beside;
use super::labelled::{Labelled, Vectors, keep};
use crate::console::Console;
use crate::usage::Usage;
use state::State;
use training::{Trained, Training};

/// Rates that the table shows, the best ones.
const ROWS: usize = 5;

/// Train linear classifiers on frozen features, at many learning rates at once
///
/// SGD with momentum 0.9 and a cosine schedule, no weight decay, all rates of iBOT's sweep at once. `best` is the
/// best test accuracy of all epochs, as official codes report it, and so is chosen on the test images; `last`
/// is that of the last epoch.
///
/// Features are computed once, from the center crop. The official probes draw a new random crop and a flip of each
/// training image in each epoch: `--augment`. It usually adds some tenths of a percent, and takes a forward pass over all
/// training images in each epoch; the program says how long. Ctrl-C ends the training and prints what was measured.
///
/// Example: dino-vmf eval linear runs/a --data photos/ --augment --out probe
#[derive(Debug, Args)]
pub(crate) struct Linear {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    images: Labelled,
    /// Features of an image
    #[arg(long, value_name = "VECTORS", default_value = "auto")]
    features: Vectors,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    #[arg(allow_negative_numbers = true)]
    epochs: u32,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[arg(allow_negative_numbers = true)]
    batch_size: u32,
    /// Learning rates, each for 256 images; by default 1 to 9 times 1e-4, 1e-3, 0.01, 0.1 and 1
    #[arg(long, value_name = "RATE,RATE", value_delimiter = ',', allow_negative_numbers = true)]
    rates: Vec<f64>,
    /// Draw a random crop and a flip of each training image in each epoch, as the official probes do
    #[arg(long)]
    augment: bool,
    /// Folder that keeps the classifiers after each epoch; the same command continues from there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "augment")]
    out: Option<PathBuf>,
    /// Draws first weights, the order of the images, and crops
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    viewing: Viewing,
}

impl Linear {
    pub(super) fn run(&self, console: &mut Console) -> Result<Ended> {
        let settings = self.settings()?;
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        let mut evaluation = self.images.open(&mut opened, Vec::new(), console)?;
        evaluation.require_images_of_each_class(1)?;
        let (kind, vectors) = self.features.of(&opened);
        let wanted = Wanted { kind, unit: false };
        let encoder =
            Encoder { name: "trained", network: &opened.network, params: &opened.teacher };
        let width = evaluation.values_of_features(&encoder, wanted);
        let ((train, test), classes) = (evaluation.counts(), evaluation.classes());
        let beside = beside::linear(Size { train, test, width, classes }, &settings);
        keep(&mut evaluation, &opened.config, width, beside, console)?;
        let training = Training {
            opened: &opened,
            evaluation: &evaluation,
            wanted,
            settings,
            augment: self.augment,
            stop: stop_on_signals().context("cannot listen to signals")?,
        };
        let state = match &self.out {
            Some(folder) => Some(State::open(folder, training.key())?),
            None => None,
        };
        let Some(trained) = training.run(state.as_ref(), console)? else {
            console.end_progress();
            console.warn("stopped before an epoch was finished: nothing is measured");
            return Ok(Ended::Interrupted);
        };
        self.print(&opened, &vectors, &trained, console);
        Ok(if trained.epochs < training.settings.epochs { Ended::Interrupted } else { Ended::Done })
    }

    fn settings(&self) -> Result<Settings> {
        if let Some(rate) = self.rates.iter().find(|rate| !(rate.is_finite() && **rate > 0.0)) {
            bail!(Usage(format!(
                "`--rates` has {rate}: give numbers above 0, such as `--rates 0.01,0.1`"
            )));
        }
        let mut settings = Settings {
            epochs: self.epochs as usize,
            batch_size: self.batch_size as usize,
            seed: self.seed,
            ..Settings::default()
        };
        if !self.rates.is_empty() {
            settings.rates.clone_from(&self.rates);
        }
        Ok(settings)
    }

    fn print(&self, opened: &Opened, vectors: &str, trained: &Trained, console: &mut Console) {
        let Trained { sweep, epochs: done, train_images, test_images } = trained;
        let mut order: Vec<&Outcome> = sweep.outcomes().iter().collect();
        order.sort_by(|a, b| b.best.total_cmp(&a.best).then(b.last.total_cmp(&a.last)));
        console.text(format!(
            "linear probe, percent of {test_images} test images; {train_images} training images"
        ));
        print_rates(&order, console);
        let Self { epochs, batch_size, augment, .. } = self;
        if *done < *epochs as usize {
            console.warn(format!(
                "stopped after epoch {done} of {epochs}: the learning rates have not fallen to 0, and `last` is that of \
                 epoch {done}"
            ));
        }
        let crops = match augment {
            true => {
                "random crops (scale 0.08 to 1, bicubic where the official code is bilinear) and flips in each epoch"
            }
            false => {
                "features computed once from the center crop, without the official random crops"
            }
        };
        console.note(format!(
            "protocol: {vectors}, teacher; {epochs} epochs of SGD, momentum 0.9, cosine, batches of {batch_size}; \
             {crops}; best is chosen on the test images"
        ));
        let best = order[0];
        let record = json!({
            "checkpoint": opened.path, "step": opened.step, "features": vectors,
            "train_images": train_images, "test_images": test_images, "epochs": epochs, "epochs_done": done,
            "batch_size": batch_size, "augment": augment, "seed": self.seed, "top1": best.best,
            "last": best.last, "rate": best.rate, "rates": sweep.outcomes(),
        });
        console.event("linear", &record);
    }
}

/// Prints the best rates, of all in this order.
fn print_rates(order: &[&Outcome], console: &mut Console) {
    console.text(format!(
        "{:>8}{:>12}{:>8}{:>12}{:>12}",
        "rate", "best top-1", "epoch", "last top-1", "last top-5"
    ));
    for Outcome { rate, last, last_top5, best, best_epoch } in order.iter().take(ROWS) {
        let rate = report::number::short(*rate);
        console.text(format!("{rate:>8}{best:>12.2}{best_epoch:>8}{last:>12.2}{last_top5:>12.2}"));
    }
    if order.len() > ROWS {
        console.note(format!("{} more rates are in `--json`", order.len() - ROWS));
    }
}
