//! A page of known and unknown images: how their scores lie, and the images that are taken for the other kind.

use anyhow::Result;
use multicrop::decode;
use probe::Subset;
use probe::analysis::distribution::Histogram;
use probe::separation::Separation;
use report::number::{counted, percent, short};
use report::page::{Figure, LegendEntry, Tile};
use report::plot::{Axis, Bar, Plot};

use super::super::super::pictures::{Board, Picture, Row, Section, thumbnail};
use super::Found;
use super::scores::Scored;

/// Images of a section.
const SHOWN: usize = 24;

/// A set of which some images are taken for the other kind.
struct Mistaken<'a> {
    set: &'a Scored,
    images: &'a Subset,
    title: String,
    /// Which scores they have, in a word.
    order: &'static str,
    highest: bool,
}

/// The page. `decode` says how images are read.
///
/// # Errors
/// An image cannot be read, or a score is not a number.
pub(super) fn board(found: &Found, subtitle: String, decode: &decode::Options) -> Result<Board> {
    let (mut tiles, mut figures, mut sections) = (Vec::new(), Vec::new(), Vec::new());
    for (unknown, images) in found.unknown.iter().zip(&found.unknown_images) {
        let mut best: Option<(usize, f64)> = None;
        for place in 0..found.measures.len() {
            let separation = found.separation(place, unknown)?;
            tiles.push(tile(found, place, unknown, separation.auroc));
            figures.push(figure(found, place, unknown, separation));
            if best.is_none_or(|(_, auroc)| separation.auroc > auroc) {
                best = Some((place, separation.auroc));
            }
        }
        let place = best.map_or(0, |(place, _)| place);
        let measure = found.measures[place].title();
        let known = Mistaken {
            set: &found.known,
            images: &found.known_images,
            title: format!("Known images that look unknown, beside {}", unknown.source),
            order: "lowest",
            highest: false,
        };
        let title = format!("Unknown images that look known: {}", unknown.source);
        let of_unknown = Mistaken { set: unknown, images, title, order: "highest", highest: true };
        for of in [known, of_unknown] {
            sections.push(section(&of, &measure, place, decode)?);
        }
    }
    let title = "Known and unknown images".to_owned();
    Ok(Board { title, subtitle, tiles, figures, sections })
}

fn tile(found: &Found, place: usize, unknown: &Scored, auroc: f64) -> Tile {
    let note = format!("{}; unknown: {}", found.measures[place].title(), unknown.source);
    Tile { name: "AUROC", value: percent(auroc), note: note.replace('`', "") }
}

/// The scores of both sets, as shares of each.
fn figure(found: &Found, place: usize, unknown: &Scored, separation: Separation) -> Figure {
    let sets = [&found.known, unknown].map(|set| &set.values[place][..]);
    let title = found.measures[place].title();
    let Separation { auroc, fpr95 } = separation;
    let entry = |class, name: &str| LegendEntry { class, name: name.to_owned().into() };
    Figure {
        plot: plot(sets, &title),
        title: title.into(),
        legend: vec![entry("two", "known"), entry("one", "unknown")],
        note: format!(
            "Unknown: {}. AUROC {}, FPR95 {}.",
            unknown.source.replace('`', ""),
            percent(auroc),
            percent(fpr95)
        ),
    }
}

/// Bars of the known scores, and a line of the unknown ones.
fn plot([known, unknown]: [&[f64]; 2], label: &str) -> Plot {
    let both = || known.iter().chain(unknown).copied();
    let (low, high) =
        (both().fold(f64::INFINITY, f64::min), both().fold(f64::NEG_INFINITY, f64::max));
    let [known, unknown] = [known, unknown].map(|scores| {
        let counts = Histogram::between(low, high, scores).counts;
        counts.iter().map(|count| 100.0 * *count as f64 / scores.len() as f64).collect::<Vec<_>>()
    });
    let x = Axis::linear(low, high, label);
    let width = (x.high - x.low) / known.len() as f64;
    let ends = |bin: usize| (x.low + width * bin as f64, x.low + width * (bin + 1) as f64);
    let bar = |(bin, share): (usize, &f64)| {
        let (from, to) = ends(bin);
        let title = format!("{} to {}: {} % of the known", short(from), short(to), short(*share));
        Bar { from, to, value: *share, title }
    };
    let bars: Vec<Bar> = known.iter().enumerate().map(bar).collect();
    let step = |(bin, share): (usize, &f64)| {
        let (from, to) = ends(bin);
        [(from, *share), (to, *share)]
    };
    let steps: Vec<(f64, f64)> = unknown.iter().enumerate().flat_map(step).collect();
    let most = known.iter().chain(&unknown).copied().fold(0.0, f64::max);
    let mut plot = Plot::new(
        "shares of scores",
        x,
        Axis::linear(0.0, 1.05 * most, "% of the images of a set"),
    );
    plot.bars("two", &bars);
    plot.line("one", &steps);
    plot
}

/// The images of a set that look most like the other kind.
fn section(
    of: &Mistaken<'_>,
    measure: &str,
    place: usize,
    decode: &decode::Options,
) -> Result<Section> {
    let Mistaken { set, images, title, order, .. } = of;
    let scores = &set.values[place];
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    let sign = if of.highest { -1.0 } else { 1.0 };
    rows.sort_by(|a, b| (sign * scores[*a]).total_cmp(&(sign * scores[*b])));
    rows.truncate(SHOWN);
    let places = rows.iter().map(|row| set.places[*row]).collect();
    let thumbnails = thumbnail::load(images.dataset(), decode, places)?;
    let picture = |row: &usize| Picture {
        image: thumbnails[&set.places[*row]].clone(),
        caption: short(scores[*row]),
        name: set.names[*row].clone(),
        marked: false,
    };
    let note = format!(
        "The {order} of {} by {measure}, the score with the largest AUROC here. Below each image stands its score.",
        counted(scores.len(), "image"),
    );
    let pictures = rows.iter().map(picture).collect();
    let rows = vec![Row { heading: String::new(), pictures }];
    Ok(Section { title: title.replace('`', ""), note, rows })
}
