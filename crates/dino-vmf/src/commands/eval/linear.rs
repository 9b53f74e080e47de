//! `dino-vmf eval linear`: linear classifiers on frozen features, by SGD.

use anyhow::{Result, bail};
use clap::Args;
use dino::open::Opened;
use probe::linear::{Outcome, Settings, Sweep};
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::viewing::Viewing;
use super::labelled::{Inputs, Labelled, Needs, Vectors};
use crate::console::{Console, Progress};

/// Rates that the table shows, the best ones.
const ROWS: usize = 5;

/// Train linear classifiers on frozen features, at many learning rates at once
///
/// SGD with momentum 0.9 and a cosine schedule, no weight decay, all rates of iBOT's sweep at once. `best` is the
/// best test accuracy of all epochs, as official codes report it, and so is chosen on the test images; `last`
/// is that of the last epoch.
///
/// Features are computed once, from the center crop. The official probe makes a new random crop of each training
/// image in each epoch, which usually adds some tenths of a percent and takes a forward pass for each.
///
/// Example: dino-vmf eval linear runs/a --data photos/
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
    /// Draws first weights and the order of the images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    viewing: Viewing,
}

impl Linear {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let settings = self.settings()?;
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        let bytes = |width, classes| Sweep::bytes(width, classes, &settings);
        let needs = Needs { vectors: self.features, images_of_class: 1, bytes: &bytes };
        let inputs = self.images.features(&mut opened, &needs, console)?;
        let sweep = train(&inputs, settings, console)?;
        self.print(&opened, &inputs, sweep.outcomes(), console);
        Ok(())
    }

    fn settings(&self) -> Result<Settings> {
        if let Some(rate) = self.rates.iter().find(|rate| !(rate.is_finite() && **rate > 0.0)) {
            bail!("`--rates` has {rate}: give numbers above 0, such as `--rates 0.01,0.1`");
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

    fn print(&self, opened: &Opened, inputs: &Inputs, outcomes: &[Outcome], console: &mut Console) {
        let Inputs { train, test, vectors, .. } = inputs;
        let mut order: Vec<&Outcome> = outcomes.iter().collect();
        order.sort_by(|a, b| b.best.total_cmp(&a.best).then(b.last.total_cmp(&a.last)));
        let (images, tests) = (train.labels.len(), test.labels.len());
        console.text(format!(
            "linear probe, percent of {tests} test images; {images} training images"
        ));
        console.text(format!(
            "{:>8}{:>12}{:>8}{:>12}{:>12}",
            "rate", "best top-1", "epoch", "last top-1", "last top-5"
        ));
        for Outcome { rate, last, last_top5, best, best_epoch } in order.iter().take(ROWS) {
            let rate = report::number::short(*rate);
            console
                .text(format!("{rate:>8}{best:>12.2}{best_epoch:>8}{last:>12.2}{last_top5:>12.2}"));
        }
        if order.len() > ROWS {
            console.note(format!("{} more rates are in `--json`", order.len() - ROWS));
        }
        let Self { epochs, batch_size, .. } = self;
        console.note(format!(
            "protocol: {vectors}, teacher; {epochs} epochs of SGD, momentum 0.9, cosine, batches of {batch_size}; \
             features computed once from the center crop, without the official random crops; best is chosen \
             on the test images"
        ));
        let best = order[0];
        let record = json!({
            "checkpoint": opened.path, "step": opened.step, "features": vectors,
            "train_images": images, "test_images": tests, "epochs": epochs, "batch_size": batch_size,
            "seed": self.seed, "top1": best.best, "last": best.last, "rate": best.rate, "rates": outcomes,
        });
        console.event("linear", &record);
    }
}

/// Trains the classifiers of all rates.
fn train(inputs: &Inputs, settings: Settings, console: &mut Console) -> Result<Sweep> {
    let Inputs { train, test, classes, .. } = inputs;
    let epochs = settings.epochs;
    let mut sweep = Sweep::new(train.rows.width, *classes, settings);
    for epoch in 0..epochs {
        sweep.train(epoch, train, &mut || Ok(()))?;
        sweep.test(epoch, test, &mut || Ok(()))?;
        let best = sweep.outcomes().iter().map(|outcome| outcome.best).fold(0.0, f64::max);
        let (done, total) = (epoch as u64 + 1, epochs as u64);
        let text = format!("  best top-1 {best:.2}");
        console.progress(&Progress { what: "epoch", done, total, text }, false);
    }
    console.end_progress();
    Ok(sweep)
}
