//! Trains the classifiers of `eval linear`: on features of center crops, or of random crops of each epoch.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use dino::fingerprint;
use dino::open::Opened;
use probe::linear::{Settings, Sweep};
use probe::{Encoder, Error, Evaluation, Extracted, Features, Stopped, Views, Wanted};
use report::number::duration;

use super::super::super::viewing::show_images;
use super::super::fingerprint::of_network;
use super::super::labelled::checked;
use super::state::State;
use crate::console::{Console, Progress};

/// What is trained, and on what.
pub(super) struct Training<'a> {
    pub(super) opened: &'a Opened,
    pub(super) evaluation: &'a Evaluation,
    pub(super) wanted: Wanted,
    pub(super) settings: Settings,
    /// Whether each epoch has random crops of its own.
    pub(super) augment: bool,
    /// Set by a signal.
    pub(super) stop: Arc<AtomicBool>,
}

/// How it ended.
pub(super) struct Trained {
    pub(super) sweep: Sweep,
    /// Epochs that are finished.
    pub(super) epochs: usize,
    pub(super) train_images: usize,
    pub(super) test_images: usize,
}

impl Training<'_> {
    /// Trains all epochs, or those before a signal; `None` if there is no finished one.
    ///
    /// # Errors
    /// Images that cannot be read; features that are not finite; a state that cannot be written.
    pub(super) fn run(
        &self,
        state: Option<&State>,
        console: &mut Console,
    ) -> Result<Option<Trained>> {
        let encoder = self.encoder();
        let start = Instant::now();
        let test = self.evaluation.test_features(
            &encoder,
            self.wanted,
            &mut self.showing(console, "test"),
        );
        let Some(test) = finish(test, console)? else { return Ok(None) };
        self.forecast(start.elapsed().as_secs_f64() / test.labels.len() as f64, console);
        let mut trained = self.restored(&test, state)?;
        let mut fixed: Option<Features> = None;
        for epoch in trained.epochs..self.settings.epochs {
            // Features of two epochs need not be in memory at once.
            if self.augment {
                fixed = None;
            }
            if fixed.is_none() {
                let Some(train) = self.train_features(epoch, console)? else { break };
                trained.train_images = train.labels.len();
                fixed = Some(train);
            }
            let train = fixed.as_ref().context("no features")?;
            if self.epoch(epoch, &mut trained.sweep, (train, &test)).is_err() {
                break;
            }
            trained.epochs = epoch + 1;
            self.show(&trained, console);
            if let Some(state) = state {
                state.write(&trained.sweep, trained.epochs)?;
            }
        }
        console.end_progress();
        Ok((trained.epochs > 0).then_some(trained))
    }

    /// New classifiers, or those that were kept.
    fn restored(&self, test: &Features, state: Option<&State>) -> Result<Trained> {
        let mut sweep =
            Sweep::new(test.rows.width, self.evaluation.classes(), self.settings.clone());
        let epochs = state.map_or(Ok(0), |state| state.restore(&mut sweep))?;
        let (train_images, test_images) = (self.evaluation.counts().0, test.labels.len());
        Ok(Trained { sweep, epochs, train_images, test_images })
    }

    /// What decides the result: network, images, their labels, settings.
    pub(super) fn key(&self) -> String {
        let Self { opened, evaluation, wanted, settings, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        let (network, images) = (of_network(opened), evaluation.describe());
        fingerprint::of(format!("{version} {wanted:?} {settings:?} {network}{images}").as_bytes())
    }

    /// Trains and tests. An epoch that is stopped leaves no outcome.
    fn epoch(
        &self,
        epoch: usize,
        sweep: &mut Sweep,
        (train, test): (&Features, &Features),
    ) -> Result<(), Stopped> {
        let mut go_on = || if self.stop.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) };
        sweep.train(epoch, train, &mut go_on)?;
        sweep.test(epoch, test, &mut go_on)
    }

    fn encoder(&self) -> Encoder<'_> {
        let Opened { network, teacher, .. } = self.opened;
        Encoder { name: "trained", network, params: teacher }
    }

    /// Features of the training images in an epoch; `None` after a signal.
    fn train_features(&self, epoch: usize, console: &mut Console) -> Result<Option<Features>> {
        let (views, text) = match self.augment {
            false => (Views::Square, "training".to_owned()),
            true => {
                let (seed, all) = (self.settings.seed, self.settings.epochs);
                let views = Views::Random { seed, epoch: epoch as u64 };
                (views, format!("epoch {} of {all}", epoch + 1))
            }
        };
        let source = (&self.encoder() as &dyn probe::Source, self.wanted);
        let found =
            self.evaluation.train_features(source, views, &mut self.showing(console, &text));
        finish(found, console)
    }

    fn showing<'a>(
        &'a self,
        console: &'a mut Console,
        text: &'a str,
    ) -> impl FnMut(usize, usize) -> ControlFlow<()> + 'a {
        move |done, total| {
            show_images(console, "features", (done, total), text);
            match self.stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }

    fn show(&self, trained: &Trained, console: &mut Console) {
        let outcomes = trained.sweep.outcomes().iter();
        let best = outcomes.map(|outcome| outcome.best).fold(0.0, f64::max);
        let (done, total) = (trained.epochs as u64, self.settings.epochs as u64);
        let text = format!("  best top-1 {best:.2}");
        console.progress(&Progress { what: "epoch", done, total, text }, self.augment);
    }

    /// Says how long random crops take, by the time of a test image.
    fn forecast(&self, seconds_of_image: f64, console: &mut Console) {
        let (epochs, (images, _)) = (self.settings.epochs, self.evaluation.counts());
        let time = duration(seconds_of_image * (epochs * images) as f64);
        console.note(match self.augment {
            true => format!(
                "random crops: about {time} for {epochs} passes over {images} training images, and the time of the \
                 classifiers"
            ),
            false => format!(
                "with `--augment`, as the official probes, {epochs} passes over {images} training images would take \
                 about {time}"
            ),
        });
    }
}

/// Checked features; `None` if a signal ended the pass.
fn finish(found: probe::Result<Extracted>, console: &mut Console) -> Result<Option<Features>> {
    match found {
        Err(Error::Stopped(_)) => Ok(None),
        found => checked(found?, console).map(Some),
    }
}
