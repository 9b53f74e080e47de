//! The mixture of images: assigns [CLS] tokens to components and measures k-NN accuracy.

use anyhow::Result;
use dino::analysis::mixture::{Labels, Mixture};
use dino::analysis::vectors::{Networks, Rows, Vectors};
use dino::error::Error;
use dino::eval::features::open_labelled;
use dino::eval::images::Selection;
use dino::eval::knn::{self, Labelled};

use super::components::{AssignmentFlags, PrototypeSet, TemperedComponents};
use super::record::{Analysis, NEAREST, Unit};
use crate::commands::analyze::subject::{Input, image_progress};
use crate::console::Console;

/// Settings of k-NN, the defaults of `eval knn`.
const NEIGHBORS: usize = 20;
const VOTE_TEMPERATURE: f64 = 0.07;

/// Assigns the images. k-NN votes come from the source `train`, or else from the other images.
///
/// # Errors
/// An image cannot be read, or `train` has other classes than the images.
pub(super) fn analyze<'a>(
    input: &Input<'_>,
    flags: &AssignmentFlags,
    train: Option<&'a str>,
    console: &mut Console,
) -> Result<Analysis<'a>> {
    let Input { trained, images, .. } = input;
    let (vectors, voters) = extract(input, train, console)?;
    let set = PrototypeSet {
        prototypes: trained.network.head.prototypes,
        teacher_temperature: trained.config.objective.teacher_temp,
        teacher_center: Some(&trained.center),
    };
    let TemperedComponents { components, temperature, centered } = flags.components(input, set);
    let assignments = components.assign(&vectors.bottleneck, NEAREST);
    let labelled = !images.dataset().classes().is_empty();
    let others = images.len().saturating_sub(1);
    let count = voters.as_ref().map_or(others, |voters| voters.labels.len());
    let labels = labelled.then(|| labels(bank(vectors.features, images), voters));
    let mut mixture = Mixture::new(&components, &assignments, labels.as_ref());
    mixture.locate(images.indices(), None);
    Ok(Analysis {
        assigned: Unit::Images,
        patch_grid: None,
        dimensions: components.directions.width,
        temperature,
        centered,
        neighbors: labelled.then(|| NEIGHBORS.min(count)),
        voters: labelled.then(|| train.unwrap_or("leave one out")),
        mixture,
    })
}

/// Vectors of the images, and labelled features of the images of `train`.
fn extract(
    input: &Input<'_>,
    train: Option<&str>,
    console: &mut Console,
) -> Result<(Vectors, Option<Labelled>)> {
    let Input { trained, images, viewer, .. } = input;
    let voters = train.map(|train| open_voters(input, train, console)).transpose()?;
    let total = images.len() + voters.as_ref().map_or(0, Selection::len);
    let networks = Networks { network: &trained.network, params: &[input.params()] };
    let mut progress = image_progress(console, "assigning", total);
    let mut extract = |images: &Selection| -> Result<Vectors> {
        let vectors = networks.see(images, viewer, &mut progress)?;
        Ok(vectors.into_iter().next().unwrap_or_default())
    };
    let vectors = extract(images)?;
    let voters = match &voters {
        Some(voters) => Some(bank(extract(voters)?.features, voters)),
        None => None,
    };
    drop(progress);
    console.end_progress();
    Ok((vectors, voters))
}

/// Opens the images of `--train`.
fn open_voters(input: &Input<'_>, train: &str, console: &mut Console) -> Result<Selection> {
    let Input { subject, trained, images, .. } = input;
    if images.dataset().classes().is_empty() {
        return Err(Error::NoLabels { data: subject.data.clone() }.into());
    }
    let dataset = open_labelled(&trained.config.data, train)?;
    multicrop::same_classes(dataset.as_ref(), images.dataset())?;
    let voters = Selection::labelled(dataset, Some(subject.max_images()), 1);
    voters.notes().iter().for_each(|text| console.warn(text));
    Ok(voters)
}

/// Normalized features with labels, for k-NN.
fn bank(features: Rows, images: &Selection) -> Labelled {
    let Rows { values, width } = features;
    let mut bank = Labelled { rows: values, width, labels: images.labels() };
    bank.normalize();
    bank
}

/// Labels of the images, and whether k-NN predicts each correctly: from the voters, or from the other
/// images.
fn labels(images: Labelled, voters: Option<Labelled>) -> Labels {
    let right = match voters {
        Some(voters) => knn::right(&voters, &images, NEIGHBORS, VOTE_TEMPERATURE),
        None => knn::leave_one_out(&images, NEIGHBORS, VOTE_TEMPERATURE),
    };
    Labels { labels: images.labels, right: Some(right) }
}
