//! `dino-vmf eval fewshot`: classification with few labelled images of each class.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use probe::Size;
use probe::fewshot::{self, Shots};
use report::number::{counted, short};
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::viewing::Viewing;
use super::beside;
use super::labelled::{Inputs, Labelled, Needs, Vectors, show_fits};
use crate::console::Console;

/// Classify with few labelled images of each class
///
/// Draws 1, 2 and 5 images of each class and 1 % of them, fits a logistic regression to each draw, and classifies
/// all test images; mean and standard deviation over several draws. This is MSN's protocol. MSN takes the CLS
/// token before the final norm, this program after it.
///
/// Example: dino-vmf eval fewshot runs/a --data photos/ --shots 1,5,25
#[derive(Debug, Args)]
pub(crate) struct FewShot {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    images: Labelled,
    /// Features of an image
    #[arg(long, value_name = "VECTORS", default_value = "cls")]
    features: Vectors,
    /// Images of each class, or a share of them such as `1%`; each gets a row
    #[arg(long, value_name = "N,N%", value_delimiter = ',', default_value = "1,2,5,1%")]
    #[arg(allow_negative_numbers = true)]
    shots: Vec<Wish>,
    /// Draws of images; 3 is common
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    #[arg(allow_negative_numbers = true)]
    draws: u64,
    /// Decides the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    viewing: Viewing,
}

/// A value of `--shots`, as it was written.
#[derive(Debug, Clone)]
struct Wish {
    text: String,
    shots: Shots,
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is neither a number of images from 1 on nor a share such as `1%`");
        let shots = match text.strip_suffix('%') {
            None => text.parse().ok().filter(|count| *count > 0).map(Shots::PerClass),
            Some(share) => {
                let share =
                    share.trim().parse().ok().filter(|share| *share > 0.0 && *share <= 100.0);
                share.map(|share: f64| Shots::Share(share / 100.0))
            }
        };
        Ok(Self { text: text.to_owned(), shots: shots.ok_or_else(wrong)? })
    }
}

impl FewShot {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        // All training images may be drawn.
        let beside = |size: Size| beside::logistic(size, size.train);
        let needs = Needs { vectors: self.features, images_of_class: 1, beside: &beside };
        let mut inputs = self.images.features(&mut opened, &needs, console)?;
        self.warn_of_small_classes(&inputs, console);
        fewshot::prepare(&mut inputs.train.rows)?;
        fewshot::prepare(&mut inputs.test.rows)?;
        let Inputs { train, test, classes, vectors } = &inputs;
        let (images, tests) = (train.labels.len(), test.labels.len());
        console.text(format!(
            "few-shot, percent of {tests} test images; drawn from {images} training images"
        ));
        console.text(format!("{:>8}{:>10}{:>10}{:>14}", "shots", "images", "top-1", "deviation"));
        for (done, Wish { text, shots }) in self.shots.iter().enumerate() {
            let draws = (self.draws, self.seed);
            let found = fewshot::score(train, test, *classes, *shots, draws, &mut || {
                show_fits(console, "shots", done, self.shots.len());
                Ok(())
            })?;
            console.end_progress();
            let fewshot::FewShot { images, top1, mean, deviation, not_converged } = &found;
            if *not_converged > 0 {
                let fits = counted(*not_converged, "fit");
                console.warn(format!("{fits} of {text} ended before the optimum"));
            }
            let spread = deviation.map_or("-".to_owned(), short);
            console.text(format!("{text:>8}{images:>10}{mean:>10.2}{spread:>14}"));
            let record = json!({
                "checkpoint": opened.path, "step": opened.step, "features": vectors, "shots": text,
                "images": images, "test_images": tests, "draws": top1, "seed": self.seed, "top1": mean,
                "deviation": deviation, "not_converged": not_converged,
            });
            console.event("fewshot", &record);
        }
        console.note(format!(
            "protocol: MSN's with {vectors} after the final norm, teacher; rows centered and of unit length; \
             {} draws",
            self.draws
        ));
        Ok(())
    }

    /// Says how many classes have fewer images than are drawn.
    fn warn_of_small_classes(&self, inputs: &Inputs, console: &mut Console) {
        let mut images = vec![0usize; inputs.classes];
        inputs.train.labels.iter().for_each(|&label| images[label as usize] += 1);
        for Wish { text, shots } in &self.shots {
            let Shots::PerClass(count) = *shots else { continue };
            let small = images.iter().filter(|&&images| images > 0 && images < count).count();
            if small > 0 {
                let classes = counted(small, "class");
                let cause = if self.images.limits_training() {
                    " among those of `--max-train`"
                } else {
                    ""
                };
                console.warn(format!(
                    "{classes} with fewer than {text} training images{cause}: all that there are of it are drawn"
                ));
            }
        }
    }
}
