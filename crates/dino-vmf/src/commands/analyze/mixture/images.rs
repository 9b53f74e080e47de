//! The mixture of images: each is assigned by its class token, and k-NN judges its features.

use anyhow::Result;
use dino::analysis::mixture::{Labels, Mixture as Report};
use dino::error::Error;
use dino::matrix::Matrix;
use dino::probe::{
    Extracted, Features, Kind, Pass, Progress, Subset, Views, Wanted, knn, open_labelled,
};

use super::super::{Loaded, shown};
use super::{Assigned, Assigning, Assignment, Mixture, NEAREST};
use crate::console::Console;

/// k-NN as `eval knn` reports it.
const NEIGHBORS: usize = 20;
const VOTE_TEMPERATURE: f64 = 0.07;
/// The head's vectors are assigned; k-NN judges the backbone's features.
const WANTED: [Wanted; 2] =
    [Wanted { kind: Kind::Bottleneck, unit: false }, Wanted { kind: Kind::Cls, unit: true }];

/// What the network makes of images.
struct Vectors {
    bottleneck: Matrix,
    features: Features,
    /// Places in the source of the images that could be read.
    indices: Vec<usize>,
}

impl Mixture {
    /// Assigns images. Returns how many could be read, too.
    pub(super) fn of_images<'a>(
        &'a self,
        loaded: &Loaded,
        console: &mut Console,
    ) -> Result<(usize, Assignment<'a>)> {
        let Loaded { checkpoint, images, .. } = loaded;
        let (vectors, voters) = self.extract(loaded, console)?;
        let Vectors { bottleneck, features, indices } = vectors;
        let teacher = (checkpoint.config.objective.teacher_temp, Some(&checkpoint.center));
        let Assigning { components, temperature, centered } =
            self.components(loaded, checkpoint.network.head.prototypes, teacher);
        let assignments = components.assign(&bottleneck, NEAREST);
        let labelled = images.is_labelled();
        let others = indices.len().saturating_sub(1);
        let count = voters.as_ref().map_or(others, |voters| voters.labels.len());
        let labels = labelled.then(|| labels(features, voters));
        let mut mixture = Report::new(&components, &assignments, labels.as_ref());
        mixture.locate(&indices, None);
        let result = Assignment {
            assigned: Assigned::Images,
            patch_grid: None,
            dimensions: components.directions.width,
            temperature,
            centered,
            neighbors: labelled.then(|| NEIGHBORS.min(count)),
            voters: labelled.then(|| self.train.as_deref().unwrap_or("leave one out")),
            mixture,
        };
        Ok((indices.len(), result))
    }

    /// Vectors of the images, and the features that vote if there is `--train`.
    fn extract(
        &self,
        loaded: &Loaded,
        console: &mut Console,
    ) -> Result<(Vectors, Option<Features>)> {
        let voters = self.voters(loaded, console)?;
        let total = loaded.images.len() + voters.as_ref().map_or(0, Subset::len);
        let mut report = shown(console, "assigning");
        let progress = &mut Progress::new(total, &mut report);
        let mut left_out = Vec::new();
        let mut extract = |images| -> Result<Vectors> {
            let pass = Pass { images, ..loaded.pass(Views::Square) };
            let Extracted { features, passed } =
                pass.extract(&[&loaded.encoder()], &WANTED, progress)?;
            passed.require_finite()?;
            left_out.extend(passed.left_out);
            let mut features = features.into_iter().flatten();
            let mut next = || features.next().unwrap_or_default();
            Ok(Vectors { bottleneck: next().rows, features: next(), indices: passed.indices })
        };
        let vectors = extract(&loaded.images)?;
        let voters = match &voters {
            Some(voters) => Some(extract(voters)?.features),
            None => None,
        };
        drop(report);
        console.end_progress();
        left_out.iter().for_each(|text| console.warn(text));
        Ok((vectors, voters))
    }

    /// The images of `--train`.
    fn voters(&self, loaded: &Loaded, console: &mut Console) -> Result<Option<Subset>> {
        let Some(train) = &self.train else { return Ok(None) };
        let images = &loaded.images;
        if !images.is_labelled() {
            return Err(Error::NoLabels { data: self.subject.data.clone() }.into());
        }
        let dataset = open_labelled(&loaded.checkpoint.config.data, train)?;
        multicrop::same_classes(dataset.as_ref(), images.dataset())?;
        let voters = Subset::labelled(dataset, Some(self.subject.most()), 1);
        voters.notes().iter().for_each(|text| console.warn(text));
        Ok(Some(voters))
    }
}

/// Labels of images, and whether k-NN finds them: among voters, or else among the other images.
fn labels(images: Features, voters: Option<Features>) -> Labels {
    let correct = match voters {
        Some(voters) => knn::correct(&voters, &images, NEIGHBORS, VOTE_TEMPERATURE),
        None => knn::leave_one_out(&images, NEIGHBORS, VOTE_TEMPERATURE),
    };
    Labels { labels: images.labels, correct: Some(correct) }
}
