//! The mixture of patches: each is assigned by its own token, and has the label of its image.

use anyhow::Result;
use dino::analysis::assignment::Assigner;
use dino::analysis::mixture::{Labels, Mixture as Report};
use dino::analysis::vectors::see_patches;
use dino::error::Error;

use super::super::{Opened, counted};
use super::{Assigned, Assigning, Mixture, NEAREST, Seen};
use crate::console::Console;

impl Mixture {
    /// Assigns the patches of images, one batch after the other.
    pub(super) fn of_patches<'a>(
        &'a self,
        opened: &Opened,
        console: &mut Console,
    ) -> Result<Seen<'a>> {
        self.check_patches(opened)?;
        let Opened { trained, images, viewer, .. } = opened;
        let teacher = (trained.config.objective.patch_temp, trained.patch_center.as_ref());
        let Assigning { components, temperature, centered } =
            self.components(opened, trained.network.head.patch_prototypes, teacher);
        let mut assigner = Assigner::new(&components, NEAREST);
        see_patches(
            (&trained.network, opened.params()),
            (images, viewer),
            &mut |patches| assigner.add(patches),
            &mut counted(console, "assigning patches", images.len()),
        )?;
        console.end_progress();
        let side = viewer.view.crop as usize / trained.config.model.patch_size;
        let of_image = side * side;
        let labelled = !images.dataset().classes().is_empty();
        let labels = labelled.then(|| {
            let labels = images.labels().into_iter();
            let labels = labels.flat_map(|label| std::iter::repeat_n(label, of_image)).collect();
            Labels { labels, right: None }
        });
        let mut mixture = Report::new(&components, &assigner.finish(), labels.as_ref());
        mixture.locate(images.indices(), Some(of_image));
        Ok(Seen {
            assigned: Assigned::Patches,
            patch_grid: Some(side),
            dimensions: components.directions.width,
            temperature,
            centered,
            voters: None,
            neighbors: None,
            mixture,
        })
    }

    /// Refuses a run that compared no patches with prototypes.
    fn check_patches(&self, opened: &Opened) -> Result<(), Error> {
        let settings = &opened.trained.config.objective;
        let reason = match (&opened.trained.patch_center, settings.lambda_patch) {
            (None, _) => "its method masks none",
            (Some(_), 0.0) => "its loss gives them no weight (`objective.lambda_patch` is 0)",
            (Some(_), _) => return Ok(()),
        };
        let path = self.subject.checkpoint.clone();
        Err(Error::NoPatches { path, reason: reason.to_owned() })
    }
}
