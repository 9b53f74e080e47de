//! The mixture of patches: assigns patch tokens to the patch prototypes of iBOT.

use anyhow::Result;
use dino::error::Error;
use dino::open::TrainedHead;
use probe::analysis::assignment::Assigner;
use probe::analysis::mixture::{Labels, Mixture};
use probe::{Kind, Progress, Views};

use super::components::{AssignmentFlags, PrototypeSet, TemperedComponents};
use super::record::{Analysis, NEAREST, Unit};
use crate::commands::analyze::subject::{Input, image_progress};
use crate::console::Console;

/// Assigns the patches of the images, batch by batch. A patch has the label of its image.
///
/// # Errors
/// Too many images cannot be read, a vector is not finite, or the run has not trained patch prototypes.
pub(super) fn analyze<'a>(
    input: &Input<'_>,
    flags: &AssignmentFlags,
    console: &mut Console,
) -> Result<Analysis<'a>> {
    let head = input.head()?;
    require_patch_loss(input, head)?;
    let Input { checkpoint, images, preprocess, .. } = input;
    let set = PrototypeSet {
        prototypes: checkpoint.network.head.patch_prototypes,
        teacher_temperature: checkpoint.config.objective.patch_temp,
        teacher_center: head.patch_center.as_ref(),
    };
    let TemperedComponents { components, temperature, centered } = flags.components(input, set)?;
    let side = preprocess.view.crop as usize / checkpoint.config.model.patch_size;
    let patches_per_image = side * side;
    // Of each patch, its component, the entropy and the label stay in memory.
    input.require_memory(images.len(), 5 * patches_per_image)?;
    let mut assigner = Assigner::new(&components, NEAREST);
    let passed = input.pass(Views::Square).for_each_batch(
        &[&input.encoder()],
        &[Kind::PatchBottleneck],
        &mut Progress::new(images.len(), &mut image_progress(console, "assigning patches")),
        &mut |chunk| assigner.add(chunk.rows),
    )?;
    console.end_progress();
    passed.require_finite()?;
    passed.left_out.iter().for_each(|text| console.warn(text));
    let labels = images.is_labelled().then(|| {
        let labels = images.labels_of(&passed.indices).into_iter();
        let labels = labels.flat_map(|label| std::iter::repeat_n(label, patches_per_image));
        Labels { labels: labels.collect(), correct: None }
    });
    let mut mixture = Mixture::new(&components, &assigner.finish(), labels.as_ref());
    mixture.locate(&passed.indices, Some(patches_per_image));
    Ok(Analysis {
        assigned: Unit::Patches,
        images_read: passed.indices.len(),
        patch_grid: Some(side),
        dimensions: components.directions.width,
        temperature,
        centered,
        voters: None,
        neighbors: None,
        mixture,
    })
}

/// Refuses a run whose loss compared no patches with prototypes.
fn require_patch_loss(input: &Input<'_>, head: &TrainedHead) -> Result<(), Error> {
    let settings = &input.checkpoint.config.objective;
    let reason = match (&head.patch_center, settings.lambda_patch) {
        (None, _) => "its method masks none",
        (Some(_), 0.0) => "its loss gives them no weight (`objective.lambda_patch` is 0)",
        (Some(_), _) => return Ok(()),
    };
    let path = input.subject.path().to_owned();
    Err(Error::NoPatches { path, reason: reason.to_owned() })
}
