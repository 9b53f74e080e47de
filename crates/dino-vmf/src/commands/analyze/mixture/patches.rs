//! The mixture of patches: each is assigned by its own token, and has the label of its image.

use anyhow::Result;
use dino::analysis::assignment::Assigner;
use dino::analysis::mixture::{Labels, Mixture as Report};
use dino::error::Error;
use dino::probe::{Kind, Progress, Views};

use super::super::{Loaded, shown};
use super::{Assigned, Assigning, Assignment, Mixture, NEAREST};
use crate::console::Console;

impl Mixture {
    /// Assigns the patches of images, one batch after the other. Returns how many images could be read,
    /// too.
    pub(super) fn of_patches<'a>(
        &'a self,
        loaded: &Loaded,
        console: &mut Console,
    ) -> Result<(usize, Assignment<'a>)> {
        self.check_patches(loaded)?;
        let Loaded { checkpoint, images, preprocess, .. } = loaded;
        let teacher = (checkpoint.config.objective.patch_temp, checkpoint.patch_center.as_ref());
        let Assigning { components, temperature, centered } =
            self.components(loaded, checkpoint.network.head.patch_prototypes, teacher);
        let mut assigner = Assigner::new(&components, NEAREST);
        let passed = loaded.pass(Views::Square).for_each_batch(
            &[&loaded.encoder()],
            &[Kind::PatchBottleneck],
            &mut Progress::new(images.len(), &mut shown(console, "assigning patches")),
            &mut |chunk| assigner.add(chunk.rows),
        )?;
        console.end_progress();
        passed.require_finite()?;
        passed.left_out.iter().for_each(|text| console.warn(text));
        let side = preprocess.view.crop as usize / checkpoint.config.model.patch_size;
        let of_image = side * side;
        let labels = images.is_labelled().then(|| {
            let labels = images.labels_of(&passed.indices).into_iter();
            let labels = labels.flat_map(|label| std::iter::repeat_n(label, of_image)).collect();
            Labels { labels, correct: None }
        });
        let mut mixture = Report::new(&components, &assigner.finish(), labels.as_ref());
        mixture.locate(&passed.indices, Some(of_image));
        let result = Assignment {
            assigned: Assigned::Patches,
            patch_grid: Some(side),
            dimensions: components.directions.width,
            temperature,
            centered,
            voters: None,
            neighbors: None,
            mixture,
        };
        Ok((passed.indices.len(), result))
    }

    /// Refuses a run that compared no patches with prototypes.
    fn check_patches(&self, loaded: &Loaded) -> Result<(), Error> {
        let settings = &loaded.checkpoint.config.objective;
        let reason = match (&loaded.checkpoint.patch_center, settings.lambda_patch) {
            (None, _) => "its method masks none",
            (Some(_), 0.0) => "its loss gives them no weight (`objective.lambda_patch` is 0)",
            (Some(_), _) => return Ok(()),
        };
        let path = self.subject.checkpoint.clone();
        Err(Error::NoPatches { path, reason: reason.to_owned() })
    }
}
