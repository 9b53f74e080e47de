//! What `outliers` says: text, JSON, a table, pictures.

use std::path::Path;

use anyhow::Result;
use multicrop::decode;
use probe::Subset;
use probe::analysis::distribution::{Histogram, Summary};
use report::number::{counted, percent, short};
use report::page::{Figure, LegendEntry, Tile};
use report::plot::{Axis, Plot};
use serde_json::{Value, json};

use super::score::{Measure, Scored};
use crate::commands::histogram::{bars, count_axis_logarithmic};
use crate::commands::pictures::{Board, Picture, Row, Section, thumbnail};
use crate::commands::table_file::write_table;
use crate::console::Console;

/// Outliers that are printed as text.
const PRINTED: usize = 10;
/// Shares of the reference below which images are counted.
const TAILS: [f64; 2] = [0.01, 0.001];

/// The scores of all images.
pub(super) struct Answer<'a> {
    pub(super) measure: Measure,
    pub(super) network: String,
    pub(super) images: &'a Subset,
    pub(super) train: Option<&'a Subset>,
    pub(super) scored: &'a Scored,
    /// Scores of `train`.
    pub(super) reference: Option<&'a Scored>,
    /// Rows, the least usual first.
    pub(super) order: Vec<usize>,
    pub(super) quantiles: Vec<f64>,
    /// Outliers that are shown.
    pub(super) most: usize,
}

impl Answer<'_> {
    fn name(&self, row: usize) -> String {
        self.images.dataset().name(self.scored.places[row])
    }

    fn class(&self, row: usize) -> &str {
        self.images.dataset().class(self.scored.places[row]).unwrap_or_default()
    }

    /// How many images score lower than a share of the reference does, and how many are expected to.
    fn tails(&self) -> Vec<(f64, usize, f64)> {
        let count = |tail: f64| self.quantiles.iter().filter(|q| **q <= tail).count();
        let all = self.quantiles.len() as f64;
        TAILS.iter().map(|&tail| (tail, count(tail), tail * all)).collect()
    }

    fn summary(&self) -> String {
        let images = counted(self.scored.scores.len(), "image");
        let Summary { median, p5, .. } = Summary::of(&self.scored.scores);
        let mut text = format!(
            "{}, {images}: {}: median {median:.3}, 5 % quantile {p5:.3}",
            self.images.dataset().describe(),
            self.measure.title()
        );
        if let Some(train) = self.train {
            let name = train.dataset().describe();
            let tails = self.tails();
            let parts: Vec<String> = tails
                .iter()
                .map(|(tail, count, expected)| {
                    let (tail, expected) = (percent(*tail), short(*expected));
                    format!(
                        "{count} score as low as the lowest {tail} of {name} (expected: {expected})"
                    )
                })
                .collect();
            text += &format!("; {}", parts.join(", "));
        }
        text
    }

    pub(super) fn print(&self, console: &mut Console) {
        console.text(self.summary());
        for &row in self.order.iter().take(self.most.min(PRINTED)) {
            let class = self.class(row);
            let class = if class.is_empty() { String::new() } else { format!("  ({class})") };
            let (score, quantile) = (self.scored.scores[row], percent(self.quantiles[row]));
            console.text(format!("  {score:.4}  {quantile}  {}{class}", self.name(row)));
        }
        let outliers = self.order.iter().take(self.most);
        let tail = |(tail, count, _): &(f64, usize, f64)| json!({ "share": tail, "images": count });
        console.event(
            "outliers",
            &json!({
                "source": self.images.dataset().describe(),
                "train": self.train.map(|train| train.dataset().describe()),
                "network": self.network,
                "score": self.measure.name(),
                "images": self.scored.scores.len(),
                "summary": Summary::of(&self.scored.scores),
                "reference": self.reference.map(|of| Summary::of(&of.scores)),
                "tails": self.tails().iter().map(tail).collect::<Vec<_>>(),
                "outliers": outliers.map(|row| self.record(*row)).collect::<Vec<_>>(),
            }),
        );
    }

    fn record(&self, row: usize) -> Value {
        json!({
            "index": self.scored.places[row], "name": self.name(row), "class": self.class(row),
            "score": self.scored.scores[row], "quantile": self.quantiles[row],
        })
    }

    pub(super) fn write_csv(&self, path: &Path, console: &mut Console) -> Result<()> {
        let head = ["rank", "score", "quantile", "index", "name", "class"];
        let rows = self.order.iter().enumerate().map(|(rank, &row)| {
            [
                (rank + 1).to_string(),
                self.scored.scores[row].to_string(),
                self.quantiles[row].to_string(),
                self.scored.places[row].to_string(),
                self.name(row),
                self.class(row).to_owned(),
            ]
        });
        write_table(path, head, rows, console)
    }

    /// The least and the most usual images.
    ///
    /// # Errors
    /// An image cannot be read.
    pub(super) fn board(&self, decode: &decode::Options) -> Result<Board> {
        let lowest = &self.order[..self.most.min(self.order.len())];
        let usual = self.order.len() - lowest.len();
        let highest: Vec<usize> = self.order.iter().rev().take(usual.min(10)).copied().collect();
        let rows = || lowest.iter().chain(&highest);
        let places = rows().map(|row| self.scored.places[*row]).collect();
        let images = thumbnail::load(self.images.dataset(), decode, places)?;
        let picture = |row: &usize| Picture {
            image: images[&self.scored.places[*row]].clone(),
            caption: format!(
                "{} · {}",
                short(self.scored.scores[*row]),
                percent(self.quantiles[*row])
            ),
            name: self.name(*row),
            marked: false,
        };
        let section = |title: &str, note: String, rows: &[usize]| Section {
            title: title.to_owned(),
            note,
            rows: vec![Row {
                heading: String::new(),
                pictures: rows.iter().map(picture).collect(),
            }],
        };
        let of = self.train.map_or("these images".to_owned(), |train| train.dataset().describe());
        let of = of.replace('`', "");
        let note = format!(
            "Below each image: its {}, and the share of {of} that scores as low.",
            self.measure.title()
        );
        let mut sections = vec![section("The least usual images", note, lowest)];
        if !highest.is_empty() {
            sections.push(section("For comparison, the most usual", String::new(), &highest));
        }
        Ok(Board {
            title: "Outliers".to_owned(),
            subtitle: format!("{}; by {}", self.summary(), self.network),
            tiles: self.tiles(),
            figures: vec![self.figure()],
            sections,
        })
    }

    fn tiles(&self) -> Vec<Tile> {
        let Summary { median, .. } = Summary::of(&self.scored.scores);
        let mut tiles = vec![
            Tile {
                name: "images",
                value: self.scored.scores.len().to_string(),
                note: self.images.dataset().describe().replace('`', ""),
            },
            Tile { name: "median", value: short(median), note: self.measure.title().to_owned() },
        ];
        if self.train.is_some() {
            let names = ["lowest 1 %", "lowest 0.1 %"];
            tiles.extend(names.into_iter().zip(self.tails()).map(
                |(name, (_, count, expected))| {
                    let note = format!("of the reference; expected: {}", short(expected));
                    Tile { name, value: count.to_string(), note }
                },
            ));
        }
        tiles
    }

    /// Histograms of the scores and of the reference.
    fn figure(&self) -> Figure {
        let all = || {
            let reference = self.reference.iter().flat_map(|of| &of.scores);
            self.scored.scores.iter().chain(reference).copied()
        };
        let (low, high) =
            (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let x = Axis::linear(low, high, self.measure.title());
        let own = Histogram::between(low, high, &self.scored.scores);
        let reference = self.reference.map(|of| Histogram::between(low, high, &of.scores));
        let highest = reference.iter().chain([&own]).max_by_key(|of| of.counts.iter().max());
        let y = count_axis_logarithmic(highest.unwrap_or(&own), "images");
        let drawn_reference = reference.as_ref().map(|of| bars(of, &x, "of the reference"));
        let drawn = bars(&own, &x, "images");
        let mut plot = Plot::new("histogram of scores", x, y);
        drawn_reference.iter().for_each(|bars| plot.bars("two", bars));
        plot.bars("one", &drawn);
        let entry = |class, name: &'static str| LegendEntry { class, name: name.into() };
        let legend = match reference {
            Some(_) => vec![entry("two", "reference"), entry("one", "images")],
            None => Vec::new(),
        };
        Figure {
            title: "Scores".into(),
            plot,
            legend,
            note: "Low is unusual. The axis of counts is logarithmic.".to_owned(),
        }
    }
}
