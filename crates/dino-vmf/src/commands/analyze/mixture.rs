//! `dino-vmf analyze mixture`: what the prototypes have become.

mod browser;
mod gallery;
mod html;
mod plots;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::analysis::assignment::Components;
use dino::analysis::mixture::{self, Labels};
use dino::analysis::vectors::{Networks, Rows, Vectors};
use dino::error::Error;
use dino::eval::features::open_labelled;
use dino::eval::images::Selection;
use dino::eval::knn::{self, Labelled};
use dino::objective::Center;
use serde::Serialize;

use super::page::{check_file, write_file};
use super::{Opened, Subject, Which, counted};
use crate::console::Console;

/// Images that are kept for each prototype.
const NEAREST: usize = 8;
/// k-NN as `eval knn` reports it.
const NEIGHBORS: usize = 20;
const VOTE_TEMPERATURE: f64 = 0.07;

/// Look into the mixture: prototypes in use, copies, kappa, entropies, agreement with labels
///
/// Every image is assigned to the components of the mixture as the network does it in training, but
/// seen as in evaluation: whole, without augmentation. Told are the prototypes in use and the unique
/// ones, the distribution of kappa, entropies of the assignments, and, if the images have labels, how
/// well components agree with them and whether images of components with a large kappa are easier for
/// k-NN. `--html` writes a page with plots, a table of all prototypes and their nearest images.
///
/// With `--json` the result is one line, an object with `"event":"mixture"`; `nearest` there are
/// places of images in the source. docs/analysis.md explains each number.
///
/// Example: dino-vmf analyze mixture --checkpoint runs/a --data photos:test --html mixture.html
#[derive(Debug, Args)]
pub(crate) struct Mixture {
    #[command(flatten)]
    subject: Subject,
    /// Labelled images that vote in k-NN, at most as many; the others of `--data` if not given
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
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
    dimensions: usize,
    temperature: f64,
    centered: bool,
    /// Who votes in k-NN; nobody without labels.
    voters: Option<&'a str>,
    #[serde(flatten)]
    mixture: mixture::Mixture,
}

impl Mixture {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_file)?;
        let opened = self.subject.open()?;
        let found = self.find(&opened, console)?;
        let subject = self.subject.describe(&opened);
        text::show(&subject, &found, console);
        console.event("mixture", &found);
        if let Some(path) = &self.html {
            let shown = self.html_prototypes as usize;
            let gallery = gallery::Gallery::new(&found, &opened, shown)?;
            write_file(path, &html::page(&subject, &found, &gallery), console)?;
        }
        Ok(())
    }

    fn find<'a>(&'a self, opened: &'a Opened, console: &mut Console) -> Result<Found<'a>> {
        let Opened { trained, images, which, .. } = opened;
        let (vectors, voters) = self.see(opened, console)?;
        let (temperature, center) = self.assigning(opened);
        let components = Components::new(
            &trained.objective,
            trained.network.head.prototypes,
            opened.params(),
            temperature,
            center,
        );
        let mut assignments = components.assign(&vectors.bottleneck, NEAREST);
        for place in assignments.nearest.iter_mut().flatten() {
            *place = images.indices()[*place as usize] as u32;
        }
        let dataset = images.dataset();
        let labelled = !dataset.classes().is_empty();
        let labels = labelled.then(|| labels(bank(vectors.features, images), voters));
        Ok(Found {
            checkpoint: self.subject.checkpoint.display().to_string(),
            step: trained.step,
            network: *which,
            data: dataset.describe(),
            classes: dataset.classes(),
            dimensions: components.directions.width,
            temperature,
            centered: center.is_some(),
            voters: labelled.then(|| self.train.as_deref().unwrap_or("leave one out")),
            mixture: mixture::Mixture::new(&components, &assignments, labels.as_ref()),
        })
    }

    /// Vectors of the images, and the features that vote if there is `--train`.
    fn see(&self, opened: &Opened, console: &mut Console) -> Result<(Vectors, Option<Labelled>)> {
        let Opened { trained, images, viewer, .. } = opened;
        let voters = self.voters(images)?;
        let total = images.len() + voters.as_ref().map_or(0, Selection::len);
        let networks = Networks { network: &trained.network, params: &[opened.params()] };
        let mut progress = counted(console, "assigning", total);
        let mut see = |images: &Selection| -> Result<Vectors> {
            let vectors = networks.see(images, viewer, &mut progress)?;
            Ok(vectors.into_iter().next().unwrap_or_default())
        };
        let vectors = see(images)?;
        let voters = match &voters {
            Some(voters) => Some(bank(see(voters)?.features, voters)),
            None => None,
        };
        drop(progress);
        console.end_progress();
        Ok((vectors, voters))
    }

    /// Temperature and center of the assignments.
    fn assigning<'a>(&self, opened: &'a Opened) -> (f64, Option<&'a Center>) {
        let settings = &opened.trained.config.objective;
        let (own, center) = match opened.which {
            Which::Teacher => (settings.teacher_temp, Some(&opened.trained.center)),
            Which::Student => (settings.student_temp, None),
        };
        (self.temperature.unwrap_or(own), center.filter(|_| !self.no_center))
    }

    /// The images of `--train`.
    fn voters(&self, images: &Selection) -> Result<Option<Selection>> {
        let Some(train) = &self.train else { return Ok(None) };
        if images.dataset().classes().is_empty() {
            return Err(Error::NoLabels { data: self.subject.data.clone() }.into());
        }
        let dataset = open_labelled(train)?;
        multicrop::same_classes(dataset.as_ref(), images.dataset())?;
        Ok(Some(Selection::new(dataset, Some(self.subject.most()), 1)))
    }
}

/// Features with labels, ready for k-NN.
fn bank(features: Rows, images: &Selection) -> Labelled {
    let Rows { values, width } = features;
    let mut bank = Labelled { rows: values, width, labels: images.labels() };
    bank.normalize();
    bank
}

/// Labels of images, and whether k-NN finds them: among voters, or else among the other images.
fn labels(images: Labelled, voters: Option<Labelled>) -> Labels {
    let right = match voters {
        Some(voters) => knn::right(&voters, &images, NEIGHBORS, VOTE_TEMPERATURE),
        None => knn::leave_one_out(&images, NEIGHBORS, VOTE_TEMPERATURE),
    };
    Labels { labels: images.labels, right }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
    number.ok_or_else(|| "must be a number above 0".to_owned())
}
