//! `dino-vmf eval logistic`: logistic regression on frozen features, to the optimum.

use anyhow::{Result, bail};
use clap::Args;
use dino::open::Opened;
use probe::Size;
use probe::accuracy::ClassAccuracy;
use probe::logistic::sweep::{self, Chosen};
use report::number::short;
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::viewing::Viewing;
use super::beside;
use super::labelled::{Inputs, Labelled, Needs, Vectors, show_fits};
use crate::console::Console;
use crate::usage::Usage;

/// Fit a logistic regression to frozen features
///
/// Multinomial, L2-regularized, by L-BFGS to the optimum. The regularization is chosen among 45 values on a fifth
/// of the training images; then all training images are fitted, and the test images are classified once. This is
/// how transfer to other data sets is measured.
///
/// Example: dino-vmf eval logistic runs/a --data photos/
#[derive(Debug, Args)]
pub(crate) struct Logistic {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    images: Labelled,
    /// Features of an image
    #[arg(long, value_name = "VECTORS", default_value = "cls")]
    features: Vectors,
    /// Regularization instead of a choice: 1 / C of scikit-learn
    #[arg(long, value_name = "STRENGTH", allow_negative_numbers = true)]
    strength: Option<f64>,
    /// Draws the validation split
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    viewing: Viewing,
}

impl Logistic {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let strengths = match self.strength {
            None => sweep::strengths(),
            Some(strength) if strength.is_finite() && strength >= 0.0 => vec![strength],
            Some(strength) => {
                bail!(Usage(format!("`--strength` is {strength}: give a number of 0 or more")))
            }
        };
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        // A class with one image cannot be fitted and validated.
        let images_of_class = if self.strength.is_some() { 1 } else { 2 };
        let chooses = strengths.len() > 1;
        let beside = |size: Size| beside::logistic(size, if chooses { size.train } else { 0 });
        let needs = Needs { vectors: self.features, images_of_class, beside: &beside };
        let inputs = self.images.features(&mut opened, &needs, console)?;
        let Inputs { train, classes, .. } = &inputs;
        let chosen = sweep::choose(train, *classes, &strengths, self.seed, &mut |done, total| {
            show_fits(console, "fit", done, total);
            Ok(())
        })?;
        console.end_progress();
        self.print(&opened, &inputs, &chosen, console);
        Ok(())
    }

    fn print(&self, opened: &Opened, inputs: &Inputs, chosen: &Chosen, console: &mut Console) {
        let Inputs { train, test, vectors, .. } = inputs;
        let Chosen { fit, strength, validated } = chosen;
        let found = ClassAccuracy::of(&fit.classifier.predict(&test.rows), &test.labels);
        if !fit.converged {
            console.warn(format!(
                "the fit ended at a gradient of {}, not at the optimum",
                short(fit.gradient)
            ));
        }
        let (images, tests) = (train.labels.len(), test.labels.len());
        console.text(format!(
            "logistic regression, percent of {tests} test images; {images} training images"
        ));
        console.text(format!("{:>10}{:>10}{:>16}", "1 / C", "top-1", "mean per class"));
        let ClassAccuracy { top1, mean_per_class } = found;
        console.text(format!("{:>10}{top1:>10.2}{mean_per_class:>16.2}", short(*strength)));
        let choice = match validated.len() {
            0 => "regularization as given".to_owned(),
            count => format!(
                "regularization chosen among {count} values on a fifth of the training images"
            ),
        };
        console.note(format!(
            "protocol: {vectors}, teacher, not normalized; {choice}; refitted on all of them"
        ));
        let record = json!({
            "checkpoint": opened.path, "step": opened.step, "features": vectors, "train_images": images,
            "test_images": tests, "seed": self.seed, "strength": strength, "top1": top1,
            "mean_per_class": mean_per_class, "loss": fit.loss, "gradient": fit.gradient,
            "converged": fit.converged, "validation": validated,
        });
        console.event("logistic", &record);
    }
}
