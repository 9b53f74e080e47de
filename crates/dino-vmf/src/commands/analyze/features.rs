//! `dino-vmf analyze features`: how features lie in space, without any label.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::analysis::features::Features as Measures;
use dino::probe::{Encoder, Extracted, Kind, Progress, Source, Views, Wanted};
use serde::Serialize;

use super::page::{Figure, Page, check_file, write_file};
use super::plot::{Axis, Plot, short};
use super::{Loaded, Subject, Which, shown};
use crate::console::Console;

/// Measure features without labels: RankMe, spread, uniformity, alignment, spectrum
///
/// Of the backbone's class token and of the head's vector, each beside what the same network
/// makes of the images before training, so that numbers can be judged. Alignment compares two
/// augmented global crops of each image, drawn as the run draws them in its first epoch.
///
/// With `--json` the result is one line, an object with `"event":"features"` and in it `backbone` and
/// `bottleneck`, each with `trained` and `untrained`. docs/analysis.md explains each number.
///
/// Example: dino-vmf analyze features --checkpoint runs/a --data photos:test
#[derive(Debug, Args)]
pub(crate) struct Features {
    #[command(flatten)]
    subject: Subject,
    /// Write a page with the spectra to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
}

/// Features that are measured: of the backbone and of the head.
const WANTED: [Wanted; 2] =
    [Wanted { kind: Kind::Cls, unit: false }, Wanted { kind: Kind::Bottleneck, unit: false }];

/// The result with its circumstances.
#[derive(Debug, Serialize)]
struct Found {
    checkpoint: String,
    step: u64,
    network: Which,
    data: String,
    images: usize,
    backbone: Pair,
    bottleneck: Pair,
}

/// The same vectors of two networks.
#[derive(Debug, Serialize)]
struct Pair {
    trained: Measures,
    untrained: Measures,
}

impl Found {
    fn columns(&self) -> [&Measures; 4] {
        let Self { backbone, bottleneck, .. } = self;
        [&backbone.trained, &backbone.untrained, &bottleneck.trained, &bottleneck.untrained]
    }
}

impl Features {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_file)?;
        let loaded = self.subject.open(false, console)?;
        let found = self.find(&loaded, console)?;
        let subject = self.subject.describe(&loaded, found.images);
        show(&subject, &found, console);
        console.event("features", &found);
        if let Some(path) = &self.html {
            write_file(path, &page(&subject, &found), console)?;
        }
        Ok(())
    }

    fn find(&self, loaded: &Loaded, console: &mut Console) -> Result<Found> {
        let Loaded { checkpoint, images, which, .. } = loaded;
        let params = &checkpoint.draw_untrained();
        let untrained = Encoder { name: "untrained", network: &checkpoint.network, params };
        let (recipe, seed) = (&checkpoint.config.data.recipe(), checkpoint.config.seed);
        let mut report = shown(console, "two networks");
        let progress = &mut Progress::new(2 * images.len(), &mut report);
        let mut extract = |views| -> Result<Extracted> {
            let sources = [&loaded.encoder() as &dyn Source, &untrained];
            let extracted = loaded.pass(views).extract(&sources, &WANTED, progress)?;
            extracted.passed.require_finite()?;
            Ok(extracted)
        };
        let squares = extract(Views::Square)?;
        let crops = extract(Views::GlobalCrops { recipe, seed })?;
        drop(report);
        console.end_progress();
        squares.passed.left_out.iter().for_each(|text| console.warn(text));
        let measures = |source: usize, kind: usize| {
            let [squares, crops] = [&squares, &crops].map(|from| &from.features[source][kind].rows);
            Measures::of(squares, crops)
        };
        let pair = |kind| Pair { trained: measures(0, kind), untrained: measures(1, kind) };
        Ok(Found {
            checkpoint: self.subject.checkpoint.display().to_string(),
            step: checkpoint.step,
            network: *which,
            data: images.dataset().describe(),
            images: squares.passed.indices.len(),
            backbone: pair(0),
            bottleneck: pair(1),
        })
    }
}

/// Name, number and meaning of all measures.
type Row = (&'static str, fn(&Measures) -> String, &'static str);

/// All rows of the table.
const ROWS: [Row; 7] = [
    ("dimensions", |of| of.dimensions.to_string(), "width of a vector"),
    (
        "RankMe",
        |of| format!("{:.1}", of.spectrum.rankme),
        "effective dimensions, by singular values",
    ),
    (
        "participation ratio",
        |of| of.spectrum.participation_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}")),
        "effective dimensions, by variances",
    ),
    (
        "axes of 90 %",
        |of| of.spectrum.axes_of_90_percent.to_string(),
        "axes that together have 90 % of the variance",
    ),
    ("std x sqrt(d)", |of| format!("{:.3}", of.std), "0 collapsed, 1 isotropic"),
    (
        "uniformity",
        |of| of.uniformity.map_or("-".to_owned(), |uniformity| format!("{uniformity:.3}")),
        "0 collapsed, about -4 isotropic",
    ),
    ("alignment", |of| format!("{:.3}", of.alignment), "two crops: 0 equal, 2 unrelated"),
];

fn show(subject: &str, found: &Found, console: &mut Console) {
    console.text(subject);
    console.text("");
    console.text(format!("{:20}{:>22}{:>22}", "", "backbone", "bottleneck"));
    let names = ["trained", "untrained"].repeat(2);
    let cells =
        |cells: Vec<String>| cells.iter().map(|cell| format!("{cell:>11}")).collect::<String>();
    let head = cells(names.into_iter().map(str::to_owned).collect());
    console.text(format!("{:20}{head}", ""));
    for (name, cell, meaning) in ROWS {
        let row = cells(found.columns().map(cell).to_vec());
        console.text(format!("{name:20}{row}  {meaning}"));
    }
}

fn page(subject: &str, found: &Found) -> String {
    let mut page = Page::new("Features", subject);
    let of = |name, cell: fn(&Measures) -> String| {
        let Pair { trained, untrained } = &found.backbone;
        (name, cell(trained), format!("untrained: {}", cell(untrained)))
    };
    let wanted = ["RankMe", "std x sqrt(d)", "uniformity", "alignment"];
    let tiles = ROWS.iter().filter(|(name, ..)| wanted.contains(name));
    page.tiles(&tiles.map(|(name, cell, _)| of(*name, *cell)).collect::<Vec<_>>());
    page.heading("Spectra");
    page.figures(&[
        spectrum("Backbone, [CLS]", &found.backbone),
        spectrum("Head's vector", &found.bottleneck),
    ]);
    page.heading("In numbers");
    let row = |(name, cell, meaning): Row| {
        let mut row = vec![name.to_owned()];
        row.extend(found.columns().map(cell));
        row.push(meaning.to_owned());
        row
    };
    let head = ["", "backbone", "untrained", "head's vector", "untrained", ""];
    page.table(&head, &ROWS.map(row));
    page.finish()
}

/// Variance along each axis of a trained and an untrained network.
fn spectrum(title: &'static str, pair: &Pair) -> Figure {
    let Pair { trained, untrained } = pair;
    let high = [trained, untrained].map(|of| of.spectrum.explained.first().copied().unwrap_or(1.0));
    let y = Axis::logarithmic(1e-5, high[0].max(high[1]), "share of the variance");
    let x = Axis::linear(1.0, trained.dimensions as f64, "axes, the largest first");
    let mut plot = Plot::new(x, y);
    for (class, of) in [("two", untrained), ("one", trained)] {
        let points = (1..).zip(&of.spectrum.explained);
        let points: Vec<_> = points.map(|(axis, share)| (f64::from(axis), *share)).collect();
        plot.line(class, &points);
    }
    Figure {
        title,
        svg: plot.finish("variance of features by axis"),
        series: vec![("one", "trained"), ("two", "untrained")],
        note: format!(
            "{} axes have 90 % of the variance ({} untrained); RankMe {} ({}).",
            trained.spectrum.axes_of_90_percent,
            untrained.spectrum.axes_of_90_percent,
            short(trained.spectrum.rankme),
            short(untrained.spectrum.rankme)
        ),
    }
}
