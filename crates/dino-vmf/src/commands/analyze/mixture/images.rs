//! The mixture of images: assigns \[CLS\] tokens to components and measures k-NN accuracy.

use anyhow::Result;
use dino::evaluation::open_labelled;
use probe::analysis::mixture::{Labels, Mixture};
use probe::sets::own_copies;
use probe::{Error, Extracted, Features, Kind, Matrix, Pass, Progress, Subset, Views, Wanted, knn};

use super::components::{AssignmentFlags, PrototypeSet, TemperedComponents};
use super::record::{Analysis, NEAREST, Unit};
use crate::commands::analyze::subject::{Input, image_progress};
use crate::commands::own_neighbors::Sought;
use crate::console::Console;

/// Settings of k-NN, the defaults of `eval knn`.
const NEIGHBORS: usize = 20;
const VOTE_TEMPERATURE: f64 = 0.07;
/// The vectors that are assigned, and the features that k-NN compares.
const WANTED: [Wanted; 2] =
    [Wanted { kind: Kind::Bottleneck, unit: false }, Wanted { kind: Kind::Cls, unit: true }];

/// Vectors of the images that could be read.
struct Vectors {
    bottleneck: Matrix,
    features: Features,
    /// Indices of these images in the source.
    indices: Vec<usize>,
}

/// Assigns the images. k-NN votes come from the source `train`, or else from the other images.
///
/// # Errors
/// Too many images cannot be read, a feature is not finite, or `train` has other classes than the images.
pub(super) fn analyze<'a>(
    input: &Input<'_>,
    flags: &AssignmentFlags,
    train: Option<&'a str>,
    console: &mut Console,
) -> Result<Analysis<'a>> {
    let (checkpoint, head) = (&input.checkpoint, input.head()?);
    let (vectors, voters) = extract(input, train, console)?;
    let Vectors { bottleneck, features, indices } = vectors;
    let set = PrototypeSet {
        prototypes: checkpoint.network.head.prototypes,
        teacher_temperature: checkpoint.config.objective.teacher_temp,
        teacher_center: head.center.as_ref(),
    };
    let TemperedComponents { components, temperature, centered } = flags.components(input, set)?;
    let assignments = components.assign(&bottleneck, NEAREST);
    let labelled = input.images.is_labelled();
    let others = indices.len().saturating_sub(1);
    let count = voters.as_ref().map_or(others, |voters| voters.labels.len());
    let labels = labelled.then(|| labels(features, voters));
    let mut mixture = Mixture::new(&components, &assignments, labels.as_ref());
    mixture.locate(&indices, None);
    Ok(Analysis {
        assigned: Unit::Images,
        images_read: indices.len(),
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
) -> Result<(Vectors, Option<Features>)> {
    let voters = train.map(|train| open_voters(input, train, console)).transpose()?;
    if voters.is_none() && input.images.is_labelled() {
        own_copies(&input.images).iter().for_each(|text| console.warn(text));
    }
    let total = input.images.len() + voters.as_ref().map_or(0, Subset::len);
    let (encoder, pass) = (input.encoder(), input.pass(Views::Square));
    input.require_memory(total, pass.values_of_image(&[&encoder], &WANTED))?;
    let mut report = image_progress(console, "assigning");
    let progress = &mut Progress::new(total, &mut report);
    let mut left_out = Vec::new();
    let mut extract = |images| -> Result<Vectors> {
        let pass = Pass { images, ..pass };
        let Extracted { features, passed } = pass.extract(&[&encoder], &WANTED, progress)?;
        passed.require_finite()?;
        left_out.extend(passed.left_out);
        let mut features = features.into_iter().flatten();
        let mut next = || features.next().unwrap_or_default();
        Ok(Vectors { bottleneck: next().rows, features: next(), indices: passed.indices })
    };
    let vectors = extract(&input.images)?;
    let voters = match &voters {
        Some(voters) => Some(extract(voters)?.features),
        None => None,
    };
    drop(report);
    console.end_progress();
    left_out.iter().for_each(|text| console.warn(text));
    Ok((vectors, voters))
}

/// Opens the images of `--train`.
fn open_voters(input: &Input<'_>, train: &str, console: &mut Console) -> Result<Subset> {
    let Input { subject, checkpoint, images, .. } = input;
    if !images.is_labelled() {
        return Err(Error::NoLabels { data: subject.data.clone() }.into());
    }
    let dataset = open_labelled(&checkpoint.config.data, train)?;
    multicrop::same_classes(dataset.as_ref(), images.dataset())?;
    let voters = Subset::labelled(dataset, Some(subject.max_images()), 1);
    voters.notes().iter().for_each(|text| console.warn(text));
    let advice = "leave `--train` out to let the other images vote";
    Sought { images, source: &subject.data, train: &voters, advice }.check(console)?;
    Ok(voters)
}

/// Labels of the images, and whether k-NN predicts each correctly: from the voters, or from the other
/// images.
fn labels(images: Features, voters: Option<Features>) -> Labels {
    let correct = match voters {
        Some(voters) => knn::correct(&voters, &images, NEIGHBORS, VOTE_TEMPERATURE),
        None => knn::leave_one_out(&images, NEIGHBORS, VOTE_TEMPERATURE),
    };
    Labels { labels: images.labels, correct: Some(correct) }
}
