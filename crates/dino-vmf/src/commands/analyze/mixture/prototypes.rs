//! The table of prototypes on the page, and the nearest images of each.

use std::fmt::Write as _;

use probe::analysis::mixture::{Component, Mixture};
use report::number::{percent, short_beside};

use super::gallery::{Gallery, Thumbnail};
use super::record::Record;

/// Most rows of the table. Browsers become slow with more.
const MAX_ROWS: usize = 10_000;

/// The table: prototypes in use first, then the others, each by falling mass.
pub(super) struct PrototypeTable {
    /// Names of the columns about labels, if there are labels.
    pub(super) label_columns: &'static [&'static str],
    pub(super) rows: Vec<Row>,
    /// Prototypes that have no row.
    pub(super) unlisted: usize,
}

/// A prototype.
pub(super) struct Row {
    pub(super) prototype: usize,
    pub(super) mass: String,
    pub(super) kappa: String,
    /// Number of images or patches assigned to it.
    pub(super) count: usize,
    /// Cells of the columns about labels.
    pub(super) labels: Vec<String>,
    /// Whether the page shows its nearest images.
    pub(super) has_images: bool,
}

/// The nearest images of a prototype.
pub(super) struct Strip<'a> {
    pub(super) prototype: u32,
    pub(super) caption: String,
    pub(super) thumbnails: Vec<Thumbnail<'a>>,
}

impl PrototypeTable {
    pub(super) fn new(record: &Record<'_>, with_images: usize) -> Self {
        let mixture = &record.analysis.mixture;
        let label_columns: &[_] = match (&mixture.labels, &mixture.accuracy_by_kappa) {
            (Some(_), Some(_)) => &["label", "purity", "k-NN"],
            (Some(_), None) => &["label", "purity"],
            (None, _) => &[],
        };
        let used = mixture.components.iter().enumerate().map(|(place, component)| Row {
            count: component.images,
            labels: labels(record, component),
            has_images: place < with_images,
            ..Row::empty(mixture, component.prototype as usize)
        });
        let others = unused(mixture).into_iter().map(|prototype| Row {
            labels: vec![String::new(); label_columns.len()],
            ..Row::empty(mixture, prototype)
        });
        let rows: Vec<_> = used.chain(others).take(MAX_ROWS).collect();
        let unlisted = mixture.prototypes.saturating_sub(rows.len());
        Self { label_columns, rows, unlisted }
    }
}

impl Row {
    /// The row of a prototype without images.
    fn empty(mixture: &Mixture, prototype: usize) -> Self {
        Self {
            prototype,
            mass: percent(mixture.mass.shares[prototype]),
            kappa: kappa(mixture, mixture.kappa.values[prototype]),
            count: 0,
            labels: Vec::new(),
            has_images: false,
        }
    }
}

/// The strips of all components that the gallery has images of.
pub(super) fn strips<'a>(record: &Record<'_>, gallery: &'a Gallery) -> Vec<Strip<'a>> {
    let components = &record.analysis.mixture.components[..gallery.components];
    let strip = |component: &Component| Strip {
        prototype: component.prototype,
        caption: caption(record, component),
        thumbnails: gallery.thumbnails(component),
    };
    components.iter().map(strip).collect()
}

fn caption(record: &Record<'_>, component: &Component) -> String {
    let Component { prototype, images, .. } = component;
    let (unit, kappa) =
        (record.analysis.assigned.plural(), kappa(&record.analysis.mixture, component.kappa));
    let mut text = format!("Prototype {prototype}: {images} {unit}, kappa {kappa}");
    if let (Some(label), Some(purity)) = (record.class_of(component), component.purity) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ", {:.0} % {label}", 100.0 * purity);
    }
    text
}

/// One kappa, with digits that tell it from others.
fn kappa(mixture: &Mixture, value: f64) -> String {
    let of = &mixture.kappa.all;
    short_beside(value, of.p95 - of.p5)
}

/// Cells about labels, if there are any.
fn labels(record: &Record<'_>, component: &Component) -> Vec<String> {
    let Some(purity) = component.purity else { return Vec::new() };
    let class = record.class_of(component).unwrap_or_default();
    let mut cells = vec![class.to_owned(), format!("{:.0} %", 100.0 * purity)];
    cells.extend(component.accuracy.map(|accuracy| format!("{accuracy:.0} %")));
    cells
}

/// Prototypes without an image, the largest mass first.
fn unused(mixture: &Mixture) -> Vec<usize> {
    let mut used = vec![false; mixture.prototypes];
    mixture.components.iter().for_each(|component| used[component.prototype as usize] = true);
    let mut others: Vec<usize> = (0..used.len()).filter(|&prototype| !used[prototype]).collect();
    let shares = &mixture.mass.shares;
    others.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
    others
}
