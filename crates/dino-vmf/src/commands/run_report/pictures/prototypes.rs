//! The images nearest to the prototypes with the largest mass.

use anyhow::Result;
use dino::{evaluation, memory};
use probe::analysis::assignment::{Assignments, Components};
use probe::{Evaluated, Kind, Pass, Preprocess, Progress, Subset, Views, Wanted};
use report::number::{counted, percent, short};

use super::{OnImage, Picture, Row, Shown, picture, short as short_name};
use crate::commands::network_role::NetworkRole;
use crate::commands::pictures::thumbnail::fit;

/// Prototypes that are shown, and the images of each.
const PROTOTYPES: usize = 8;
const IMAGES: usize = 8;
/// Longest side of a picture, in pixels.
const SIDE: u32 = 96;

/// Images with their assignments to prototypes.
struct Assigned {
    images: Subset,
    preprocess: Preprocess,
    /// Places in the source of the images that could be read.
    indices: Vec<usize>,
    components: Components,
    assignments: Assignments,
}

/// A row for each prototype.
pub(super) fn section(shown: &Shown<'_>, on_image: OnImage<'_>) -> Result<(String, Vec<Row>)> {
    let assigned = assign(shown, on_image)?;
    let mass = &assigned.assignments.mass;
    let mut order: Vec<usize> = (0..mass.len()).collect();
    order.sort_by(|&a, &b| mass[b].total_cmp(&mass[a]));
    let rows = order.into_iter().take(PROTOTYPES).map(|prototype| assigned.row(prototype));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let note = format!(
        "The images nearest to the {} with the largest mass, of {}; κ is that at the teacher's temperature. \
         `dino-vmf analyze mixture` shows all.",
        counted(rows.len(), "prototype"),
        counted(assigned.indices.len(), "image")
    );
    Ok((note, rows))
}

/// Assigns images as the teacher does.
fn assign(shown: &Shown<'_>, on_image: OnImage<'_>) -> Result<Assigned> {
    let opened = &shown.opened;
    let components = NetworkRole::Teacher.components(opened)?;
    let preprocess = evaluation::preprocess(&opened.config, shown.dataset.as_ref())?;
    let images = Subset::new(shown.dataset.clone(), Some(shown.most), 0);
    let encoder = NetworkRole::Teacher.encoder(opened);
    let wanted = [Wanted { kind: Kind::Bottleneck, unit: false }];
    let pass = Pass { images: &images, preprocess: &preprocess, views: Views::Square };
    let evaluated = Evaluated {
        images: images.len(),
        held: images.len(),
        side: preprocess.view.crop as usize,
        classes: 0,
    };
    let values = pass.values_of_image(&[&encoder], &wanted);
    memory::require_evaluation(&opened.config, evaluated, values)?;
    let mut extracted =
        pass.extract(&[&encoder], &wanted, &mut Progress::new(images.len(), on_image))?;
    extracted.passed.require_finite()?;
    let vectors = extracted.features.remove(0).remove(0).rows;
    let assignments = components.assign(&vectors, IMAGES);
    Ok(Assigned { images, preprocess, indices: extracted.passed.indices, components, assignments })
}

impl Assigned {
    fn row(&self, prototype: usize) -> Result<Row> {
        let Assignments { assigned, mass, nearest, .. } = &self.assignments;
        let count = assigned.iter().filter(|of| **of as usize == prototype).count();
        let pictures = nearest[prototype].iter().map(|&place| self.picture(place, prototype));
        let heading = format!(
            "Prototype {prototype}: mass {}, {count} of {}, κ {}",
            percent(mass[prototype]),
            counted(assigned.len(), "image"),
            short(self.components.kappas[prototype])
        );
        Ok(Row { heading, pictures: pictures.collect::<Result<_>>()? })
    }

    fn picture(&self, place: u32, prototype: usize) -> Result<Picture> {
        let (index, dataset) = (self.indices[place as usize], self.images.dataset());
        let name = dataset.name(index);
        let image = self.images.load(index, &self.preprocess.decode)?;
        let image = fit(&image.into_8_bits(), SIDE);
        let class =
            dataset.label(index).and_then(|label| dataset.classes().get(label as usize).cloned());
        let alt = format!("{name}, near prototype {prototype}");
        picture(&image, class.unwrap_or_else(|| short_name(&name)), alt)
    }
}
