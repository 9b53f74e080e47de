//! The plots of the page: a number over steps, with a line for each run.

use report::history::Series;
use report::number::{short, short_beside};
use report::page::{Figure, LegendEntry};
use report::plot::{Axis, Plot};

use super::evaluations::{Name, course, scored};
use super::run::Run;
use super::{MOST_ON_A_PAGE, events};

/// Style classes of runs: eight colors, then the same as dotted lines.
const CLASSES: [&str; MOST_ON_A_PAGE] = [
    "s0",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "s0 dotted",
    "s1 dotted",
    "s2 dotted",
    "s3 dotted",
    "s4 dotted",
    "s5 dotted",
    "s6 dotted",
    "s7 dotted",
];
/// Fewer bytes than these are not worth leaving out of names.
const LONG: usize = 6;
/// Most runs whose bands are drawn; those of more would hide each other.
const MOST_BANDS: usize = 4;
/// An axis is logarithmic if the largest value is more than this many times the least.
const LOGARITHMIC: f64 = 200.0;

/// What a plot shows.
pub(super) struct Subject {
    pub(super) title: String,
    pub(super) unit: &'static str,
    /// What it means, in a sentence.
    pub(super) note: String,
    /// Values that the lines are compared with, with their names.
    pub(super) references: Vec<(f64, String)>,
}

/// A line of a run.
struct Line<'a> {
    run: &'a Run,
    class: &'static str,
    points: Vec<(f64, f64)>,
    /// Lower and upper edge of a band around it.
    band: Vec<(f64, f64, f64)>,
    /// The last value.
    last: f64,
}

/// The style class of a run, by its place.
pub(super) fn class(place: usize) -> &'static str {
    CLASSES[place % CLASSES.len()]
}

/// A plot of a series of each run that has it; nothing if none has. The band spans the values of thinned points.
pub(super) fn series<'a>(
    runs: &'a [Run],
    subject: Subject,
    of: impl Fn(&'a Run) -> Option<&'a Series>,
) -> Option<Figure> {
    let line = |(place, run): (usize, &'a Run)| {
        let series = of(run)?;
        let points = series.points();
        let is_thinned = series.per_point() > 1;
        Some(Line {
            run,
            class: class(place),
            points: points.iter().map(|point| (point.step(), point.mean)).collect(),
            band: match is_thinned {
                true => points.iter().map(|point| (point.step(), point.min, point.max)).collect(),
                false => Vec::new(),
            },
            last: series.last()?,
        })
    };
    figure(runs, subject, runs.iter().enumerate().filter_map(line).collect())
}

/// A plot of the median of κ with a band between two quantiles.
pub(super) fn quantiles<'a>(runs: &'a [Run], subject: Subject, band: [&str; 2]) -> Option<Figure> {
    let line = |(place, run): (usize, &'a Run)| {
        let of = |name: &str| run.history.diagnostics.get(name);
        let median = of("kappa.median")?;
        let [low, high] = band.map(of);
        let edges = low?.points().iter().zip(high?.points());
        Some(Line {
            run,
            class: class(place),
            points: median.points().iter().map(|point| (point.step(), point.mean)).collect(),
            band: edges.map(|(low, high)| (low.step(), low.mean, high.mean)).collect(),
            last: median.last()?,
        })
    };
    let lines = runs.iter().enumerate().filter_map(line).collect();
    figure(runs, subject, lines)
}

/// A plot of an evaluation, beside the baselines.
pub(super) fn evaluation<'a>(runs: &'a [Run], name: &Name) -> Option<Figure> {
    let scored: Vec<_> = runs.iter().filter_map(|run| scored(run, name)).collect();
    let mut references = Vec::new();
    for (text, values) in [
        ("raw pixels", scored.iter().map(|of| of.raw).collect::<Vec<_>>()),
        ("untrained", scored.iter().map(|of| of.untrained).collect()),
        ("start", scored.iter().map(|of| of.start).collect()),
    ] {
        let mut values: Vec<f64> = values.into_iter().flatten().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        // Where runs have networks of their own, the table has the numbers of each.
        if let [value] = values[..] {
            references.push((value, format!("{text} {value:.2}")));
        }
    }
    let subject = Subject {
        title: name.title(),
        unit: "",
        note: "Dashed: the same measure of what training must beat.".to_owned(),
        references,
    };
    let line = |(place, run): (usize, &'a Run)| {
        let points = course(run, name);
        let last = points.last()?.1;
        Some(Line { run, class: class(place), points, band: Vec::new(), last })
    };
    figure(runs, subject, runs.iter().enumerate().filter_map(line).collect())
}

fn figure(runs: &[Run], subject: Subject, lines: Vec<Line<'_>>) -> Option<Figure> {
    let Subject { title, unit, note, references } = subject;
    let bands = lines.len() <= MOST_BANDS;
    let y = y_axis(&lines, &references, unit, bands)?;
    // As far as these lines go: a run that is not among them may be far longer.
    let last_step = lines.iter().map(|line| line.run.history.last_step).max().unwrap_or(0);
    let x = Axis::linear(0.0, last_step as f64, "steps");
    let mut plot = Plot::new(description(&title, &lines), x, y);
    for (step, text) in lines.iter().flat_map(|line| events::alarms(line.run)) {
        plot.mark("alarm", step as f64, text);
    }
    for line in lines.iter().filter(|_| bands) {
        plot.band(line.class, &line.band);
    }
    for (place, (value, name)) in references.iter().enumerate() {
        match place % 2 {
            0 => plot.reference(*value, name),
            _ => plot.reference_at_left(*value, name),
        }
    }
    for line in &lines {
        plot.line_of(&line.run.name, line.class, &line.points);
        if let ([point], _) | ([.., point], true) = (&line.points[..], line.points.len() < 30) {
            plot.dot(line.class, *point);
        }
    }
    Some(Figure { title: title.into(), plot, legend: legend(runs, &lines), note })
}

/// The names of runs, without the words that all begin with.
fn legend(runs: &[Run], lines: &[Line<'_>]) -> Vec<LegendEntry> {
    if runs.len() < 2 {
        return Vec::new();
    }
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let shared = shared_words(&names);
    let entry = |line: &Line<'_>| {
        let name = match shared {
            0 => line.run.name.clone(),
            _ => format!("…{}", &line.run.name[shared..]),
        };
        LegendEntry { class: line.class, name: name.into() }
    };
    lines.iter().map(entry).collect()
}

/// Bytes of the words with which all names begin, if they are longer than a few letters.
fn shared_words(names: &[&str]) -> usize {
    let [first, others @ ..] = names else { return 0 };
    let is_shared = |end: usize| others.iter().all(|name| name.starts_with(&first[..end]));
    let ends = first.match_indices(['-', '_', '/', '.', ' ']).map(|(place, _)| place);
    ends.filter(|&end| end >= LONG && is_shared(end)).max().unwrap_or(0)
}

/// An axis with room for all lines and references; nothing without a line.
fn y_axis(
    lines: &[Line<'_>],
    references: &[(f64, String)],
    unit: &str,
    bands: bool,
) -> Option<Axis> {
    let of_lines = lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    let of_bands = lines
        .iter()
        .filter(|_| bands)
        .flat_map(|line| line.band.iter().flat_map(|(_, low, high)| [*low, *high]));
    let (low, high) = of_lines
        .chain(of_bands)
        .map(|value| (value, value))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let fold = |value: f64, to: fn(f64, f64) -> f64| {
        references.iter().fold(value, |value, (reference, _)| to(value, *reference))
    };
    if low > 0.0 && high > LOGARITHMIC * low && references.is_empty() {
        return Some(Axis::logarithmic(low, high, unit));
    }
    let (low, high) = (fold(low, f64::min), fold(high, f64::max));
    let room = match high - low {
        0.0 => (0.05 * high.abs()).max(1e-9),
        range => 0.06 * range,
    };
    // Counts and norms have no room below zero.
    let foot = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
    Some(Axis::linear(foot, high + room, unit))
}

/// The plot in words, for people who do not see it.
fn description(title: &str, lines: &[Line<'_>]) -> String {
    let words = |line: &Line<'_>| {
        let values = || line.points.iter().map(|(_, value)| *value);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let name = &line.run.name;
        let [last, low, high] = [line.last, low, high].map(|value| short_beside(value, high - low));
        format!("{name}: last {last}, from {low} to {high}")
    };
    format!("{title} over steps. {}", lines.iter().map(words).collect::<Vec<_>>().join("; "))
}

/// The last values of a run's lines, for the sentence below a plot with one run.
pub(super) fn last_value(run: &Run, series: Option<&Series>) -> String {
    let last = series.and_then(Series::last);
    last.map(|value| format!(" At step {}: {}.", run.history.last_step, short(value)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_words_that_all_begin_with() {
        assert_eq!(shared_words(&["vits-lr-0.1", "vits-lr-0.2"]), "vits-lr-0".len());
        assert_eq!(shared_words(&["vits-lr", "vits-lr-2"]), 0, "four letters are few");
        assert_eq!(shared_words(&["a-long-name", "another"]), 0);
        assert_eq!(shared_words(&["übermäßig-a", "übermäßig-b"]), "übermäßig".len());
    }
}
