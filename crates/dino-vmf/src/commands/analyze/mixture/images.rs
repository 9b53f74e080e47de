//! The mixture of images: each is assigned by its class token, and k-NN judges its features.

use anyhow::Result;
use dino::analysis::mixture::{Labels, Mixture as Report};
use dino::analysis::vectors::{Networks, Rows, Vectors};
use dino::error::Error;
use dino::eval::features::open_labelled;
use dino::eval::images::Selection;
use dino::eval::knn::{self, Labelled};

use super::super::{Opened, counted};
use super::{Assigned, Assigning, Mixture, NEAREST, Seen};
use crate::console::Console;

/// k-NN as `eval knn` reports it.
const NEIGHBORS: usize = 20;
const VOTE_TEMPERATURE: f64 = 0.07;

impl Mixture {
    /// Assigns images.
    pub(super) fn of_images<'a>(
        &'a self,
        opened: &Opened,
        console: &mut Console,
    ) -> Result<Seen<'a>> {
        let Opened { trained, images, .. } = opened;
        let (vectors, voters) = self.see(opened, console)?;
        let teacher = (trained.config.objective.teacher_temp, Some(&trained.center));
        let Assigning { components, temperature, centered } =
            self.components(opened, trained.network.head.prototypes, teacher);
        let assignments = components.assign(&vectors.bottleneck, NEAREST);
        let labelled = !images.dataset().classes().is_empty();
        let others = images.len().saturating_sub(1);
        let count = voters.as_ref().map_or(others, |voters| voters.labels.len());
        let labels = labelled.then(|| labels(bank(vectors.features, images), voters));
        let mut mixture = Report::new(&components, &assignments, labels.as_ref());
        mixture.locate(images.indices(), None);
        Ok(Seen {
            assigned: Assigned::Images,
            patch_grid: None,
            dimensions: components.directions.width,
            temperature,
            centered,
            neighbors: labelled.then(|| NEIGHBORS.min(count)),
            voters: labelled.then(|| self.train.as_deref().unwrap_or("leave one out")),
            mixture,
        })
    }

    /// Vectors of the images, and the features that vote if there is `--train`.
    fn see(&self, opened: &Opened, console: &mut Console) -> Result<(Vectors, Option<Labelled>)> {
        let Opened { trained, images, viewer, .. } = opened;
        let voters = self.voters(opened, console)?;
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

    /// The images of `--train`.
    fn voters(&self, opened: &Opened, console: &mut Console) -> Result<Option<Selection>> {
        let Some(train) = &self.train else { return Ok(None) };
        let images = &opened.images;
        if images.dataset().classes().is_empty() {
            return Err(Error::NoLabels { data: self.subject.data.clone() }.into());
        }
        let dataset = open_labelled(&opened.trained.config.data, train)?;
        multicrop::same_classes(dataset.as_ref(), images.dataset())?;
        let voters = Selection::labelled(dataset, Some(self.subject.most()), 1);
        voters.notes().iter().for_each(|text| console.warn(text));
        Ok(Some(voters))
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
    Labels { labels: images.labels, right: Some(right) }
}
