//! The mixture as tables on a terminal.

use dino::analysis::mixture::{AccuracyByKappa, Entropy, Kappa, Mass, Mixture};

use super::super::plot::short;
use super::{Assignment, Found};
use crate::console::Console;

/// Writes all tables.
pub(super) fn show(subject: &str, found: &Found<'_>, console: &mut Console) {
    let Assignment { temperature, centered, mixture, .. } = &found.result;
    let center = if *centered { "with the center" } else { "without a center" };
    console.text(subject);
    if let Some(side) = found.result.patch_grid {
        console.text(format!("{} patches, {side} x {side} of each image", mixture.images));
    }
    console.text(format!("assignments at temperature {temperature}, {center}"));
    console.text("");
    prototypes(mixture, console);
    assignments(mixture, console);
    if let Some(labels) = &mixture.labels {
        console.text(format!(
            "labels: {} classes, NMI {:.3}, ARI {:.3}, purity {:.3}",
            labels.classes, labels.nmi, labels.ari, labels.purity
        ));
    }
    let Assignment { voters, neighbors, .. } = found.result;
    if let (Some(knn), Some(voters), Some(neighbors)) =
        (&mixture.accuracy_by_kappa, voters, neighbors)
    {
        let voters = format!("k = {neighbors}, {voters}");
        accuracy(knn, &voters, mixture.kappa.fixed, console);
    }
}

fn prototypes(mixture: &Mixture, console: &mut Console) {
    let mut row = |name: &str, all: String, in_use: String| {
        console.text(format!("{name:27}{all:>14}{in_use:>14}"));
    };
    row("", "all".to_owned(), "in use".to_owned());
    row("prototypes", mixture.prototypes.to_string(), mixture.in_use.to_string());
    for unique in &mixture.unique {
        let name = format!("unique at cosine {}", unique.cosine);
        row(&name, unique.all.to_string(), unique.in_use.to_string());
    }
    let Kappa { all, in_use, .. } = &mixture.kappa;
    let range = |low, high| format!("{} to {}", short(low), short(high));
    row("kappa, all of them", range(all.min, all.max), range(in_use.min, in_use.max));
    row("kappa, 5 to 95 %", range(all.p5, all.p95), range(in_use.p5, in_use.p95));
    row("kappa, middle half", range(all.p25, all.p75), range(in_use.p25, in_use.p75));
    row("kappa, median", short(all.median), short(in_use.median));
    console.text("");
}

fn assignments(mixture: &Mixture, console: &mut Console) {
    let Entropy { marginal, conditional, mutual_information, perplexity, largest, .. } =
        &mixture.entropy;
    console.text("entropies of assignments, nats");
    console.text(format!(
        "{marginal:8.3}  of their mean, at most {largest:.3}: {perplexity:.1} equally used components"
    ));
    console.text(format!("{conditional:8.3}  of one, on average"));
    console.text(format!("{mutual_information:8.3}  the difference: what a component tells"));
    let Mass { largest, top_percent, gini, unused, .. } = &mixture.mass;
    console.text(format!(
        "mass: {:.2} % in one component, {:.2} % in the largest hundredth, {:.2} % in those not in \
         use, Gini {gini:.3}",
        100.0 * largest,
        100.0 * top_percent,
        100.0 * unused
    ));
}

fn accuracy(knn: &AccuracyByKappa, voters: &str, fixed: bool, console: &mut Console) {
    console.text(format!("k-NN, {voters}: {:.2} % right", knn.accuracy));
    if fixed {
        console.text("kappa is the same for all prototypes, so images cannot be ordered by it");
        return;
    }
    console.text("    kappa of component    images     right");
    for group in &knn.groups {
        let kappa = format!("{} to {}", short(group.kappa[0]), short(group.kappa[1]));
        console.text(format!("{kappa:>22}{:10}{:8.2} %", group.images, group.accuracy));
    }
    if let Some(spearman) = knn.spearman {
        console.text(format!("rank correlation of kappa and being right: {spearman:.3}"));
    }
}
