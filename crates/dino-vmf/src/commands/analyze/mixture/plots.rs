//! The mixture in plots.

use dino::analysis::accuracy_by_kappa::Group;
use dino::analysis::distribution::Histogram;
use dino::analysis::mixture::{AccuracyByKappa, Kappa, Mixture};

use super::super::page::Figure;
use super::super::plot::{Axis, Bar, Plot, short};
use super::Assigned;
use super::html::percent;

/// All plots.
pub(super) fn figures(
    mixture: &Mixture,
    assigned: Assigned,
    neighbors: Option<usize>,
) -> Vec<Figure> {
    let mut figures =
        vec![mass(mixture, assigned), kappa(&mixture.kappa), decided(mixture, assigned)];
    let ordered = mixture.accuracy_by_kappa.as_ref().filter(|_| !mixture.kappa.fixed);
    figures.extend(ordered.zip(neighbors).map(|(found, neighbors)| accuracy(found, neighbors)));
    figures
}

/// Mass of all prototypes, the largest first.
fn mass(mixture: &Mixture, assigned: Assigned) -> Figure {
    let count = mixture.prototypes as f64;
    let mut shares: Vec<f64> = mixture.mass.shares.iter().map(|share| share * count).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let high = shares.first().copied().unwrap_or(1.0).max(2.0);
    // what is below a thousandth of an equal share is nothing to a reader
    let y = Axis::logarithmic(1e-3, high, "times an equal share");
    let x = Axis::logarithmic(1.0, count, "prototypes, the largest first");
    let mut plot = Plot::new(x, y);
    plot.reference(1.0, "equal share");
    plot.line("one", &drawn(&shares));
    Figure {
        title: "Mass of prototypes",
        svg: plot.finish("mass of prototypes by rank"),
        series: Vec::new(),
        note: format!(
            "The largest has {} of the probability of all {}, the largest hundredth {}.",
            percent(mixture.mass.largest),
            assigned.many(),
            percent(mixture.mass.top_percent)
        ),
    }
}

/// Points of a line over ranks from 1, no more than can be seen on a logarithmic axis.
fn drawn(values: &[f64]) -> Vec<(f64, f64)> {
    let (mut points, mut next) = (Vec::new(), 0);
    for (place, value) in values.iter().enumerate() {
        if place >= next || place + 1 == values.len() {
            points.push((place as f64 + 1.0, *value));
            next = (place + 1).max(place * 101 / 100);
        }
    }
    points
}

fn kappa(kappa: &Kappa) -> Figure {
    let (all, used) = (&kappa.histogram, &kappa.histogram_in_use);
    let most = all.counts.iter().copied().max().unwrap_or(1) as f64;
    let x = Axis::linear(all.low, all.high, "kappa");
    let mut plot = Plot::new(x, Axis::linear(0.0, 1.05 * most, "prototypes"));
    for (class, name, histogram) in [("two", "all", all), ("one", "in use", used)] {
        plot.bars(class, &histogram_bars(histogram, x, name));
    }
    let note = match kappa.fixed {
        true => {
            format!("All are {}: the norms of the prototypes are fixed.", short(kappa.all.median))
        }
        false => format!(
            "Half of those in use lie between {} and {}.",
            short(kappa.in_use.p25),
            short(kappa.in_use.p75)
        ),
    };
    Figure {
        title: "Concentration",
        svg: plot.finish("histogram of kappa"),
        series: vec![("two", "all"), ("one", "in use")],
        note,
    }
}

fn histogram_bars(histogram: &Histogram, axis: Axis<'_>, name: &str) -> Vec<Bar> {
    let width = (axis.high - axis.low) / histogram.counts.len() as f64;
    let bars = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let bar = |(bin, count): (usize, &usize)| {
        let from = axis.low + width * bin as f64;
        let title = format!("{} to {}: {count} {name}", short(from), short(from + width));
        Bar { from, to: from + width, value: *count as f64, title }
    };
    bars.map(bar).collect()
}

/// How undecided single assignments are.
fn decided(mixture: &Mixture, assigned: Assigned) -> Figure {
    let histogram = &mixture.entropy.histogram;
    let most = histogram.counts.iter().copied().max().unwrap_or(1) as f64;
    let name = format!("entropy of {}'s assignment, nats", assigned.one());
    let x = Axis::linear(histogram.low, histogram.high, &name);
    let mut plot = Plot::new(x, Axis::linear(0.0, 1.05 * most, assigned.many()));
    plot.bars("one", &histogram_bars(histogram, x, assigned.many()));
    Figure {
        title: "Certainty",
        svg: plot.finish("histogram of the entropy of assignments"),
        series: Vec::new(),
        note: format!(
            "On average {:.2} nats: as undecided as among {:.1} components.",
            mixture.entropy.conditional,
            mixture.entropy.conditional.exp()
        ),
    }
}

/// k-NN accuracy by κ.
fn accuracy(found: &AccuracyByKappa, neighbors: usize) -> Figure {
    let bar = |(place, group): (usize, &Group)| Bar {
        from: place as f64 + 0.12,
        to: place as f64 + 0.88,
        value: group.accuracy,
        title: format!("{} images, {:.2} % right", group.images, group.accuracy),
    };
    let bars: Vec<Bar> = found.groups.iter().enumerate().map(bar).collect();
    let name = |(place, group): (usize, &Group)| {
        let [low, high] = group.kappa.map(short);
        (place as f64 + 0.5, format!("{low}–{high}"))
    };
    let names: Vec<_> = found.groups.iter().enumerate().map(name).collect();
    let high = bars.iter().map(|bar| bar.value).fold(found.accuracy, f64::max);
    let x =
        Axis::linear(0.0, found.groups.len() as f64, "kappa of the image's component, in fifths");
    let y = Axis::linear(0.0, (1.2 * high).clamp(5.0, 100.0), "k-NN right, %");
    let mut plot = Plot::of_names(x, y, &names);
    plot.bars("one", &bars);
    plot.values(&bars, |bar| format!("{:.1}", bar.value));
    plot.reference(found.accuracy, "");
    let correlation = found.spearman.map_or("none".to_owned(), |rho| format!("{rho:.3}"));
    Figure {
        title: "Is a large kappa easy?",
        svg: plot.finish("accuracy of k-NN by kappa"),
        series: Vec::new(),
        note: format!(
            "k = {neighbors}; the line is the mean of all images, {:.1} %. Rank correlation: \
             {correlation}.",
            found.accuracy
        ),
    }
}
