//! `dino-vmf data inspect`: what a source holds.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand, ValueHint};
use multicrop::{Dataset, SampleError, decode};
use rayon::prelude::*;
use serde::Serialize;

use super::use_threads;
use crate::console::{Console, Progress};

/// Images that are read before progress is shown again.
const CHUNK: usize = 512;
/// Classes and bad images that are listed for people; JSON has them all.
const LISTED: usize = 20;

/// Look at data sets
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    Inspect(Inspect),
}

impl Data {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let Self::Inspect(inspect) = self;
        inspect.run(console)
    }
}

/// Read all images of a source: sizes, classes, and those that cannot be used
///
/// Example: dino-vmf data inspect photos/
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// `shapes[:train|:test]`, a folder, CIFAR-10/100 binaries, IDX files or a tar
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Threads that read, 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    source: String,
    data: String,
    images: usize,
    /// Width and height of the images with the fewest and the most pixels.
    smallest: Option<(u32, u32)>,
    largest: Option<(u32, u32)>,
    /// Number of different sizes.
    sizes: usize,
    classes: Vec<Class>,
    bad: Vec<Bad>,
}

#[derive(Debug, Serialize)]
struct Class {
    name: String,
    images: usize,
}

#[derive(Debug, Serialize)]
struct Bad {
    index: usize,
    name: String,
    kind: String,
    reason: String,
}

impl Inspect {
    fn run(&self, console: &mut Console) -> Result<()> {
        use_threads(self.threads)?;
        let dataset = multicrop::open(&self.source)?;
        let findings = self.read(dataset.as_ref(), console);
        console.end_progress();
        findings.show(console);
        console.event("data", &findings);
        Ok(())
    }

    fn read(&self, dataset: &dyn Dataset, console: &mut Console) -> Findings {
        let mut findings = Findings {
            source: self.source.clone(),
            data: dataset.describe(),
            images: dataset.len(),
            classes: classes(dataset),
            ..Findings::default()
        };
        let mut sizes = BTreeMap::new(); // (pixels, width, height) → images
        let indices: Vec<_> = (0..dataset.len()).collect();
        for chunk in indices.chunks(CHUNK) {
            let size = |&index: &usize| -> Result<_, SampleError> {
                let image = dataset.load(index, &decode::Options::default())?;
                Ok((image.width(), image.height()))
            };
            let found: Vec<_> = chunk.par_iter().map(size).collect();
            for (&index, found) in chunk.iter().zip(found) {
                match found {
                    Ok((width, height)) => {
                        let pixels = u64::from(width) * u64::from(height);
                        *sizes.entry((pixels, width, height)).or_insert(0usize) += 1;
                    }
                    Err(error) => findings.bad.push(Bad {
                        index,
                        name: dataset.name(index),
                        kind: error.kind(),
                        reason: error.to_string(),
                    }),
                }
            }
            let done = chunk.last().map_or(0, |last| *last as u64 + 1);
            let (total, text) = (dataset.len() as u64, String::new());
            console.progress(&Progress { what: "image", done, total, text }, false);
        }
        findings.sizes = sizes.len();
        findings.smallest = sizes.keys().next().map(|&(_, width, height)| (width, height));
        findings.largest = sizes.keys().next_back().map(|&(_, width, height)| (width, height));
        findings
    }
}

/// Names of the classes, and how many images each has.
fn classes(dataset: &dyn Dataset) -> Vec<Class> {
    let named = dataset.classes().iter().map(|name| Class { name: name.clone(), images: 0 });
    let mut classes: Vec<_> = named.collect();
    for label in (0..dataset.len()).filter_map(|index| dataset.label(index)) {
        if let Some(class) = classes.get_mut(label as usize) {
            class.images += 1;
        }
    }
    classes
}

impl Findings {
    fn show(&self, console: &mut Console) {
        console.text(format!("{}: {} images", self.data, self.images));
        let shown = |size: Option<(u32, u32)>| {
            size.map_or("none".to_owned(), |(width, height)| format!("{width} x {height}"))
        };
        let (smallest, largest) = (shown(self.smallest), shown(self.largest));
        console.text(match self.sizes {
            0 | 1 => format!("size: {smallest}"),
            sizes => format!("sizes: {sizes}, from {smallest} to {largest}"),
        });
        console.text(match self.classes.len() {
            0 => "classes: none, the images have no labels".to_owned(),
            classes => format!("classes: {classes}"),
        });
        for class in self.classes.iter().take(LISTED) {
            console.text(format!("  {:7}  {}", class.images, class.name));
        }
        self.show_bad(console);
    }

    fn show_bad(&self, console: &mut Console) {
        let mut kinds = BTreeMap::new();
        for bad in &self.bad {
            *kinds.entry(bad.kind.as_str()).or_insert(0usize) += 1;
        }
        let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        console.text(match self.bad.len() {
            0 => "bad images: none".to_owned(),
            bad => format!("bad images: {bad} ({})", kinds.join(", ")),
        });
        for bad in self.bad.iter().take(LISTED) {
            console.text(format!("  {}: {}", bad.name, bad.reason));
        }
    }
}
