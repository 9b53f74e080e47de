//! The tasks of a suite. A new one is a line of [`TASKS`] and its function.

use anyhow::Result;
use dino::memory::Beside;
use dino::open::Opened;
use probe::fewshot::{self, Shots};
use probe::linear::{Settings, Sweep, usual_features};
use probe::logistic::sweep;
use probe::{Features, Kind, Size, Wanted, knn};

use super::super::beside;

/// Neighbors of k-NN and the temperature of their votes.
const NEIGHBORS: usize = 20;
const TEMPERATURE: f64 = 0.07;
/// Images of each class, and draws of them.
const SHOTS: usize = 5;
const DRAWS: u64 = 3;

/// Something that is measured on a data set.
pub(super) struct Task {
    /// Its name in a suite.
    pub(super) name: &'static str,
    /// Its name on the page.
    pub(super) title: &'static str,
    /// What exactly is measured, in one sentence.
    pub(super) protocol: &'static str,
    /// The features that it takes.
    pub(super) wants: fn(&Opened) -> Wanted,
    /// What it needs beside them.
    pub(super) beside: fn(Size) -> Beside,
    /// Measures.
    pub(super) run: fn(&Input<'_>) -> Result<Scored>,
}

/// Features of both sets.
pub(super) struct Input<'a> {
    pub(super) train: &'a Features,
    pub(super) test: &'a Features,
    pub(super) classes: usize,
    pub(super) seed: u64,
}

/// What a task found.
#[derive(Debug)]
pub(super) struct Scored {
    /// Accuracy of each draw, in percent; one without draws.
    pub(super) draws: Vec<f64>,
    /// For each test image, the share of draws in which it was classified correctly.
    pub(super) credits: Vec<f64>,
    /// Fits that ended before their optimum.
    pub(super) not_converged: usize,
}

pub(super) const TASKS: [Task; 4] = [
    Task {
        name: "knn",
        title: "k-NN",
        protocol: "20 nearest neighbors by the cosine of [CLS] vote with weight exp(cosine / 0.07)",
        wants: |_| Wanted { kind: Kind::Cls, unit: true },
        beside: |size| beside::neighbors(size, NEIGHBORS),
        run: nearest,
    },
    Task {
        name: "linear",
        title: "linear probe",
        protocol: "SGD at 45 learning rates, 100 epochs, on center crops; DINO's choice of features; the best rate \
                   after the last epoch, chosen on the test images",
        wants: |opened| {
            let shape = opened.network.backbone.shape();
            Wanted { kind: usual_features(shape.embed_dim, shape.depth), unit: false }
        },
        beside: |size| beside::linear(size, &Settings::default()),
        run: linear,
    },
    Task {
        name: "logistic",
        title: "logistic regression",
        protocol: "[CLS]; one of 45 strengths, chosen on a fifth of the training images, then all of them are fitted",
        wants: |_| Wanted { kind: Kind::Cls, unit: false },
        beside: |size| beside::logistic(size, size.train),
        run: logistic,
    },
    Task {
        name: "fewshot",
        title: "5 images a class",
        protocol: "MSN's logistic regression on 5 images of each class, [CLS] after the final norm; mean and standard \
                   deviation of 3 draws",
        wants: |_| Wanted { kind: Kind::Cls, unit: false },
        beside: |size| beside::logistic(size, size.train + size.test),
        run: few,
    },
];

/// The task of this name.
pub(super) fn find(name: &str) -> Option<&'static Task> {
    TASKS.iter().find(|task| task.name == name)
}

/// The accuracy of predictions: one list of them for each draw.
fn accuracy(predictions: &[Vec<u32>], labels: &[u32]) -> Scored {
    let hit = |predicted: &Vec<u32>| -> Vec<bool> {
        predicted.iter().zip(labels).map(|(predicted, label)| predicted == label).collect()
    };
    of_hits(&predictions.iter().map(hit).collect::<Vec<_>>())
}

fn of_hits(draws: &[Vec<bool>]) -> Scored {
    let images = draws.first().map_or(0, Vec::len);
    let credit = |i: usize| {
        let right = draws.iter().filter(|draw| draw[i]).count();
        right as f64 / draws.len() as f64
    };
    let accuracy = |draw: &Vec<bool>| {
        let right = draw.iter().filter(|hit| **hit).count();
        100.0 * right as f64 / images.max(1) as f64
    };
    Scored {
        draws: draws.iter().map(accuracy).collect(),
        credits: (0..images).map(credit).collect(),
        not_converged: 0,
    }
}

fn nearest(input: &Input<'_>) -> Result<Scored> {
    let hits = knn::correct(input.train, input.test, NEIGHBORS, TEMPERATURE);
    Ok(of_hits(&[hits]))
}

fn linear(input: &Input<'_>) -> Result<Scored> {
    let Input { train, test, classes, seed } = *input;
    let settings = Settings { seed, ..Settings::default() };
    let epochs = settings.epochs;
    let mut sweep = Sweep::new(train.rows.width, classes, settings);
    for epoch in 0..epochs {
        sweep.train(epoch, train, &mut || Ok(()))?;
    }
    sweep.test(epochs - 1, test, &mut || Ok(()))?;
    let outcomes = sweep.outcomes().iter().enumerate();
    let best = outcomes.reduce(|a, b| if b.1.last > a.1.last { b } else { a });
    let best = best.map_or(0, |(rate, _)| rate);
    Ok(accuracy(&[sweep.predict(best, &test.rows)], &test.labels))
}

fn logistic(input: &Input<'_>) -> Result<Scored> {
    let Input { train, test, classes, seed } = *input;
    let chosen = sweep::choose(train, classes, &sweep::strengths(), seed, &mut |_, _| Ok(()))?;
    let predicted = chosen.fit.classifier.predict(&test.rows);
    let scored = accuracy(&[predicted], &test.labels);
    Ok(Scored { not_converged: usize::from(!chosen.fit.converged), ..scored })
}

fn few(input: &Input<'_>) -> Result<Scored> {
    let (mut train, mut test) = (input.train.try_clone()?, input.test.try_clone()?);
    fewshot::prepare(&mut train.rows)?;
    fewshot::prepare(&mut test.rows)?;
    let shots = Shots::PerClass(SHOTS);
    let predict = |draw| {
        let drawn = fewshot::draw(&train.labels, shots, input.seed, draw);
        fewshot::predict(&train, &test, input.classes, &drawn, &mut || Ok(()))
    };
    let found = (0..DRAWS).map(predict).collect::<Result<Vec<_>, _>>()?;
    let (predictions, converged): (Vec<_>, Vec<bool>) = found.into_iter().unzip();
    let not_converged = converged.iter().filter(|converged| !**converged).count();
    Ok(Scored { not_converged, ..accuracy(&predictions, &test.labels) })
}
