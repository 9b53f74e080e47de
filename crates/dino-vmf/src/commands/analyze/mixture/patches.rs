//! The mixture of patches: assigns patch tokens to the patch prototypes of iBOT.

use anyhow::Result;
use dino::analysis::assignment::Assigner;
use dino::analysis::mixture::{Labels, Mixture};
use dino::analysis::vectors::see_patches;
use dino::error::Error;

use super::components::{AssignmentFlags, PrototypeSet, TemperedComponents};
use super::record::{Analysis, NEAREST, Unit};
use crate::commands::analyze::subject::{Input, image_progress};
use crate::console::Console;

/// Assigns the patches of the images, batch by batch. A patch has the label of its image.
///
/// # Errors
/// An image cannot be read, or the run has not trained patch prototypes.
pub(super) fn analyze<'a>(
    input: &Input<'_>,
    flags: &AssignmentFlags,
    console: &mut Console,
) -> Result<Analysis<'a>> {
    require_patch_loss(input)?;
    let Input { trained, images, viewer, .. } = input;
    let set = PrototypeSet {
        prototypes: trained.network.head.patch_prototypes,
        teacher_temperature: trained.config.objective.patch_temp,
        teacher_center: trained.patch_center.as_ref(),
    };
    let TemperedComponents { components, temperature, centered } = flags.components(input, set);
    let mut assigner = Assigner::new(&components, NEAREST);
    see_patches(
        (&trained.network, input.params()),
        (images, viewer),
        &mut |patches| assigner.add(patches),
        &mut image_progress(console, "assigning patches", images.len()),
    )?;
    console.end_progress();
    let side = viewer.view.crop as usize / trained.config.model.patch_size;
    let patches_per_image = side * side;
    let labelled = !images.dataset().classes().is_empty();
    let labels = labelled.then(|| {
        let labels = images.labels().into_iter();
        let labels = labels.flat_map(|label| std::iter::repeat_n(label, patches_per_image));
        Labels { labels: labels.collect(), right: None }
    });
    let mut mixture = Mixture::new(&components, &assigner.finish(), labels.as_ref());
    mixture.locate(images.indices(), Some(patches_per_image));
    Ok(Analysis {
        assigned: Unit::Patches,
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
fn require_patch_loss(input: &Input<'_>) -> Result<(), Error> {
    let settings = &input.trained.config.objective;
    let reason = match (&input.trained.patch_center, settings.lambda_patch) {
        (None, _) => "its method masks none",
        (Some(_), 0.0) => "its loss gives them no weight (`objective.lambda_patch` is 0)",
        (Some(_), _) => return Ok(()),
    };
    let path = input.subject.checkpoint.clone();
    Err(Error::NoPatches { path, reason: reason.to_owned() })
}
