//! The page: tiles, plots, tables, and the prototypes with their nearest images.

use askama::Template;
use probe::analysis::mixture::Mixture;
use report::number::{counted, percent, short_beside};
use report::page::{Figures, Page, Table, Tile, Tiles};

use super::figures::figures;
use super::gallery::Gallery;
use super::prototypes::{PrototypeTable, Strip, strips};
use super::record::{Record, Unit};

/// Sorts and searches the table and shows the images of the selected prototype beside it. Without
/// scripts the page shows all images below the table.
const SCRIPT: &str = include_str!("../../../../templates/browser.js");

#[derive(Template)]
#[template(path = "mixture.html")]
pub(super) struct Content<'a> {
    /// What is assigned: `images` or `patches`.
    unit: &'static str,
    tiles: Tiles,
    figures: Figures,
    counts: Table,
    assignments: Table,
    prototypes: PrototypeTable,
    strips: Vec<Strip<'a>>,
    gallery: &'a Gallery,
}

/// The page about a mixture. `subject` names the network and the images.
pub(super) fn new<'a>(
    subject: &str,
    record: &Record<'_>,
    gallery: &'a Gallery,
) -> Page<Content<'a>> {
    let analysis = &record.analysis;
    let patches = analysis.describe_patches().map(|text| format!("; {text}")).unwrap_or_default();
    let mixture = &analysis.mixture;
    Page {
        title: format!("A mixture of {}", counted(mixture.prototypes, "component")),
        subtitle: format!("{subject}{patches}; {}", analysis.describe_assignment()),
        content: Content {
            unit: analysis.assigned.plural(),
            tiles: Tiles(tiles(mixture)),
            figures: Figures(figures(analysis)),
            counts: counts(mixture, analysis.assigned),
            assignments: assignments(mixture, analysis.assigned),
            prototypes: PrototypeTable::new(record, gallery.components),
            strips: strips(record, gallery),
            gallery,
        },
    }
}

fn tiles(mixture: &Mixture) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut tile = |name, value, note| tiles.push(Tile { name, value, note });
    let of_all = format!("of {}", counted(mixture.prototypes, "prototype"));
    tile("in use", mixture.in_use.to_string(), of_all.clone());
    if let Some(unique) = mixture.unique.first() {
        let note = format!("at cosine {}", unique.cosine);
        tile("unique, in use", unique.in_use.to_string(), note);
    }
    let entropy = &mixture.entropy;
    tile("effective number", format!("{:.0}", entropy.perplexity), of_all);
    let largest = format!("nats, of at most {:.2}", entropy.largest);
    tile("mutual information", format!("{:.2}", entropy.mutual_information), largest);
    if let Some(labels) = &mixture.labels {
        let classes = format!("with {}", counted(labels.classes, "class"));
        tile("agreement, NMI", format!("{:.3}", labels.nmi), classes);
    }
    if let Some(knn) = &mixture.accuracy_by_kappa {
        let images = format!("of {}", counted(mixture.images, "image"));
        tile("k-NN accuracy", format!("{:.1} %", knn.accuracy), images);
    }
    tiles
}

/// Counts and concentrations of all prototypes and of those in use.
fn counts(mixture: &Mixture, assigned: Unit) -> Table {
    let mut rows = vec![vec![
        "prototypes".to_owned(),
        mixture.prototypes.to_string(),
        mixture.in_use.to_string(),
        format!("in use: the most probable component of at least one of the {}", assigned.plural()),
    ]];
    rows.extend(mixture.unique.iter().map(|unique| {
        vec![
            format!("unique at cosine {}", unique.cosine),
            unique.all.to_string(),
            unique.in_use.to_string(),
            "prototypes without an earlier one at this cosine or above".to_owned(),
        ]
    }));
    let kappa = &mixture.kappa;
    let [all, in_use] = [&kappa.all, &kappa.in_use].map(|of| {
        let digits = |value| short_beside(value, of.p95 - of.p5);
        format!("{} ({} to {})", digits(of.median), digits(of.p5), digits(of.p95))
    });
    let meaning = "concentration: median (5 % to 95 %)".to_owned();
    rows.push(vec!["kappa".to_owned(), all, in_use, meaning]);
    Table { head: vec!["", "all", "in use", ""], rows }
}

/// Entropies, mass, and agreement with labels.
fn assignments(mixture: &Mixture, assigned: Unit) -> Table {
    let (entropy, mass, unit) = (&mixture.entropy, &mixture.mass, assigned.plural());
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String, meaning: &str| {
        rows.push(vec![name.to_owned(), value, meaning.to_owned()]);
    };
    let digits = |value: f64| format!("{value:.3}");
    let meaning = "nats, of the mean assignment: large if components are used evenly";
    row("marginal entropy", digits(entropy.marginal), meaning);
    let meaning = "nats, mean over assignments: small if assignments are certain";
    row("conditional entropy", digits(entropy.conditional), meaning);
    let meaning =
        format!("nats, the difference: what a component says about {}", assigned.singular());
    row("mutual information", digits(entropy.mutual_information), &meaning);
    row(
        "Gini of mass",
        digits(mass.gini),
        "0 if all components have the same mass, 1 if one has all",
    );
    let meaning = format!("of components that are the most probable one of none of the {unit}");
    row("mass not in use", percent(mass.unused), &meaning);
    if let Some(labels) = &mixture.labels {
        let meaning = "mutual information of components and labels, normalized: 0 none, 1 equal; \
                       favors many components";
        row("NMI", digits(labels.nmi), meaning);
        let meaning = "pairs that components and labels both group together: 0 chance, 1 equal";
        row("ARI", digits(labels.ari), meaning);
        let meaning = format!("share of {unit} with the most frequent label of their component");
        row("purity", digits(labels.purity), &meaning);
    }
    Table { head: vec!["", "", ""], rows }
}
