//! The images nearest to the prototypes with the largest mass.

use anyhow::Result;
use dino::{evaluation, memory};
use probe::{Evaluated, Kind, Pass, Progress, Subset, Views, Wanted};
use report::number::{counted, percent, short};

use super::{OnImage, Row, Shown, picture, short as short_name};
use crate::commands::network_role::NetworkRole;
use crate::commands::pictures::thumbnail::fit;

/// Prototypes that are shown, and the images of each.
const PROTOTYPES: usize = 8;
const IMAGES: usize = 8;
/// Longest side of a picture, in pixels.
const SIDE: u32 = 96;

/// A row for each prototype.
pub(super) fn section(shown: &Shown<'_>, on_image: OnImage<'_>) -> Result<(String, Vec<Row>)> {
    let opened = &shown.opened;
    let components = NetworkRole::Teacher.components(opened)?;
    let preprocess = evaluation::preprocess(&opened.config, shown.dataset.as_ref())?;
    let images = Subset::new(shown.dataset.clone(), Some(shown.most), 0);
    let encoder = NetworkRole::Teacher.encoder(opened);
    let wanted = [Wanted { kind: Kind::Bottleneck, unit: false }];
    let pass = Pass { images: &images, preprocess: &preprocess, views: Views::Square };
    let evaluated = Evaluated { images: images.len(), side: preprocess.view.crop as usize };
    let values = pass.values_of_image(&[&encoder], &wanted);
    memory::require_evaluation(&opened.config, evaluated, values)?;
    let mut extracted =
        pass.extract(&[&encoder], &wanted, &mut Progress::new(images.len(), on_image))?;
    extracted.passed.require_finite()?;
    let vectors = extracted.features.remove(0).remove(0).rows;
    let assignments = components.assign(&vectors, IMAGES);
    let mut order: Vec<usize> = (0..components.len()).collect();
    order.sort_by(|&a, &b| assignments.mass[b].total_cmp(&assignments.mass[a]));
    let row = |prototype: usize| {
        let pictures = assignments.nearest[prototype].iter().map(|&place| {
            let index = extracted.passed.indices[place as usize];
            let name = images.dataset().name(index);
            let image = images.load(index, &preprocess.decode)?;
            let image = fit(&preprocess.view.view(&image).into_8_bits(), SIDE);
            let class = images
                .dataset()
                .label(index)
                .and_then(|label| images.dataset().classes().get(label as usize).cloned());
            let alt = format!("{name}, near prototype {prototype}");
            picture(&image, class.unwrap_or_else(|| short_name(&name)), alt)
        });
        let (mass, kappa) = (assignments.mass[prototype], components.kappas[prototype]);
        let assigned = assignments.assigned.iter().filter(|of| **of as usize == prototype).count();
        let heading = format!(
            "Prototype {prototype}: mass {}, {}, κ {}",
            percent(mass),
            counted(assigned, "image"),
            short(kappa)
        );
        Ok(Row { heading, pictures: pictures.collect::<Result<_>>()? })
    };
    let rows = order.into_iter().take(PROTOTYPES).map(row).collect::<Result<Vec<_>>>()?;
    let note = format!(
        "The images nearest to the {} with the largest mass, of {}. `dino-vmf analyze mixture` shows all.",
        counted(rows.len(), "prototype"),
        counted(extracted.passed.indices.len(), "image")
    );
    Ok((note, rows))
}
