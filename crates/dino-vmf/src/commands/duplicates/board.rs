//! The pictures of `duplicates`: groups, and pairs on both sides of the threshold.

use std::collections::BTreeMap;

use anyhow::Result;
use multicrop::Image8;
use probe::similarity::Neighbor;
use probe::similarity::duplicates::{Group, Pair};
use report::number::counted;
use report::page::{Figure, Tile};

use super::output::{Answer, Counts};
use crate::commands::compared::Bank;
use crate::commands::histogram::{bars, count_axis_logarithmic};
use crate::commands::pictures::{Board, Picture, Row, Section, thumbnail};
use report::plot::{Axis, Plot};

/// Groups that are shown, those with most images.
const GROUPS: usize = 50;
/// Images of a group that are shown.
const IMAGES: usize = 15;
/// Pairs that are shown on each side of the threshold.
const PAIRS: usize = 12;

/// Small copies of images, by row.
struct Images<'a> {
    bank: &'a Bank,
    images: BTreeMap<usize, Image8>,
}

impl<'a> Images<'a> {
    fn load(bank: &'a Bank, rows: impl Iterator<Item = usize>) -> Result<Self> {
        let places = rows.map(|row| bank.place(row)).collect();
        let images = thumbnail::load(bank.images.dataset(), &bank.decode, places)?;
        Ok(Self { bank, images })
    }

    fn picture(&self, row: usize, caption: String, marked: bool) -> Picture {
        let image = self.images[&self.bank.place(row)].clone();
        Picture { image, caption, name: self.bank.name(row), marked }
    }
}

/// The pictures.
///
/// # Errors
/// An image cannot be read.
pub(super) fn new(answer: &Answer<'_>, features: &str) -> Result<Board> {
    let mut groups: Vec<&Group> = answer.groups.iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.dropped.len())); // stable
    groups.truncate(GROUPS);
    let (above, below) = (above(answer), below(answer));
    let pairs = || above.iter().chain(&below);
    let dropped = groups.iter().flat_map(|group| group.dropped.iter().take(IMAGES));
    let own = dropped.map(|dropped| dropped.row).chain(pairs().map(|pair| pair.left));
    let kept = groups.iter().map(|group| group.kept).chain(pairs().map(|pair| pair.right));
    let (own, kept) = match answer.other {
        Some(other) => (Images::load(answer.bank, own)?, Images::load(other, kept)?),
        None => {
            let rows: Vec<usize> = own.chain(kept).collect();
            let images = Images::load(answer.bank, rows.into_iter())?;
            let same = Images { bank: answer.bank, images: images.images.clone() };
            (images, same)
        }
    };
    let rows = groups.iter().map(|group| row(answer, group, &own, &kept)).collect();
    let pair_row = |pairs: &[Pair]| {
        let both = |(number, pair): (usize, &Pair)| {
            let caption = format!("pair {}: {:.4}", number + 1, pair.cosine);
            let left = own.picture(pair.left, caption.clone(), false);
            [left, kept.picture(pair.right, caption, false)]
        };
        let pictures = pairs.iter().enumerate().flat_map(both).collect();
        vec![Row { heading: String::new(), pictures }]
    };
    let shown = groups.len();
    let mut sections = vec![Section {
        title: "Groups".to_owned(),
        note: format!(
            "The framed image is kept. The others are near-duplicates of it, each with its cosine. {shown} of {} \
             are shown, the largest first.",
            counted(answer.groups.len(), "group")
        ),
        rows,
    }];
    for (title, note, pairs) in [
        ("Just above the threshold", "If these are no duplicates, raise the threshold.", &above),
        ("Just below the threshold", "If these are duplicates, lower the threshold.", &below),
    ] {
        if !pairs.is_empty() {
            let (title, note) = (title.to_owned(), note.to_owned());
            sections.push(Section { title, note, rows: pair_row(pairs) });
        }
    }
    Ok(Board {
        title: "Near-duplicates".to_owned(),
        subtitle: format!("{}; {features}", answer.summary()),
        tiles: tiles(answer),
        figures: vec![figure(answer)],
        sections,
    })
}

fn row(answer: &Answer<'_>, group: &Group, own: &Images<'_>, kept: &Images<'_>) -> Row {
    let picture = |dropped: &Neighbor| {
        let equal = if answer.is_equal(group, dropped) { " equal" } else { "" };
        own.picture(dropped.row, format!("{:.4}{equal}", dropped.cosine), false)
    };
    let dropped = group.dropped.iter().take(IMAGES).map(picture);
    let first = [kept.picture(group.kept, "kept".to_owned(), true)];
    let rest = group.dropped.len().saturating_sub(IMAGES);
    let heading = if rest > 0 { format!("{rest} more are not shown") } else { String::new() };
    Row { heading, pictures: first.into_iter().chain(dropped).collect() }
}

/// The least similar pairs at or above the threshold.
fn above(answer: &Answer<'_>) -> Vec<Pair> {
    let mut pairs = answer.found.pairs.clone();
    pairs.sort_by(|a, b| a.cosine.total_cmp(&b.cosine)); // stable
    pairs.truncate(PAIRS);
    pairs
}

/// The most similar pairs below it, of images that have no near-duplicate.
fn below(answer: &Answer<'_>) -> Vec<Pair> {
    let nearest = answer.found.nearest.iter().enumerate();
    let pair = |(left, near): (usize, &Option<Neighbor>)| {
        let Neighbor { row: right, cosine } = (*near)?;
        Some(Pair { left, right, cosine })
    };
    let is_new = |pair: &Pair| {
        // Within one set, two images that are each other's nearest are one pair.
        let mutual = answer.other.is_none()
            && answer.found.nearest[pair.right].is_some_and(|near| near.row == pair.left);
        pair.cosine < answer.threshold && !(mutual && pair.left > pair.right)
    };
    let mut pairs: Vec<Pair> = nearest.filter_map(pair).filter(is_new).collect();
    pairs.sort_by(|a, b| b.cosine.total_cmp(&a.cosine)); // stable
    pairs.truncate(PAIRS);
    pairs
}

fn tiles(answer: &Answer<'_>) -> Vec<Tile> {
    let Counts { images, groups, dropped, equal } = answer.counts();
    let tile = |name, value: usize, note: String| Tile { name, value: value.to_string(), note };
    vec![
        tile("images", images, answer.bank.images.dataset().describe().replace('`', "")),
        tile("groups", groups, format!("at a cosine of {:.4} or above", answer.threshold)),
        tile("to drop", dropped, format!("of {}", counted(images, "image"))),
        tile("equal", equal, "of those to drop, pixel by pixel".to_owned()),
    ]
}

/// The cosine of each image with its most similar one.
fn figure(answer: &Answer<'_>) -> Figure {
    let histogram = answer.histogram();
    let x = Axis::linear(histogram.low, histogram.high, "cosine with the most similar image");
    let bars = bars(&histogram, &x, "images");
    let y = count_axis_logarithmic(&histogram, "images");
    let mut plot = Plot::new("histogram of the cosine with the most similar image", x, y);
    plot.bars("one", &bars);
    let above = answer.nearest_cosines();
    let above = above.iter().filter(|cosine| **cosine >= f64::from(answer.threshold)).count();
    Figure {
        title: "The most similar image of each".into(),
        plot,
        legend: Vec::new(),
        note: format!(
            "{} at {:.4} or above. A bump at the right end that stands apart is duplicates; a good threshold lies \
             in the valley before it.",
            counted(above, "image"),
            answer.threshold
        ),
    }
}
