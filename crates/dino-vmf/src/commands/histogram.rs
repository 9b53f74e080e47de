//! Histograms as bars of a plot.

use probe::analysis::distribution::Histogram;
use report::number::short_beside;
use report::plot::{Axis, Bar};

/// An axis with room for the highest bar of a histogram.
pub(crate) fn count_axis(histogram: &Histogram, label: &str) -> Axis {
    Axis::linear(0.0, 1.05 * most(histogram), label)
}

/// The same, logarithmic: a few values stay visible beside many.
pub(crate) fn count_axis_logarithmic(histogram: &Histogram, label: &str) -> Axis {
    Axis::logarithmic(0.5, 1.5 * most(histogram), label)
}

fn most(histogram: &Histogram) -> f64 {
    histogram.counts.iter().copied().max().unwrap_or(1) as f64
}

/// Bars of the bins that are not empty. `unit` stands behind the count in their hover text.
pub(crate) fn bars(histogram: &Histogram, axis: &Axis, unit: &str) -> Vec<Bar> {
    let width = (axis.high - axis.low) / histogram.counts.len() as f64;
    let bins = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let bar = |(bin, count): (usize, &usize)| {
        let from = axis.low + width * bin as f64;
        let [low, high] = [from, from + width].map(|end| short_beside(end, width));
        let title = format!("{low} to {high}: {count} {unit}");
        Bar { from, to: from + width, value: *count as f64, title }
    };
    bins.map(bar).collect()
}
