//! `dino-vmf analyze mixture`: the mixture of von Mises-Fisher distributions that the prototypes define.

mod components;
mod figures;
mod gallery;
mod images;
mod page;
mod patches;
mod prototypes;
mod record;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};

use super::subject::Subject;
use crate::commands::page_file::{check_page, write_file};
use crate::console::Console;
use components::AssignmentFlags;
use gallery::Gallery;
use record::Record;

/// Analyze the mixture: prototypes in use, near-duplicates, kappa, entropies, agreement with labels
///
/// Assigns every image to the components of the mixture as the network does in training, but sees the image
/// as evaluations do: whole, without augmentation. Reports which prototypes are in use and how many are
/// unique, the distribution of kappa (the concentration), and the entropies of the assignments. If the
/// images have labels, it also reports how well components agree with them, and whether k-NN is more
/// accurate on images of components with a large kappa. `--html` writes a page with plots and a table of
/// all prototypes with their nearest images.
///
/// `--patches` does the same for the patches of the images and the patch prototypes of iBOT. Every patch is
/// assigned and has the label of its image. There is no k-NN of patches.
///
/// `--json` prints one line: an object with `"event":"mixture"`. In it, `nearest` lists indices of images in
/// the source, `nearest_patches` lists indices of patches in these images, row by row, and each `images` is
/// a count of what `assigned` names. docs/analysis.md explains each value.
///
/// Example: dino-vmf analyze mixture runs/a --data photos:test --html mixture.html
#[derive(Debug, Args)]
pub(crate) struct Mixture {
    #[command(flatten)]
    subject: Subject,
    /// Analyze the mixture of patches, for runs of `ibot` and `ibot-vmf`
    ///
    /// An image has hundreds of patches, so start with a small `--max-images`, such as 500.
    #[arg(long)]
    patches: bool,
    /// Labelled images that vote in k-NN, at most `--max-images`; by default the other images of `--data`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, conflicts_with = "patches")]
    train: Option<String>,
    #[command(flatten)]
    assignment: AssignmentFlags,
    /// Write a page to this file; it needs no other file and no network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// Show the nearest images of N prototypes on the page, those with the largest mass
    ///
    /// Each prototype adds at most 8 images, which take up to about 20 kB.
    #[arg(long, value_name = "N", default_value_t = 200, requires = "html")]
    #[arg(allow_negative_numbers = true)]
    html_prototypes: u32,
}

impl Mixture {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_page)?;
        let input = self.subject.open(true, console)?;
        let analysis = match self.patches {
            true => patches::analyze(&input, &self.assignment, console)?,
            false => images::analyze(&input, &self.assignment, self.train.as_deref(), console)?,
        };
        let record = Record {
            checkpoint: self.subject.path().display().to_string(),
            step: input.checkpoint.step,
            network: input.network(),
            data: input.images.dataset().describe(),
            classes: input.images.dataset().classes(),
            analysis,
        };
        let subject = input.describe(record.analysis.images_read);
        text::print(&subject, &record, console);
        console.event("mixture", &record);
        if let Some(path) = &self.html {
            let gallery = Gallery::read(&record, &input, self.html_prototypes as usize)?;
            write_file(path, &page::new(&subject, &record, &gallery), console)?;
        }
        Ok(())
    }
}
