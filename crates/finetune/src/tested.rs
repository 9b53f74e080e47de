//! Test accuracy of a classifier.

use std::ops::ControlFlow;

use engine::Params;
use probe::accuracy::{ClassAccuracy, place};
use probe::{Kind, Pass, Preprocess, Progress, Subset, Views};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::network::{Classifier, Scores};

/// Results on the test images after an epoch, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Mean training loss of the epoch's steps.
    pub loss: f64,
    /// Images that could be read; 0 if an earlier version of the program tested.
    #[serde(default)]
    pub images: usize,
    /// Images whose class has the largest score.
    pub top1: f64,
    /// Images whose class has one of the five largest scores.
    pub top5: f64,
    /// Mean of the shares of the classes.
    pub mean_per_class: f64,
}

/// The results of one pass over the test images, and a sentence about images that could not be read.
///
/// # Errors
/// If `report` breaks; images that cannot be read.
pub fn test(
    (network, params): (&Classifier, &Params),
    (images, preprocess): (&Subset, &Preprocess),
    report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Tested, Option<String>)> {
    let source = Scores { network, params };
    let pass = Pass { images, preprocess, views: Views::Square };
    let (mut predicted, mut labels, mut top5) = (Vec::new(), Vec::new(), 0);
    let passed = pass.for_each_batch(
        &[&source],
        &[Kind::Cls],
        &mut Progress::new(images.len(), report),
        &mut |chunk| {
            let of_chunk = images.labels_of(chunk.images);
            for (scores, &label) in chunk.rows.chunks_exact(chunk.width).zip(&of_chunk) {
                predicted.push(largest(scores));
                top5 += usize::from(place(scores, label) < 5);
            }
            labels.extend(of_chunk);
        },
    )?;
    if labels.is_empty() {
        return Err(Error::NoTestImages { data: images.dataset().describe() });
    }
    let ClassAccuracy { top1, mean_per_class } = ClassAccuracy::of(&predicted, &labels);
    let top5 = 100.0 * top5 as f64 / labels.len() as f64;
    let images = labels.len();
    Ok((Tested { epoch: 0, loss: 0.0, images, top1, top5, mean_per_class }, passed.left_out))
}

/// The class with the largest score, the first of several.
fn largest(scores: &[f32]) -> u32 {
    let better =
        |best: usize, class: usize| if scores[class] > scores[best] { class } else { best };
    (0..scores.len()).reduce(better).unwrap_or(0) as u32
}
