//! Pictures of a run's newest checkpoint: crops, images nearest to prototypes, attention. What cannot be drawn is
//! missing with a reason, because a report of numbers is worth having without them.

mod attention;
mod crops;
mod prototypes;

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, Error, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueHint};
use dino::checkpoint;
use dino::open::{Opened, open};
use multicrop::{Dataset, Image8};

use super::page::{Picture, Pictures, Row, Section};
use super::run::Run;
use crate::commands::pictures::thumbnail::jpeg;

/// Images with shorter sides are shown with visible pixels.
const COARSE: u32 = 64;

/// Which pictures a page has.
#[derive(Debug, Clone, Args)]
pub(crate) struct PictureFlags {
    /// Leave out pictures: no checkpoint is opened and no image is read
    #[arg(long)]
    no_images: bool,
    /// Images for the pictures; by default those of the run: `eval.test`, else `data.source`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, conflicts_with = "no_images")]
    data: Option<String>,
    /// Look for the images nearest to prototypes among N images, the first ones of a fixed random order
    #[arg(long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    max_images: u32,
}

/// Reports images done of all; breaks to stop.
pub(crate) type OnImage<'a> = &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>;

/// A checkpoint and the images that it is shown.
struct Shown<'a> {
    run: &'a Run,
    opened: Opened,
    dataset: Arc<dyn Dataset>,
    most: usize,
}

impl PictureFlags {
    /// Whether pictures are wanted.
    pub(crate) fn any(&self) -> bool {
        !self.no_images
    }

    /// Whether a flag says which pictures there are to be.
    pub(crate) fn is_given(&self) -> bool {
        self.no_images || self.data.is_some()
    }

    /// The pictures of a run, as far as they can be drawn.
    pub(crate) fn draw(&self, run: &Run, on_image: OnImage<'_>) -> Pictures {
        let (note, sections) = self
            .try_draw(run, on_image)
            .unwrap_or_else(|error| (format!("There are no pictures: {error:#}."), Vec::new()));
        Pictures { run: run.name.clone(), note, sections }
    }

    fn try_draw(&self, run: &Run, on_image: OnImage<'_>) -> Result<(String, Vec<Section>)> {
        if checkpoint::steps(&run.path)?.is_empty() {
            bail!("the run has no checkpoint yet");
        }
        let opened = open(&run.path)?;
        let source = self.source(run);
        let dataset = opened.config.data.open(&source);
        let dataset = dataset.with_context(|| {
            format!("the images `{source}` cannot be opened (`--data SOURCE` takes others)")
        })?;
        let newer = opened.warnings.iter().map(|text| format!(" {text}.")).collect::<String>();
        let note = format!("{}; images of {}.{newer}", opened.origin, dataset.describe());
        let shown = Shown { run, opened, dataset, most: self.max_images as usize };
        let training = match &self.data {
            Some(_) => Ok(shown.dataset.clone()),
            None => {
                let data = &run.config.data;
                let source = run.config.locate("data.source", &data.source);
                shown.opened.config.data.open(&source).map_err(Error::from)
            }
        };
        let crops = training.and_then(|dataset| crops::section(&shown, dataset.as_ref()));
        let sections = vec![
            or_reason("Crops", crops),
            or_reason("Prototypes", prototypes::section(&shown, on_image)),
            or_reason("Attention", attention::section(&shown)),
        ];
        Ok((note, sections))
    }

    fn source(&self, run: &Run) -> String {
        let config = &run.config;
        let of_run = || match &config.eval.test {
            Some(test) => config.locate("eval.test", test),
            None => config.locate("data.source", &config.data.source),
        };
        self.data.clone().unwrap_or_else(of_run)
    }
}

/// A section, or the reason why it is empty.
fn or_reason(title: &'static str, section: Result<(String, Vec<Row>)>) -> Section {
    let (note, rows) = section.unwrap_or_else(|error| (format!("Missing: {error:#}."), Vec::new()));
    Section { title, note, rows }
}

/// A picture of the page.
fn picture(image: &Image8, caption: String, alt: String) -> Result<Picture> {
    let coarse = image.width().min(image.height()) < COARSE;
    Ok(Picture { jpeg: STANDARD.encode(jpeg(image)?), caption, alt, coarse })
}

/// The last part of an image's name.
fn short(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}
