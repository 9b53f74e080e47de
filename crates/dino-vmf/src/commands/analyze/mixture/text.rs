//! The result as tables on a terminal.

use probe::analysis::mixture::{AccuracyByKappa, Entropy, Kappa, Mass, Mixture};
use report::number::{counted, short_beside};

use super::record::{Analysis, Record};
use crate::console::Console;

/// Prints all tables. `subject` is their headline.
pub(super) fn print(subject: &str, record: &Record<'_>, console: &mut Console) {
    let analysis = &record.analysis;
    let mixture = &analysis.mixture;
    console.text(subject);
    if let Some(patches) = analysis.describe_patches() {
        console.text(patches);
    }
    console.text(format!("assignments at {}", analysis.describe_assignment()));
    console.text("");
    print_prototypes(mixture, console);
    print_assignments(mixture, console);
    if let Some(labels) = &mixture.labels {
        console.text(format!(
            "labels: {}, NMI {:.3}, ARI {:.3}, purity {:.3}",
            counted(labels.classes, "class"),
            labels.nmi,
            labels.ari,
            labels.purity
        ));
    }
    let Analysis { voters, neighbors, .. } = analysis;
    if let (Some(knn), Some(voters), Some(neighbors)) =
        (&mixture.accuracy_by_kappa, voters, neighbors)
    {
        console.text(format!("k-NN, k = {neighbors}, {voters}: accuracy {:.2} %", knn.accuracy));
        print_accuracy_by_kappa(knn, mixture.kappa.fixed, console);
    }
}

fn print_prototypes(mixture: &Mixture, console: &mut Console) {
    let mut row = |name: &str, all: String, in_use: String| {
        console.text(format!("{name:25}  {all:>19}  {in_use:>19}"));
    };
    row("", "all".to_owned(), "in use".to_owned());
    row("prototypes", mixture.prototypes.to_string(), mixture.in_use.to_string());
    for unique in &mixture.unique {
        let name = format!("unique at cosine {}", unique.cosine);
        row(&name, unique.all.to_string(), unique.in_use.to_string());
    }
    let Kappa { all, in_use, .. } = &mixture.kappa;
    let range = |low: f64, high: f64| {
        let [low, high] = [low, high].map(|end| short_beside(end, high - low));
        format!("{low} to {high}")
    };
    row("kappa, whole range", range(all.min, all.max), range(in_use.min, in_use.max));
    row("kappa, 5 to 95 %", range(all.p5, all.p95), range(in_use.p5, in_use.p95));
    row("kappa, middle half", range(all.p25, all.p75), range(in_use.p25, in_use.p75));
    let [all, in_use] = [all, in_use].map(|of| short_beside(of.median, of.p75 - of.p25));
    row("kappa, median", all, in_use);
    console.text("");
}

fn print_assignments(mixture: &Mixture, console: &mut Console) {
    let Entropy { marginal, conditional, mutual_information, perplexity, largest, .. } =
        &mixture.entropy;
    console.text("entropies of assignments, nats");
    console.text(format!(
        "{marginal:8.3}  marginal, at most {largest:.3}: as {perplexity:.1} equally used components"
    ));
    console.text(format!("{conditional:8.3}  conditional, the mean over assignments"));
    console.text(format!("{mutual_information:8.3}  mutual information, the difference"));
    let Mass { largest, top_percent, gini, unused, .. } = &mixture.mass;
    console.text(format!(
        "mass: {:.2} % in the largest component, {:.2} % in the largest hundredth, {:.2} % in those not \
         in use, Gini {gini:.3}",
        100.0 * largest,
        100.0 * top_percent,
        100.0 * unused
    ));
}

fn print_accuracy_by_kappa(knn: &AccuracyByKappa, fixed: bool, console: &mut Console) {
    if fixed {
        console.text("kappa is the same for all prototypes, so images cannot be ordered by it");
        return;
    }
    console.text("    kappa of component    images  accuracy");
    for group in &knn.groups {
        let width = group.kappa[1] - group.kappa[0];
        let [low, high] = group.kappa.map(|end| short_beside(end, width));
        let kappa = format!("{low} to {high}");
        console.text(format!("{kappa:>22}{:10}{:8.2} %", group.images, group.accuracy));
    }
    if let Some(spearman) = knn.spearman {
        console.text(format!("rank correlation of kappa and correct predictions: {spearman:.3}"));
    }
}
