//! An `Evaluation` is labelled training and test images and the probes that judge features of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use multicrop::dataset::Dataset;

use super::definition::{Probe, Scores};
use super::pass::{Pass, Views};
use super::preprocess::Preprocess;
use super::progress::Progress;
use super::source::{Source, Wanted};
use super::subset::Subset;
use crate::config::{Config, Data, Warning};
use crate::error::{Error, Result};
use crate::memory::Evaluated;

/// Labelled images and probes, opened.
pub struct Evaluation {
    train: Subset,
    test: Subset,
    preprocess: Preprocess,
    probes: Vec<Box<dyn Probe>>,
}

/// What the probes say about the features of some sources.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// One for each source and probe; those of a source follow each other.
    pub judgments: Vec<Judgment>,
    /// A sentence for each set of which images could not be read.
    pub left_out: Vec<String>,
}

/// What one probe says about the features of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgment {
    /// [`Probe::name`].
    pub probe: &'static str,
    /// [`Probe::title`].
    pub title: &'static str,
    /// [`Source::name`].
    pub source: String,
    /// All scores.
    pub scores: Vec<Scores>,
    /// Those that a summary shows.
    pub headline: Option<Scores>,
}

impl Evaluation {
    /// Opens both sources of `[eval]` for these probes; `None` if no source is given.
    ///
    /// # Errors
    /// A source that cannot be opened, has no labels, or classes that differ.
    pub fn open(config: &Config, probes: Vec<Box<dyn Probe>>) -> Result<Option<Self>> {
        Self::open_with(config, probes, &mut |source| Ok(config.data.open(source)?))
    }

    /// As [`open`](Self::open), with `open` to open a source: for sources that may be open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        config: &Config,
        probes: Vec<Box<dyn Probe>>,
        open: &mut dyn FnMut(&str) -> Result<Arc<dyn Dataset>>,
    ) -> Result<Option<Self>> {
        let settings = &config.eval;
        let (Some(train), Some(test)) = (&settings.train, &settings.test) else { return Ok(None) };
        let mut open = |key, source: &str| {
            let source = config.locate(key, source);
            labelled(open(&source)?, &source)
        };
        let (train, test) = (open("eval.train", train)?, open("eval.test", test)?);
        multicrop::dataset::same_classes(train.as_ref(), test.as_ref())?;
        let preprocess = Preprocess::new(config, train.as_ref())?;
        let train = Subset::labelled(train, settings.max_train, 0);
        let test = Subset::labelled(test, settings.max_test, 1);
        Ok(Some(Self { train, test, preprocess, probes }))
    }

    /// What the probes report about their settings, one sentence each.
    pub fn warnings(&self) -> Vec<Warning> {
        self.probes.iter().flat_map(|probe| probe.warnings(self.train.len())).collect()
    }

    /// Names of the probes in messages.
    pub fn titles(&self) -> impl Iterator<Item = &'static str> {
        self.probes.iter().map(|probe| probe.title())
    }

    /// Number and size of the images of both sets.
    pub fn size(&self) -> Evaluated {
        let images = self.train.len() + self.test.len();
        Evaluated { images, side: self.preprocess.view.crop as usize }
    }

    /// Number of training images and of test images.
    pub fn counts(&self) -> (usize, usize) {
        (self.train.len(), self.test.len())
    }

    /// What a reader of the scores must know about both sources; see [`Subset::notes`].
    pub fn notes(&self) -> Vec<String> {
        [self.train.notes(), self.test.notes()].concat()
    }

    /// A sentence for each set of which images are left out because they have no label.
    pub fn without_label(&self) -> Vec<String> {
        [&self.train, &self.test].into_iter().filter_map(Subset::without_label).collect()
    }

    /// The scores of the features that `sources` make, in one pass over the images for all sources and
    /// probes. `report` gets images done and all images after each batch; it breaks to stop.
    ///
    /// # Errors
    /// [`Error::Stopped`] if `report` stops; too many images that cannot be read.
    pub fn judge(
        &self,
        sources: &[&dyn Source],
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Judged> {
        let progress = &mut Progress::new(self.train.len() + self.test.len(), report);
        let (wanted, places) = self.wanted();
        let mut extract = |images| {
            let pass = Pass { images, preprocess: &self.preprocess, views: Views::Square };
            pass.extract(sources, &wanted, progress)
        };
        let (train, test) = (extract(&self.train)?, extract(&self.test)?);
        let mut judgments = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            let (train, test) = (&train.features[i], &test.features[i]);
            for (probe, &of) in self.probes.iter().zip(&places) {
                let scores = probe.score(&train[of], &test[of], progress)?;
                judgments.push(Judgment {
                    probe: probe.name(),
                    title: probe.title(),
                    source: source.name().to_owned(),
                    headline: probe.headline(&scores).cloned(),
                    scores,
                });
            }
        }
        let left_out = [train.passed.left_out, test.passed.left_out];
        Ok(Judged { judgments, left_out: left_out.into_iter().flatten().collect() })
    }

    /// All features that some probe wants, each once; and for each probe, which of them it wants.
    fn wanted(&self) -> (Vec<Wanted>, Vec<usize>) {
        let mut all = Vec::new();
        let places = self.probes.iter().map(|probe| {
            let wanted = probe.wants();
            all.iter().position(|other| *other == wanted).unwrap_or_else(|| {
                all.push(wanted);
                all.len() - 1
            })
        });
        let places = places.collect();
        (all, places)
    }
}

/// Opens a source whose images must have labels, with the settings of `[data]`.
///
/// # Errors
/// A source that cannot be opened, or has no labels.
pub fn open_labelled(data: &Data, source: &str) -> Result<Arc<dyn Dataset>> {
    labelled(data.open(source)?, source)
}

fn labelled(dataset: Arc<dyn Dataset>, source: &str) -> Result<Arc<dyn Dataset>> {
    let has_labels = (0..dataset.len()).any(|index| dataset.label(index).is_some());
    if dataset.classes().is_empty() || !has_labels {
        return Err(Error::NoLabels { data: source.to_owned() });
    }
    Ok(dataset)
}
