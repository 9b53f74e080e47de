//! J and F of objects, of videos and of all.

use probe::segmentation::{Labels, Statistics, boundary_accuracy, region_similarity};
use rayon::prelude::*;

/// Names of [`Scores`] in tables and in JSON.
pub(super) const NAMES: [&str; 7] =
    ["jf_mean", "j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay"];

/// Measures in percent, in the order of [`NAMES`]: of an object, or means over objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scores(pub(super) [f64; 7]);

/// Both measures of an object in the frames of its video.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) number: u8,
    j: Vec<f64>,
    f: Vec<f64>,
}

impl Object {
    pub(super) fn new(number: u8) -> Self {
        Self { number, j: Vec::new(), f: Vec::new() }
    }

    fn add(&mut self, truth: &Labels, guess: &Labels) {
        let [truth, guess] = [truth, guess].map(|labels| labels.mask(self.number));
        self.j.push(region_similarity(&truth, &guess));
        self.f.push(boundary_accuracy(&truth, &guess));
    }

    /// Over all frames that were added.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn scores(&self) -> Scores {
        let [j, f] = [&self.j, &self.f].map(|values| {
            let Statistics { mean, recall, decay } = Statistics::of(values).expect("a frame");
            [mean, recall, decay].map(|share| 100.0 * share)
        });
        Scores([(j[0] + f[0]) / 2.0, j[0], j[1], j[2], f[0], f[1], f[2]])
    }
}

/// Adds a frame to all objects. Returns the means of J and F in it, in percent.
pub(super) fn add_frame(objects: &mut [Object], truth: &Labels, guess: &Labels) -> [f64; 2] {
    objects.par_iter_mut().for_each(|object| object.add(truth, guess));
    let mean = |values: fn(&Object) -> &[f64]| {
        let last = objects.iter().filter_map(|object| values(object).last());
        100.0 * last.sum::<f64>() / objects.len() as f64
    };
    [mean(|object| &object.j), mean(|object| &object.f)]
}

impl Scores {
    /// The means over objects.
    pub(super) fn mean(of: &[Self]) -> Self {
        let mean = |i: usize| of.iter().map(|scores| scores.0[i]).sum::<f64>() / of.len() as f64;
        Self(std::array::from_fn(mean))
    }
}
