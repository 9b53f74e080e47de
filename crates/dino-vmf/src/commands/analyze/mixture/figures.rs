//! The plots of the page.

use probe::analysis::accuracy_by_kappa::Group;
use probe::analysis::mixture::{AccuracyByKappa, Kappa, Mixture};
use report::number::{counted, percent, short, short_beside};
use report::page::{Figure, LegendEntry};
use report::plot::{Axis, Bar, Plot};

use super::record::{Analysis, Unit};
use crate::commands::histogram::{bars, count_axis};

/// All plots. k-NN accuracy by kappa needs labels and prototypes with different kappas.
pub(super) fn figures(analysis: &Analysis<'_>) -> Vec<Figure> {
    let Analysis { mixture, assigned, neighbors, .. } = analysis;
    let mut figures =
        vec![mass(mixture, *assigned), kappa(&mixture.kappa), certainty(mixture, *assigned)];
    let knn = mixture.accuracy_by_kappa.as_ref().filter(|_| !mixture.kappa.fixed);
    figures.extend(knn.zip(*neighbors).map(|(knn, neighbors)| accuracy(knn, neighbors)));
    figures
}

/// Mass of all prototypes, the largest first.
fn mass(mixture: &Mixture, assigned: Unit) -> Figure {
    let count = mixture.prototypes as f64;
    let mut shares: Vec<f64> = mixture.mass.shares.iter().map(|share| share * count).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let high = shares.first().copied().unwrap_or(1.0).max(2.0);
    // Differences below a thousandth of an equal share mean nothing.
    let y = Axis::logarithmic(1e-3, high, "times an equal share");
    let x = Axis::logarithmic(1.0, count, "prototypes, the largest first");
    let mut plot = Plot::new("mass of prototypes by rank", x, y);
    plot.reference(1.0, "equal share");
    plot.line("one", &thinned(&shares));
    Figure {
        title: "Mass of prototypes".into(),
        plot,
        legend: Vec::new(),
        note: format!(
            "The largest prototype has {} of the probability of all {}, the largest hundredth has {}.",
            percent(mixture.mass.largest),
            assigned.plural(),
            percent(mixture.mass.top_percent)
        ),
    }
}

/// Points of a line over ranks from 1. Leaves out ranks that are too close to see on a logarithmic axis.
fn thinned(values: &[f64]) -> Vec<(f64, f64)> {
    let (mut points, mut next) = (Vec::new(), 0);
    for (place, value) in values.iter().enumerate() {
        if place >= next || place + 1 == values.len() {
            points.push((place as f64 + 1.0, *value));
            next = (place + 1).max(place * 101 / 100);
        }
    }
    points
}

/// Histograms of kappa, of all prototypes and of those in use.
fn kappa(kappa: &Kappa) -> Figure {
    let (all, in_use) = (&kappa.histogram, &kappa.histogram_in_use);
    let x = Axis::linear(all.low, all.high, "kappa");
    let series = [("two", bars(all, &x, "all")), ("one", bars(in_use, &x, "in use"))];
    let mut plot = Plot::new("histogram of kappa", x, count_axis(all, "prototypes"));
    for (class, bars) in series {
        plot.bars(class, &bars);
    }
    let note = match kappa.fixed {
        true => format!(
            "Every kappa is {}: the norms of the prototypes are fixed.",
            short(kappa.all.median)
        ),
        false => format!(
            "Half of those in use lie between {} and {}.",
            short_beside(kappa.in_use.p25, kappa.in_use.p75 - kappa.in_use.p25),
            short_beside(kappa.in_use.p75, kappa.in_use.p75 - kappa.in_use.p25)
        ),
    };
    Figure {
        title: "Concentration".into(),
        plot,
        legend: vec![
            LegendEntry { class: "two", name: "all".into() },
            LegendEntry { class: "one", name: "in use".into() },
        ],
        note,
    }
}

/// A histogram of the entropies of assignments.
fn certainty(mixture: &Mixture, assigned: Unit) -> Figure {
    let histogram = &mixture.entropy.histogram;
    let label = format!("entropy of {}'s assignment, nats", assigned.singular());
    let x = Axis::linear(histogram.low, histogram.high, label);
    let bars = bars(histogram, &x, assigned.plural());
    let y = count_axis(histogram, assigned.plural());
    let mut plot = Plot::new("histogram of the entropy of assignments", x, y);
    plot.bars("one", &bars);
    Figure {
        title: "Certainty".into(),
        plot,
        legend: Vec::new(),
        note: format!(
            "The mean is {:.2} nats, the entropy of an even choice among {:.1} components.",
            mixture.entropy.conditional,
            mixture.entropy.conditional.exp()
        ),
    }
}

/// k-NN accuracy of images in fifths by the kappa of their component.
fn accuracy(knn: &AccuracyByKappa, neighbors: usize) -> Figure {
    // All ends with the same digits: those that tell the narrowest group's ends apart.
    let widths = knn.groups.iter().map(|group| group.kappa[1] - group.kappa[0]);
    let narrowest = widths.filter(|width| *width > 0.0).fold(f64::INFINITY, f64::min);
    let kappas = |group: &Group| group.kappa.map(|end| short_beside(end, narrowest));
    let bar = |(place, group): (usize, &Group)| {
        let ([low, high], images) = (kappas(group), counted(group.images, "image"));
        Bar {
            from: place as f64 + 0.12,
            to: place as f64 + 0.88,
            value: group.accuracy,
            title: format!("kappa {low} to {high}: {images}, accuracy {:.2} %", group.accuracy),
        }
    };
    let bars: Vec<Bar> = knn.groups.iter().enumerate().map(bar).collect();
    let name = |(place, group): (usize, &Group)| {
        let [low, _] = kappas(group);
        (place as f64 + 0.5, low)
    };
    let names = knn.groups.iter().enumerate().map(name).collect();
    let high = bars.iter().map(|bar| bar.value).fold(knn.accuracy, f64::max);
    let label = "kappa of the component, low end of each fifth";
    let x = Axis::linear(0.0, knn.groups.len() as f64, label);
    let y = Axis::linear(0.0, (1.2 * high).clamp(5.0, 100.0), "k-NN accuracy, %");
    let mut plot = Plot::with_names("k-NN accuracy by kappa", x, y, names);
    plot.bars("one", &bars);
    plot.bar_texts(&bars, |bar| format!("{:.1}", bar.value));
    plot.reference(knn.accuracy, "");
    let correlation = knn.spearman.map_or("undefined".to_owned(), |rho| format!("{rho:.3}"));
    Figure {
        title: "Is a large kappa easy?".into(),
        plot,
        legend: Vec::new(),
        note: format!(
            "k = {neighbors}. The line is the accuracy on all images, {:.1} %. Rank correlation of kappa \
             and a correct prediction: {correlation}.",
            knn.accuracy
        ),
    }
}
