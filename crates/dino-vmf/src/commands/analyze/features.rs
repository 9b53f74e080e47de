//! `dino-vmf analyze features`: measures of features that need no labels.

use std::path::PathBuf;

use anyhow::Result;
use askama::Template;
use clap::{Args, ValueHint};
use probe::analysis::features::Features as Measures;
use probe::{Encoder, Extracted, Kind, Pass, Progress, Source, Views, Wanted};
use report::number::short;
use report::page::{Figure, Figures, LegendEntry, Page, Table, Tile, Tiles};
use report::plot::{Axis, Plot};
use serde::Serialize;

use super::subject::{Input, Subject, image_progress};
use crate::commands::network_role::NetworkRole;
use crate::commands::page_file::{check_page, write_file};
use crate::console::Console;

/// Measure features without labels: RankMe, spread, uniformity, alignment, spectrum
///
/// Measures the backbone's `[CLS]` token and the head's bottleneck vector. Each value stands beside that of
/// the same network before training, for comparison. Alignment compares two augmented global crops of each
/// image; they are those of the run's first epoch.
///
/// `--json` prints one line: an object with `"event":"features"`, and `backbone` and `bottleneck` with
/// `trained` and `untrained` each. docs/analysis.md explains each value.
///
/// Example: dino-vmf analyze features runs/a --data photos:test
#[derive(Debug, Args)]
pub(crate) struct Features {
    #[command(flatten)]
    subject: Subject,
    /// Write a page with the spectra to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
}

/// The features to measure: of the backbone and of the head.
const WANTED: [Wanted; 2] =
    [Wanted { kind: Kind::Cls, unit: false }, Wanted { kind: Kind::Bottleneck, unit: false }];

/// The result, with the network and the images that it belongs to.
#[derive(Debug, Serialize)]
struct Record {
    checkpoint: String,
    step: Option<u64>,
    network: NetworkRole,
    data: String,
    /// Number of images that could be read.
    images: usize,
    backbone: Comparison,
    /// `None` if the checkpoint has no head.
    bottleneck: Option<Comparison>,
}

/// Measures of the same vectors after and before training.
#[derive(Debug, Serialize)]
struct Comparison {
    trained: Measures,
    untrained: Measures,
}

impl Record {
    /// Trained and untrained, of the backbone and of the head.
    fn columns(&self) -> Vec<&Measures> {
        let both = std::iter::once(&self.backbone).chain(&self.bottleneck);
        both.flat_map(|of| [&of.trained, &of.untrained]).collect()
    }
}

impl Features {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_page)?;
        let input = self.subject.open(false, console)?;
        let record = measure(&input, console)?;
        let subject = input.describe(record.images);
        print_table(&subject, &record, console);
        console.event("features", &record);
        if let Some(path) = &self.html {
            write_file(path, &page(subject, &record), console)?;
        }
        Ok(())
    }
}

fn measure(input: &Input<'_>, console: &mut Console) -> Result<Record> {
    let Input { subject, checkpoint, images, .. } = input;
    let params = &checkpoint.draw_untrained();
    let untrained = Encoder { name: "untrained", network: &checkpoint.network, params };
    let (recipe, seed) = (&checkpoint.config.data.recipe(), checkpoint.config.seed);
    let trained = input.encoder();
    let sources: [&dyn Source; 2] = [&trained, &untrained];
    let passes =
        [Views::Square, Views::GlobalCrops { recipe, seed }].map(|views| input.pass(views));
    let values = passes.iter().map(|pass| pass.values_of_image(&sources, &WANTED)).sum();
    input.require_memory(images.len(), values)?;
    let mut report = image_progress(console, "two networks");
    let progress = &mut Progress::new(2 * images.len(), &mut report);
    let mut extract = |pass: &Pass<'_>| -> Result<Extracted> {
        let extracted = pass.extract(&sources, &WANTED, progress)?;
        extracted.passed.require_finite()?;
        Ok(extracted)
    };
    let (squares, crops) = (extract(&passes[0])?, extract(&passes[1])?);
    drop(report);
    console.end_progress();
    squares.passed.left_out.iter().for_each(|text| console.warn(text));
    let measures = |source: usize, kind: usize| {
        let [squares, crops] = [&squares, &crops].map(|from| &from.features[source][kind].rows);
        Measures::of(squares, crops)
    };
    let compare = |kind| Comparison { trained: measures(0, kind), untrained: measures(1, kind) };
    Ok(Record {
        checkpoint: subject.path().display().to_string(),
        step: checkpoint.step,
        network: input.network(),
        data: images.dataset().describe(),
        images: squares.passed.indices.len(),
        backbone: compare(0),
        bottleneck: checkpoint.head.is_some().then(|| compare(1)),
    })
}

/// A row of the table.
struct Measure {
    name: &'static str,
    value: fn(&Measures) -> String,
    meaning: &'static str,
    /// Whether the top of the page shows it too.
    tile: bool,
}

const MEASURES: [Measure; 7] = [
    Measure {
        name: "dimensions",
        value: |of| of.dimensions.to_string(),
        meaning: "width of a vector",
        tile: false,
    },
    Measure {
        name: "RankMe",
        value: |of| format!("{:.1}", of.spectrum.rankme),
        meaning: "effective dimensions, by singular values",
        tile: true,
    },
    Measure {
        name: "participation ratio",
        value: |of| optional(of.spectrum.participation_ratio, 1),
        meaning: "effective dimensions, by variances",
        tile: false,
    },
    Measure {
        name: "axes of 90 %",
        value: |of| of.spectrum.axes_of_90_percent.to_string(),
        meaning: "principal axes that hold 90 % of the variance",
        tile: false,
    },
    Measure {
        name: "std x sqrt(d)",
        value: |of| format!("{:.3}", of.std),
        meaning: "0 collapsed, 1 isotropic",
        tile: true,
    },
    Measure {
        name: "uniformity",
        value: |of| optional(of.uniformity, 3),
        meaning: "0 collapsed, about -4 isotropic",
        tile: true,
    },
    Measure {
        name: "alignment",
        value: |of| format!("{:.3}", of.alignment),
        meaning: "two crops: 0 equal, 2 unrelated",
        tile: true,
    },
];

/// A value with `decimals` digits, or `-` if it is undefined, for example for one image.
fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn print_table(subject: &str, record: &Record, console: &mut Console) {
    console.text(subject);
    console.text("");
    let columns = record.columns();
    let bottleneck = if record.bottleneck.is_some() { "bottleneck" } else { "" };
    console.text(format!("{:20}{:>22}{bottleneck:>22}", "", "backbone").trim_end());
    let head = ["trained", "untrained"].repeat(columns.len() / 2);
    let head: String = head.into_iter().map(|name| format!("{name:>11}")).collect();
    console.text(format!("{:20}{head}", ""));
    for Measure { name, value, meaning, .. } in MEASURES {
        let cells: String = columns.iter().map(|of| format!("{:>11}", value(of))).collect();
        console.text(format!("{name:20}{cells}  {meaning}"));
    }
}

#[derive(Template)]
#[template(path = "features.html")]
struct Content {
    tiles: Tiles,
    figures: Figures,
    table: Table,
}

fn page(subject: String, record: &Record) -> Page<Content> {
    let Comparison { trained, untrained } = &record.backbone;
    let tile = |measure: &Measure| Tile {
        name: measure.name,
        value: (measure.value)(trained),
        note: format!("untrained: {}", (measure.value)(untrained)),
    };
    let mut figures = vec![spectrum("Backbone, [CLS]", &record.backbone)];
    let bottleneck = record.bottleneck.as_ref();
    figures.extend(bottleneck.map(|of| spectrum("Head, bottleneck", of)));
    let content = Content {
        tiles: Tiles(MEASURES.iter().filter(|measure| measure.tile).map(tile).collect()),
        figures: Figures(figures),
        table: table(record),
    };
    Page { title: "Features".to_owned(), subtitle: subject, content }
}

fn table(record: &Record) -> Table {
    let row = |measure: &Measure| {
        let mut row = vec![measure.name.to_owned()];
        row.extend(record.columns().into_iter().map(measure.value));
        row.push(measure.meaning.to_owned());
        row
    };
    let mut head = vec!["", "backbone", "untrained"];
    if record.bottleneck.is_some() {
        head.extend(["bottleneck", "untrained"]);
    }
    head.push("");
    Table { head, rows: MEASURES.iter().map(row).collect() }
}

/// Share of the variance along each principal axis, after and before training.
fn spectrum(title: &'static str, comparison: &Comparison) -> Figure {
    let Comparison { trained, untrained } = comparison;
    let high = [trained, untrained].map(|of| of.spectrum.explained.first().copied().unwrap_or(1.0));
    let y = Axis::logarithmic(1e-5, high[0].max(high[1]), "share of the variance");
    let x = Axis::linear(1.0, trained.dimensions as f64, "principal axes, the largest first");
    let mut plot = Plot::new("share of the variance by principal axis", x, y);
    for (class, of) in [("two", untrained), ("one", trained)] {
        let points = (1..).zip(&of.spectrum.explained);
        let points: Vec<_> = points.map(|(axis, share)| (f64::from(axis), *share)).collect();
        plot.line(class, &points);
    }
    Figure {
        title: title.into(),
        plot,
        legend: vec![
            LegendEntry { class: "one", name: "trained".into() },
            LegendEntry { class: "two", name: "untrained".into() },
        ],
        note: format!(
            "Axes that hold 90 % of the variance: {} (untrained: {}). RankMe: {} (untrained: {}).",
            trained.spectrum.axes_of_90_percent,
            untrained.spectrum.axes_of_90_percent,
            short(trained.spectrum.rankme),
            short(untrained.spectrum.rankme)
        ),
    }
}
