//! An `Evaluation` is labelled training and test images and the probes that judge features of them.

mod streamed;

use std::ops::ControlFlow;
use std::sync::Arc;

use multicrop::dataset::Dataset;

use crate::definition::{Probe, Scores, Size};
use crate::error::{Error, Result};
use crate::matrix::Storage;
use crate::pass::{Extracted, Pass, Views};
use crate::preprocess::{self, Preprocess};
use crate::progress::Progress;
use crate::sets;
use crate::source::{Kind, Source, Wanted};
use crate::subset::Subset;

/// Labelled images and probes, opened.
pub struct Evaluation {
    train: Subset,
    test: Subset,
    preprocess: Preprocess,
    probes: Vec<Box<dyn Probe>>,
    storage: Storage,
}

/// Which images of both sets are used, and how these become the input of a network.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How images become the input of a network.
    pub preprocess: preprocess::Settings,
    /// Use at most this many training images, the same ones every time; `None` uses all.
    pub max_train: Option<usize>,
    /// Use at most this many test images, the same ones every time; `None` uses all.
    pub max_test: Option<usize>,
}

/// Number and size of the images of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluated {
    /// Images of both sets.
    pub images: usize,
    /// Images whose features are held together, in memory or on disk: those of both sets, or the test images alone if each probe
    /// takes training images as they come.
    pub held: usize,
    /// Side of the network's input, in pixels.
    pub side: usize,
    /// Number of classes; 0 if nothing learns them.
    pub classes: usize,
}

/// What the probes say about the features of some sources.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// Numbers of training images and of test images that could be read.
    pub read: (usize, usize),
    /// One for each source and probe; those of a source follow each other.
    pub judgments: Vec<Judgment>,
    /// A sentence for each set of which images could not be read, and what probes say about their scores.
    pub warnings: Vec<String>,
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
    /// Features of the images of `test` will be judged by those of `train`. Both must have labels
    /// ([`require_labels`]).
    ///
    /// # Errors
    /// Classes that differ; a size that depends on images that cannot be read.
    pub fn new(
        train: Arc<dyn Dataset>,
        test: Arc<dyn Dataset>,
        settings: Settings,
        probes: Vec<Box<dyn Probe>>,
    ) -> Result<Self> {
        multicrop::dataset::same_classes(train.as_ref(), test.as_ref())?;
        let Settings { preprocess, max_train, max_test } = settings;
        let preprocess = Preprocess::new(preprocess, train.as_ref())?;
        let train = Subset::labelled(train, max_train, 0);
        let test = Subset::labelled(test, max_test, 1);
        Ok(Self { train, test, preprocess, probes, storage: Storage::Memory })
    }

    /// Keeps all features from now on in memory, or on disk.
    pub fn store(&mut self, storage: Storage) {
        self.storage = storage;
    }

    /// What makes scores mean less than they seem to, one sentence each: images in both sets, classes that nothing is
    /// learned of, settings of the probes.
    pub fn warnings(&self) -> Vec<String> {
        let of_sets = sets::warnings(&self.train, &self.test).into_iter();
        let of_probes = self.probes.iter().flat_map(|probe| probe.warnings(self.train.len()));
        of_sets.chain(of_probes).collect()
    }

    /// Names of the probes in messages.
    pub fn titles(&self) -> impl Iterator<Item = &'static str> {
        self.probes.iter().map(|probe| probe.title())
    }

    /// Number and size of the images of both sets.
    pub fn size(&self) -> Evaluated {
        let images = self.train.len() + self.test.len();
        let held = if self.streams() { self.test.len() } else { images };
        let side = self.preprocess.view.crop as usize;
        Evaluated { images, held, side, classes: self.classes() }
    }

    /// Number of training images and of test images.
    pub fn counts(&self) -> (usize, usize) {
        (self.train.len(), self.test.len())
    }

    /// Values that [`judge`](Self::judge) holds for each image that it holds: the features of all sources.
    pub fn values_of_image(&self, sources: &[&dyn Source]) -> usize {
        self.pass(&self.train).values_of_image(sources, &self.wanted(sources).0)
    }

    /// Bytes at most that a probe needs beside the features; `width` is that of a network's features of a kind.
    pub fn bytes_of_probes(&self, width: &dyn Fn(Kind) -> usize) -> usize {
        let bytes =
            self.probes.iter().map(|probe| probe.bytes(self.size_for(probe.as_ref(), width)));
        bytes.max().unwrap_or(0)
    }

    /// Floating-point operations of all probes; `width` is that of a network's features of a kind.
    pub fn flops_of_probes(&self, width: &dyn Fn(Kind) -> usize) -> f64 {
        let flops =
            self.probes.iter().map(|probe| probe.flops(self.size_for(probe.as_ref(), width)));
        flops.sum()
    }

    /// The same for raw pixels, of `width` values.
    pub fn flops_of_pixels(&self, width: usize) -> f64 {
        let probes = self.probes.iter().filter(|probe| probe.judges_pixels());
        probes.map(|probe| probe.flops(self.size_for(probe.as_ref(), &|_| width))).sum()
    }

    fn size_for(&self, probe: &dyn Probe, width: &dyn Fn(Kind) -> usize) -> Size {
        let ((train, test), classes) = (self.counts(), self.classes());
        Size { train, test, width: width(probe.wants().kind), classes }
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
    /// probes that judge them. `report` gets images done and all images after each batch; it breaks to stop.
    ///
    /// # Errors
    /// [`Error::Stopped`] if `report` stops; too many images that cannot be read; features that are not finite.
    pub fn judge(
        &self,
        sources: &[&dyn Source],
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Judged> {
        let progress = &mut Progress::new(self.train.len() + self.test.len(), report);
        if self.streams() {
            return self.judge_streamed(sources, progress);
        }
        let (wanted, places) = self.wanted(sources);
        let mut extract =
            |images| self.pass(images).extract_to(self.storage, sources, &wanted, progress);
        let (train, test) = (extract(&self.train)?, extract(&self.test)?);
        train.passed.require_finite()?;
        test.passed.require_finite()?;
        let mut judgments = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            let (train, test) = (&train.features[i], &test.features[i]);
            for (probe, of) in self.probes.iter().zip(&places) {
                let Some(of) = of.filter(|_| judges(probe.as_ref(), *source)) else { continue };
                let scores = probe.score(&train[of], &test[of], progress)?;
                judgments.push(judgment(probe.as_ref(), *source, scores));
            }
        }
        let read = (train.passed.indices.len(), test.passed.indices.len());
        let left_out = [train.passed.left_out, test.passed.left_out];
        let warnings = left_out.into_iter().flatten().chain(progress.take_notes());
        Ok(Judged { read, judgments, warnings: warnings.collect() })
    }

    /// Features that one source makes of both sets: the training images first. `report` is that of
    /// [`judge`](Self::judge).
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn features(
        &self,
        source: &dyn Source,
        wanted: Wanted,
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<(Extracted, Extracted)> {
        self.extract(self.storage, &[source], &[wanted], report)
    }

    /// The same for several sources and kinds of features, in one pass over the images, in memory or on disk.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn extract(
        &self,
        storage: Storage,
        sources: &[&dyn Source],
        wanted: &[Wanted],
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<(Extracted, Extracted)> {
        let progress = &mut Progress::new(self.train.len() + self.test.len(), report);
        let mut extract = |images| self.pass(images).extract_to(storage, sources, wanted, progress);
        Ok((extract(&self.train)?, extract(&self.test)?))
    }

    /// Features that one source makes of the training images as `views` shows them.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn train_features(
        &self,
        (source, wanted): (&dyn Source, Wanted),
        views: Views<'_>,
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Extracted> {
        let progress = &mut Progress::new(self.train.len(), report);
        let pass = Pass { views, ..self.pass(&self.train) };
        pass.extract_to(self.storage, &[source], &[wanted], progress)
    }

    /// Features that one source makes of the test images.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn test_features(
        &self,
        source: &dyn Source,
        wanted: Wanted,
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Extracted> {
        let progress = &mut Progress::new(self.test.len(), report);
        self.pass(&self.test).extract_to(self.storage, &[source], &[wanted], progress)
    }

    /// Values that [`extract`](Self::extract) holds for each image.
    pub fn values_of(&self, sources: &[&dyn Source], wanted: &[Wanted]) -> usize {
        self.pass(&self.train).values_of_image(sources, wanted)
    }

    /// Refuses classes of test images with fewer than `needed` training images.
    ///
    /// # Errors
    /// [`Error::SmallClass`], for the first such class.
    pub fn require_images_of_each_class(&self, needed: usize) -> Result<()> {
        let counts = self.train.counts_of_classes();
        for label in self.test.labels_of(self.test.indices()) {
            let found = counts[label as usize];
            if found < needed {
                let class = self.train.dataset().classes()[label as usize].to_string();
                return Err(Error::SmallClass { class, found, needed });
            }
        }
        Ok(())
    }

    /// Values that [`features`](Self::features) holds for each image.
    pub fn values_of_features(&self, source: &dyn Source, wanted: Wanted) -> usize {
        self.pass(&self.train).values_of_image(&[source], &[wanted])
    }

    /// Everything about the images but their pixels: how they are shown, and name and label of each.
    pub fn describe(&self) -> String {
        let mut text = format!("{:?} {:?}\n", self.preprocess, self.train.dataset().classes());
        for set in [&self.train, &self.test] {
            for &index in set.indices() {
                text +=
                    &format!("{} {:?}\n", set.dataset().name(index), set.dataset().label(index));
            }
        }
        text
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.train.dataset().classes().len()
    }

    fn pass<'a>(&'a self, images: &'a Subset) -> Pass<'a> {
        Pass { images, preprocess: &self.preprocess, views: Views::Square }
    }

    /// All features that some probe wants of these sources, each once; and for each probe, which of them it wants.
    fn wanted(&self, sources: &[&dyn Source]) -> (Vec<Wanted>, Vec<Option<usize>>) {
        let mut all = Vec::new();
        let places = self.probes.iter().map(|probe| {
            sources.iter().find(|source| judges(probe.as_ref(), **source))?;
            let wanted = probe.wants();
            let known = all.iter().position(|other| *other == wanted);
            Some(known.unwrap_or_else(|| {
                all.push(wanted);
                all.len() - 1
            }))
        });
        let places = places.collect();
        (all, places)
    }
}

fn judgment(probe: &dyn Probe, source: &dyn Source, scores: Vec<Scores>) -> Judgment {
    Judgment {
        probe: probe.name(),
        title: probe.title(),
        source: source.name().to_owned(),
        headline: probe.headline(&scores).cloned(),
        scores,
    }
}

/// Whether a probe judges the features of a source.
fn judges(probe: &dyn Probe, source: &dyn Source) -> bool {
    probe.judges_pixels() || !source.is_pixels()
}

/// Refuses a data set without labels. `source` is what a person opened it by.
///
/// # Errors
/// [`Error::NoLabels`].
pub fn require_labels(dataset: &dyn Dataset, source: &str) -> Result<()> {
    let has_labels = (0..dataset.len()).any(|index| dataset.label(index).is_some());
    if dataset.classes().is_empty() || !has_labels {
        return Err(Error::NoLabels { data: source.to_owned() });
    }
    Ok(())
}
