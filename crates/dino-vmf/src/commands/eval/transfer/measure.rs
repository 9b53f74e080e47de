//! Measures a data set: features of its images, the choice of the weight decay, the fit, the test.

use std::ops::ControlFlow;

use anyhow::{Context, Result, ensure};
use dino::evaluation;
use dino::open::Opened;
use probe::accuracy::ClassAccuracy;
use probe::logistic::one_vs_rest::{self, MultiLabelled};
use probe::logistic::sweep;
use probe::{
    Encoder, Evaluated, Extracted, Features, Pass, Preprocess, Progress, Size, Source, Storage,
    Views, Wanted,
};
use report::number::{counted, short};
use serde::{Deserialize, Serialize};

use super::super::super::viewing::show_images;
use super::super::beside;
use super::super::labelled::{self, Vectors, checked, show_fits};
use super::images::{Images, Parts};
use super::known::Metric;
use super::set::Set;
use crate::console::Console;

/// What was measured on a data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) metric: Metric,
    /// Of the metric, in percent.
    pub(super) value: f64,
    pub(super) top1: Option<f64>,
    pub(super) mean_per_class: Option<f64>,
    pub(super) map11: Option<f64>,
    /// For each class its average precision in percent, with the metric `map11`.
    pub(super) precisions: Vec<(String, f64)>,
    pub(super) classes: usize,
    pub(super) train_images: usize,
    pub(super) validation_images: usize,
    pub(super) test_images: usize,
    /// Whether the validation images were drawn from the training images.
    pub(super) drawn: bool,
    pub(super) weight_decay: f64,
    /// The validation value of each weight decay, the smallest first.
    pub(super) validation: Vec<Validated>,
    /// Fits of the result that did not reach the optimum.
    pub(super) not_converged: usize,
}

/// The validation value of a weight decay, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Validated {
    pub(super) weight_decay: f64,
    pub(super) value: f64,
    pub(super) iterations: usize,
}

/// What classifiers learn from and are tested with.
struct Inputs {
    train: Part,
    val: Option<Part>,
    test: Part,
}

/// The images of a part that could be read.
struct Part {
    features: Features,
    /// For each class, whether each image belongs to it; `None` if an image has one class.
    members: Option<Vec<Vec<bool>>>,
}

/// Measures a data set.
///
/// # Errors
/// Too little memory; images that cannot be read; features that are not finite.
pub(super) fn measure(
    set: &Set,
    opened: &Opened,
    vectors: Vectors,
    seed: u64,
    console: &mut Console,
) -> Result<Measured> {
    let inputs = inputs(set, opened, vectors, console)?;
    let measured = match set.metric {
        Metric::Map11 => several(set, inputs, seed, console),
        Metric::Top1 | Metric::MeanPerClass => single(set, inputs, seed, console),
    }?;
    console.end_progress();
    warn(set, &measured, console);
    Ok(measured)
}

/// Classes of which an image has one.
fn single(set: &Set, inputs: Inputs, seed: u64, console: &mut Console) -> Result<Measured> {
    let classes = set.parts.train.classes.len();
    let Inputs { train: Part { features: mut all, .. }, val, test } = inputs;
    let (val, test) = (val.map(|part| part.features), test.features);
    let rows = (all.rows.len(), val.as_ref().map_or(0, |val| val.rows.len()));
    let split = set.parts.split(rows, &all.labels, seed);
    if let Some(val) = val {
        all.rows.append(&val.rows)?;
        all.labels.extend(val.labels);
    }
    let by_class = set.metric == Metric::MeanPerClass;
    let criterion = if by_class { sweep::Criterion::MeanPerClass } else { sweep::Criterion::Top1 };
    let chosen = sweep::choose_on(
        &all,
        classes,
        &sweep::strengths(),
        (&split, criterion),
        &mut |done, total| {
            show_fits(console, "fit", done, total);
            Ok(())
        },
    )?;
    let ClassAccuracy { top1, mean_per_class } =
        ClassAccuracy::of(&chosen.fit.classifier.predict(&test.rows), &test.labels);
    let validation = chosen.validated.iter().map(|of| Validated {
        weight_decay: of.strength,
        value: if by_class { of.mean_per_class } else { of.top1 },
        iterations: of.iterations,
    });
    Ok(Measured {
        metric: set.metric,
        value: if by_class { mean_per_class } else { top1 },
        top1: Some(top1),
        mean_per_class: Some(mean_per_class),
        map11: None,
        precisions: Vec::new(),
        classes,
        train_images: split.fitted.len(),
        validation_images: split.validation.len(),
        test_images: test.labels.len(),
        drawn: set.parts.val.is_none(),
        weight_decay: chosen.strength,
        validation: validation.collect(),
        not_converged: usize::from(!chosen.fit.converged),
    })
}

/// Classes of which an image may have several.
fn several(set: &Set, inputs: Inputs, seed: u64, console: &mut Console) -> Result<Measured> {
    let Inputs { train, val, test } = inputs;
    let (mut all, test) = (train.into_several()?, test.into_several()?);
    let val = val.map(Part::into_several).transpose()?;
    let rows = (all.rows.len(), val.as_ref().map_or(0, |val| val.rows.len()));
    let split = set.parts.split(rows, &[], seed);
    if let Some(val) = val {
        all.append(&val)?;
    }
    require_both_kinds(set, &all, &split)?;
    let strengths = sweep::strengths();
    let chosen = one_vs_rest::choose(all, &strengths, &split, &mut |done, total| {
        show_fits(console, "fit", done, total);
        Ok(())
    })?;
    let precisions = set.parts.train.classes.iter().zip(chosen.precisions(&test));
    let precisions = precisions.map(|(class, precision)| {
        let of = || format!("no test image of class `{class}` can be read");
        Ok((class.clone(), 100.0 * precision.with_context(of)?))
    });
    let precisions = precisions.collect::<Result<Vec<_>>>()?;
    let mean = precisions.iter().map(|(_, of)| of).sum::<f64>() / precisions.len() as f64;
    let validation = chosen.validated.iter().map(|of| Validated {
        weight_decay: of.strength,
        value: of.map11,
        iterations: of.iterations,
    });
    Ok(Measured {
        metric: set.metric,
        value: mean,
        top1: None,
        mean_per_class: None,
        map11: Some(mean),
        classes: precisions.len(),
        precisions,
        train_images: split.fitted.len(),
        validation_images: split.validation.len(),
        test_images: test.rows.len(),
        drawn: set.parts.val.is_none(),
        weight_decay: chosen.strength,
        validation: validation.collect(),
        not_converged: chosen.fits.iter().filter(|fit| !fit.converged).count(),
    })
}

/// Refuses a class that has no image, or nothing else, among those that are fitted or that validate.
fn require_both_kinds(set: &Set, all: &MultiLabelled, split: &sweep::Split) -> Result<()> {
    let parts = [("fitted", &split.fitted), ("validation", &split.validation)];
    for (class, members) in set.parts.train.classes.iter().zip(&all.members) {
        for (name, rows) in parts {
            let images = rows.iter().filter(|&&row| members[row]).count();
            let all = rows.len();
            ensure!(
                images > 0 && images < all,
                "{images} of {} {name} images belong to class `{class}`, so it cannot be told from the others: {}",
                all,
                match set.parts.val {
                    None => "give validation images by `--val`, or another `--seed`",
                    Some(_) => "leave the class out",
                }
            );
        }
    }
    Ok(())
}

impl Part {
    fn new(found: Extracted, images: &Images, console: &mut Console) -> Result<Self> {
        let members = images.members_of(&found.passed.indices);
        Ok(Self { features: checked(found, console)?, members })
    }

    /// Rows of which each may belong to several classes.
    fn into_several(self) -> Result<MultiLabelled> {
        let members = self.members.context("no classes")?;
        Ok(MultiLabelled { rows: self.features.rows, members })
    }
}

/// The features of all images.
fn inputs(set: &Set, opened: &Opened, vectors: Vectors, console: &mut Console) -> Result<Inputs> {
    let Parts { train, val, test } = &set.parts;
    let preprocess = evaluation::preprocess(&set.config, train.subset.dataset())?;
    let encoder = Encoder { name: "trained", network: &opened.network, params: &opened.teacher };
    let wanted = Wanted { kind: vectors.of(opened).0, unit: false };
    let fitted = train.subset.len() + val.as_ref().map_or(0, |val| val.subset.len());
    let total = fitted + test.subset.len();
    let storage = storage(set, (&encoder, wanted), &preprocess, (fitted, total), console)?;
    let text = set.describe();
    let mut report = |done, total| {
        show_images(console, "features", (done, total), &text);
        ControlFlow::Continue(())
    };
    let progress = &mut Progress::new(total, &mut report);
    let mut extract = |images: &Images| {
        let pass = Pass { images: &images.subset, preprocess: &preprocess, views: Views::Square };
        pass.extract_to(storage, &[&encoder], &[wanted], progress)
    };
    let of_train = extract(train)?;
    let of_val = val.as_ref().map(|val| extract(val).map(|found| (found, val))).transpose()?;
    let of_test = extract(test)?;
    console.end_progress();
    Ok(Inputs {
        train: Part::new(of_train, train, console)?,
        val: of_val.map(|(found, val)| Part::new(found, val, console)).transpose()?,
        test: Part::new(of_test, test, console)?,
    })
}

/// Where features of all images are kept, beside a copy of those that are fitted and validate, and a fit.
fn storage(
    set: &Set,
    (encoder, wanted): (&Encoder<'_>, Wanted),
    preprocess: &Preprocess,
    (fitted, images): (usize, usize),
    console: &mut Console,
) -> Result<Storage> {
    let values = encoder.width(wanted.kind, &preprocess.shape(1));
    let several = set.metric == Metric::Map11;
    let classes = if several { 2 } else { set.parts.train.classes.len() };
    let size = Size { train: fitted, test: images - fitted, width: values, classes };
    let beside = beside::logistic(size, fitted);
    let side = preprocess.view.crop as usize;
    let evaluated = Evaluated { images, held: images, side, classes };
    labelled::storage(&set.config, evaluated, values, beside, console)
}

/// Says what is doubtful about a result.
fn warn(set: &Set, measured: &Measured, console: &mut Console) {
    let name = &set.name;
    if measured.not_converged > 0 {
        let fits = counted(measured.not_converged, "fit");
        console.warn(format!("data set `{name}`: {fits} ended before the optimum"));
    }
    if let Some(side) = measured.better_at_an_end() {
        let decay = short(measured.weight_decay);
        console.warn(format!(
            "data set `{name}`: the chosen weight decay {decay} is the {side} of all, and better than the next: one \
             beyond it may be better still"
        ));
    }
}

impl Measured {
    /// Which end of the values of the weight decay was chosen, if it is better than its neighbor.
    fn better_at_an_end(&self) -> Option<&'static str> {
        let (first, last) = (self.validation.first()?, self.validation.last()?);
        let count = self.validation.len();
        let next = |place: usize| self.validation.get(place).map_or(f64::NAN, |of| of.value);
        if self.weight_decay == first.weight_decay && first.value > next(1) {
            return Some("smallest");
        }
        let is_last = self.weight_decay == last.weight_decay;
        (is_last && count > 1 && last.value > next(count - 2)).then_some("largest")
    }
}
