//! The mixture as a page: numbers, plots, and a table of prototypes with their nearest images.

use dino::analysis::mixture::Mixture;

use super::super::page::Page;
use super::super::plot::short;
use super::browser::browser;
use super::gallery::Gallery;
use super::plots::figures;
use super::{Assigned, Assignment, Found};

/// The page.
pub(super) fn page(subject: &str, found: &Found<'_>, gallery: &Gallery) -> String {
    let Assignment { assigned, temperature, centered, mixture, .. } = &found.result;
    let center = if *centered { "with the center" } else { "without a center" };
    let patches = match found.result.patch_grid {
        Some(side) => format!("; {} patches, {side} x {side} of each image", mixture.images),
        None => String::new(),
    };
    let subtitle = format!("{subject}{patches}; temperature {temperature}, {center}");
    let mut page = Page::new(&format!("A mixture of {} components", mixture.prototypes), &subtitle);
    page.tiles(&tiles(mixture));
    page.heading("How it is used");
    page.figures(&figures(mixture, *assigned, found.result.neighbors));
    page.heading("In numbers");
    prototypes(mixture, *assigned, &mut page);
    assignments(mixture, *assigned, &mut page);
    page.heading("Prototypes");
    browser(found, gallery, &mut page);
    page.finish()
}

fn tiles(mixture: &Mixture) -> Vec<(&'static str, String, String)> {
    let of_all = format!("of {} prototypes", mixture.prototypes);
    let mut tiles = vec![("in use", mixture.in_use.to_string(), of_all.clone())];
    if let Some(unique) = mixture.unique.first() {
        tiles.push((
            "unique, in use",
            unique.in_use.to_string(),
            format!("at cosine {}", unique.cosine),
        ));
    }
    let entropy = &mixture.entropy;
    tiles.push(("effective number", format!("{:.0}", entropy.perplexity), of_all));
    let largest = format!("nats, of at most {:.2}", entropy.largest);
    tiles.push(("information", format!("{:.2}", entropy.mutual_information), largest));
    if let Some(labels) = &mixture.labels {
        let classes = format!("with {} classes", labels.classes);
        tiles.push(("agreement, NMI", format!("{:.3}", labels.nmi), classes));
    }
    if let Some(knn) = &mixture.accuracy_by_kappa {
        let images = format!("of {} images", mixture.images);
        tiles.push(("k-NN right", format!("{:.1} %", knn.accuracy), images));
    }
    tiles
}

/// Counts and concentrations, of all prototypes and of those in use.
fn prototypes(mixture: &Mixture, assigned: Assigned, page: &mut Page) {
    let meaning = format!("that at least one of the {} prefers to all others", assigned.many());
    let (all, in_use) = (mixture.prototypes.to_string(), mixture.in_use.to_string());
    let mut rows = vec![vec!["prototypes".to_owned(), all, in_use, meaning]];
    rows.extend(mixture.unique.iter().map(|unique| {
        let meaning = "prototypes of which none is nearer to an earlier one".to_owned();
        let name = format!("unique at cosine {}", unique.cosine);
        vec![name, unique.all.to_string(), unique.in_use.to_string(), meaning]
    }));
    let kappa = &mixture.kappa;
    let [all, in_use] = [&kappa.all, &kappa.in_use]
        .map(|of| format!("{} ({} to {})", short(of.median), short(of.p5), short(of.p95)));
    let meaning = "concentration: median (5 % to 95 %)".to_owned();
    rows.push(vec!["kappa".to_owned(), all, in_use, meaning]);
    page.table(&["", "all", "in use", ""], &rows);
}

/// Entropies, mass and agreement.
fn assignments(mixture: &Mixture, assigned: Assigned, page: &mut Page) {
    let (entropy, mass) = (&mixture.entropy, &mixture.mass);
    let number = |number: f64| format!("{number:.3}");
    let mut rows = Vec::new();
    let mut row = |name: &str, number: String, meaning: &str| {
        rows.push(vec![name.to_owned(), number, meaning.to_owned()]);
    };
    let meaning = "of the mean assignment, in nats: even use is large";
    row("marginal entropy", number(entropy.marginal), meaning);
    let meaning = "of one assignment, on average: decided ones are small";
    row("conditional entropy", number(entropy.conditional), meaning);
    let meaning = format!("their difference: what a component tells about {}", assigned.one());
    row("mutual information", number(entropy.mutual_information), &meaning);
    let meaning = "0 where all have the same, 1 where one has everything";
    row("Gini of mass", number(mass.gini), meaning);
    row("mass not in use", percent(mass.unused), "of components that none prefers");
    if let Some(labels) = &mixture.labels {
        let meaning =
            "information of components and labels: 0 none, 1 equal; favors many components";
        row("NMI", number(labels.nmi), meaning);
        row("ARI", number(labels.ari), "pairs that both put together: 0 chance, 1 equal");
        let meaning =
            format!("{} with the most frequent label of their component", assigned.many());
        row("purity", number(labels.purity), &meaning);
    }
    page.table(&["", "", ""], &rows);
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share))
}
