//! `dino-vmf analyze mixture`: what the prototypes have become.

mod browser;
mod gallery;
mod html;
mod images;
mod patches;
mod plots;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::analysis::assignment::Components;
use dino::analysis::mixture;
use dino::model::Prototypes;
use dino::objective::Center;
use serde::Serialize;

use super::page::{check_file, write_file};
use super::{Loaded, Subject, Which};
use crate::console::Console;

/// Images that are kept for each prototype.
const NEAREST: usize = 8;

/// Look into the mixture: prototypes in use, copies, kappa, entropies, agreement with labels
///
/// Every image is assigned to the components of the mixture as the network does it in training, but
/// preprocessed as in evaluation: whole, without augmentation. Reports how many prototypes are in use and
/// how many are unique, the distribution of kappa and the entropies of the assignments. If the images have
/// labels, it also reports how well components agree with them, and whether k-NN classifies images of
/// components with a large kappa more easily. `--html` writes a page with plots, a table of all prototypes and their nearest images.
///
/// With `--patches`, reports the same for the patches of these images and the prototypes that iBOT has for
/// patches: each patch is assigned, and has the label of its image. There is no k-NN of patches.
///
/// With `--json` the result is one line, an object with `"event":"mixture"`; `nearest` there are
/// places of images in the source, `nearest_patches` the numbers of patches in them, row by row, and
/// every `images` counts what `assigned` says. docs/analysis.md explains each number.
///
/// Example: dino-vmf analyze mixture --checkpoint runs/a --data photos:test --html mixture.html
#[derive(Debug, Args)]
pub(crate) struct Mixture {
    #[command(flatten)]
    subject: Subject,
    /// Look into the mixture of patches, of a run of `ibot` or `ibot-vmf`
    #[arg(long)]
    patches: bool,
    /// Labelled images that vote in k-NN, at most as many; the others of `--data` if not given
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, conflicts_with = "patches")]
    train: Option<String>,
    /// Temperature of the assignments; the network's own at the end of the run if not given
    #[arg(long, value_name = "T", value_parser = positive, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Leave the teacher's center out of the assignments
    #[arg(long)]
    no_center: bool,
    /// Write a page to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// Prototypes whose nearest images are on the page, those with the largest mass
    #[arg(long, value_name = "N", default_value_t = 200, requires = "html")]
    #[arg(allow_negative_numbers = true)]
    html_prototypes: u32,
}

/// The result with its circumstances.
#[derive(Debug, Serialize)]
struct Found<'a> {
    checkpoint: String,
    step: u64,
    network: Which,
    data: String,
    classes: &'a [String],
    /// Images that could be read.
    #[serde(skip)]
    images_read: usize,
    #[serde(flatten)]
    result: Assignment<'a>,
}

/// The mixture of images or of patches, and how it was assigned.
#[derive(Debug, Serialize)]
struct Assignment<'a> {
    /// What belongs to components.
    assigned: Assigned,
    /// Patches on a side of an image, where they are assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_grid: Option<usize>,
    dimensions: usize,
    temperature: f64,
    centered: bool,
    /// The images that vote in k-NN; `None` without labels, or for patches.
    voters: Option<&'a str>,
    /// Number of neighbors that vote for an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbors: Option<usize>,
    #[serde(flatten)]
    mixture: mixture::Mixture,
}

/// What is assigned to components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Assigned {
    Images,
    Patches,
}

impl Assigned {
    /// One of them with its article.
    fn one(self) -> &'static str {
        match self {
            Self::Images => "an image",
            Self::Patches => "a patch",
        }
    }

    /// Several of them.
    fn many(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Patches => "patches",
        }
    }
}

impl Mixture {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_file)?;
        let loaded = self.subject.open(true, console)?;
        let found = self.find(&loaded, console)?;
        let subject = self.subject.describe(&loaded, found.images_read);
        text::show(&subject, &found, console);
        console.event("mixture", &found);
        if let Some(path) = &self.html {
            let shown = self.html_prototypes as usize;
            let gallery = gallery::Gallery::new(&found, &loaded, shown)?;
            write_file(path, &html::page(&subject, &found, &gallery), console)?;
        }
        Ok(())
    }

    fn find<'a>(&'a self, loaded: &'a Loaded, console: &mut Console) -> Result<Found<'a>> {
        let (images_read, assigned) = match self.patches {
            true => self.of_patches(loaded, console)?,
            false => self.of_images(loaded, console)?,
        };
        let Loaded { checkpoint, images, which, .. } = loaded;
        Ok(Found {
            checkpoint: self.subject.checkpoint.display().to_string(),
            step: checkpoint.step,
            network: *which,
            data: images.dataset().describe(),
            classes: images.dataset().classes(),
            images_read,
            result: assigned,
        })
    }

    /// The components of these prototypes, at the temperature of `--temperature` or else the network's own.
    /// For the teacher, the center is applied unless `--no-center` is given.
    fn components(
        &self,
        loaded: &Loaded,
        prototypes: Prototypes,
        (teacher_temp, center): (f64, Option<&Center>),
    ) -> Assigning {
        let Loaded { checkpoint, which, .. } = loaded;
        let (own, center) = match which {
            Which::Teacher => (teacher_temp, center.filter(|_| !self.no_center)),
            Which::Student => (checkpoint.config.objective.student_temp, None),
        };
        let temperature = self.temperature.unwrap_or(own);
        let params = loaded.encoder().params;
        let (g, v) = (params.get(prototypes.g), params.get(prototypes.v));
        let objective = &checkpoint.objective;
        Assigning {
            components: Components::new(objective, g, v, temperature, center),
            temperature,
            centered: center.is_some(),
        }
    }
}

/// A mixture, ready to assign.
struct Assigning {
    components: Components,
    temperature: f64,
    centered: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|x| (1e-3..=1e3).contains(x));
    number.ok_or_else(|| "must be a number above 0, from 0.001 to 1000".to_owned())
}
