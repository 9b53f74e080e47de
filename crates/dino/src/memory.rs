//! An [`Estimate`] is the memory that a run needs, computed from its settings before anything is allocated.
//!
//! | part | bytes |
//! | --- | --- |
//! | weights | 4 for each parameter of student, teacher, gradient and both moments of AdamW |
//! | activations | tensors of a micro-batch that the student saves for the backward pass, and temporary ones |
//! | images | crops of the current batch and of batches made ahead |
//! | evaluation | features, or raw pixels, of all evaluated images; classifiers that are fitted |
//!
//! `tests/all/memory.rs` compares activations with what a step allocates. The estimate leaves out decoding:
//! every worker holds one image at a time, whose size is not known before it is read.

mod activations;
mod kept;
mod machine;

use std::fmt;

use multicrop::loader::LoaderConfig;
use probe::Evaluated;

use crate::config::{Centering, Config, Recompute, Sizes};
use crate::error::{Error, Result};
use crate::plan::shapes;
use vit::Network;

pub use kept::{Beside, Kept, keep};
pub(crate) use machine::free_disk;
pub use machine::{available, total};

/// The program itself, its threads' stacks, tables of names.
const PROGRAM: f64 = 40.0 * MIB;
/// The pool rounds sizes up and keeps memory for reuse: memory taken by memory asked for.
const POOL: f64 = 1.08;
const F32: f64 = 4.0;
const MIB: f64 = 1_048_576.0;
pub(crate) const GIB: f64 = 1024.0 * MIB;
/// What to try if the images of an evaluation are too many.
const FEWER_IMAGES: &str = "use fewer images, or a smaller `--crop`";

/// Peak memory of a run in bytes, by purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Both networks, gradients, moments.
    pub weights: f64,
    /// Saved and temporary tensors of a step.
    pub activations: f64,
    /// Crops of all batches in memory.
    pub images: f64,
    /// Features of the evaluated images, the forward pass that makes them, and what is fitted to them.
    pub evaluation: f64,
    /// The peak of all of it together, with the program itself.
    pub total: f64,
}

impl Estimate {
    /// Memory of training with these settings on `threads` threads.
    pub fn of_training(config: &Config, threads: usize, evaluated: Option<Evaluated>) -> Self {
        let parameters = parameters(config);
        let weights = POOL * 5.0 * F32 * parameters;
        let activations = POOL * activations::of_step(config, threads);
        let images = images(config, threads);
        let features = evaluated.map_or(0.0, |evaluated| {
            // One source at a time: raw pixels, or the network's features.
            let pixels = pixels_of(config, evaluated.side);
            let (values, bytes) = crate::evaluation::held(config, evaluated, pixels);
            features(config, evaluated, values) + bytes
        });
        let forward = evaluated.map_or(0.0, |evaluated| {
            POOL * (activations::of_evaluation(config, evaluated.side) + F32 * parameters)
        });
        // Resuming holds the checkpoint, four buffers, beside the weights.
        let restoring = 4.0 * F32 * parameters;
        let loading =
            if config.eval.every_epochs > 0 { images + features } else { images.max(features) };
        let working = activations.max(forward) + loading;
        Self {
            weights,
            activations,
            images,
            evaluation: features + forward,
            total: PROGRAM + weights + working.max(restoring),
        }
    }

    /// Memory of `bench step` with `batches` batches of crops.
    pub fn of_steps(config: &Config, threads: usize, batches: usize) -> Self {
        let whole = Self::of_training(config, threads, None);
        let images = batches as f64 * batch(config);
        let total = PROGRAM + whole.weights + whole.activations + images;
        Self { images, total, ..whole }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "weights and optimizer {}, activations {}, crops {}",
            Bytes(self.weights),
            Bytes(self.activations),
            Bytes(self.images)
        )?;
        if self.evaluation > 0.0 {
            write!(f, ", evaluation {}", Bytes(self.evaluation))?;
        }
        Ok(())
    }
}

/// An amount of memory as text: KiB, MiB or GiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes(pub f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 0.95 * MIB => write!(f, "{:.0} KiB", bytes / 1024.0),
            bytes if bytes < 0.95 * GIB => write!(f, "{:.0} MiB", bytes / MIB),
            bytes if bytes < 9.95 * GIB => write!(f, "{:.1} GiB", bytes / GIB),
            bytes => write!(f, "{:.0} GiB", bytes / GIB),
        }
    }
}

/// Refuses a run that needs more memory than the machine has.
///
/// # Errors
/// [`Error::TooLittleMemory`], with settings that fit, if any do.
pub fn require(config: &Config, threads: usize, evaluated: Option<Evaluated>) -> Result<()> {
    let Some(available) = available() else { return Ok(()) };
    check(config, available as f64, &|config| Estimate::of_training(config, threads, evaluated))
}

/// The largest batch that fits into free memory in one piece, at most a few times 65536; `None` if the free
/// memory is not known, or if no batch fits.
pub fn largest_batch(
    config: &Config,
    threads: usize,
    evaluated: Option<Evaluated>,
) -> Option<usize> {
    let available = available()? as f64;
    let fits = |batch_size: usize| {
        let mut config = config.clone();
        (config.optim.batch_size, config.optim.accumulate) = (batch_size, 1);
        Estimate::of_training(&config, threads, evaluated).total <= available
    };
    let (mut fitting, mut step) = (0, 1 << 16);
    while step > 0 {
        if fits(fitting + step) {
            fitting += step;
        }
        step /= 2;
    }
    (fitting > 0).then_some(fitting)
}

/// The smallest `optim.accumulate` with which the batch of `config` fits into free memory. `None` if none
/// does, or if the free memory is not known.
pub fn accumulate_that_fits(
    config: &Config,
    threads: usize,
    evaluated: Option<Evaluated>,
) -> Option<usize> {
    let available = available()? as f64;
    let mut whole = config.clone();
    whole.optim.accumulate = 1;
    parts(&whole, config.optim.batch_size).find(|&accumulate| {
        let mut config = whole.clone();
        config.optim.accumulate = accumulate;
        Estimate::of_training(&config, threads, evaluated).total <= available
    })
}

/// The same for `bench step`.
///
/// # Errors
/// As [`require`].
pub fn require_steps(config: &Config, threads: usize, batches: usize) -> Result<()> {
    let Some(available) = available() else { return Ok(()) };
    check(config, available as f64, &|config| Estimate::of_steps(config, threads, batches))
}

/// Refuses an evaluation that needs more memory than the machine has. `values` are held for each image:
/// the features of all sources together ([`Pass::values_of_image`](probe::Pass::values_of_image)).
///
/// # Errors
/// [`Error::TooLittleMemory`].
pub fn require_evaluation(config: &Config, evaluated: Evaluated, values: usize) -> Result<()> {
    require_bytes(looking(evaluated), evaluation(config, evaluated, values), FEWER_IMAGES)
}

/// An evaluation in words.
fn looking(Evaluated { images, side, .. }: Evaluated) -> String {
    format!("looking at {images} images of {side} x {side} pixels")
}

/// Refuses an evaluation during training, whose weights are in memory already, if what it adds is not free.
///
/// # Errors
/// [`Error::TooLittleMemory`].
pub(crate) fn require_during(config: &Config, evaluated: Evaluated, is_pixels: bool) -> Result<()> {
    let Evaluated { images, side, .. } = evaluated;
    let pixels = if is_pixels { pixels_of(config, side) } else { 0.0 };
    let (values, bytes) = crate::evaluation::held(config, evaluated, pixels);
    let what = format!("evaluating {images} images of {side} x {side} pixels");
    let advice = "try fewer images by `eval.max_train` and `eval.max_test`";
    require_bytes(what, features(config, evaluated, values) + bytes, advice)
}

/// Bytes of an evaluation of a checkpoint.
fn evaluation(config: &Config, evaluated: Evaluated, values: usize) -> f64 {
    // The checkpoint, both networks, and the untrained one.
    let weights = (4.0 + 3.0 * POOL) * F32 * parameters(config);
    let forward = POOL * activations::of_evaluation(config, evaluated.side);
    weights + features(config, evaluated, values as f64) + forward
}

/// Refuses batches of crops that need more memory than the machine has.
///
/// # Errors
/// [`Error::TooLittleMemory`].
pub fn require_crops(config: &Config, batch_size: usize, batches: usize) -> Result<()> {
    let config = &{
        let mut config = config.clone();
        config.optim.batch_size = batch_size;
        config
    };
    let what = format!("{batches} batches of the crops of {batch_size} images");
    require_bytes(what, batches as f64 * batch(config), "try fewer images, or smaller crops")
}

/// Refuses what needs more bytes than the machine has free.
///
/// # Errors
/// [`Error::TooLittleMemory`].
pub fn require_bytes(what: String, bytes: f64, advice: &str) -> Result<()> {
    let needs = PROGRAM + bytes;
    let Some(has) = available().map(|has| has as f64).filter(|has| needs > *has) else {
        return Ok(());
    };
    Err(Error::TooLittleMemory {
        what,
        needs: Bytes(needs).to_string(),
        parts: None,
        has: Bytes(has).to_string(),
        advice: Some(advice.to_owned()),
    })
}

fn check(config: &Config, available: f64, estimate: &dyn Fn(&Config) -> Estimate) -> Result<()> {
    let needed = estimate(config);
    if needed.total <= available {
        return Ok(());
    }
    let (what, needs, has) =
        (describe(config), Bytes(needed.total).to_string(), Bytes(available).to_string());
    let raw = "try `--set eval.max_train=1000 --set eval.max_test=500`: k-NN of raw pixels holds all of them";
    let advice = advise(config, available, estimate)
        .or_else(|| (needed.evaluation > needed.total / 2.0).then(|| raw.to_owned()));
    Err(Error::TooLittleMemory { what, needs, parts: Some(needed.to_string()), has, advice })
}

/// The network and the batch in a few words.
fn describe(config: &Config) -> String {
    let (model, optim) = (&config.model, &config.optim);
    let Sizes { embed_dim, depth, .. } = model.sizes();
    let parts = match optim.accumulate {
        1 => String::new(),
        parts => format!(" in {parts} parts"),
    };
    format!(
        "a network of {depth} blocks of width {embed_dim} with {} prototypes and batches of {}{parts}",
        model.prototypes, optim.batch_size
    )
}

/// Settings that fit: first those with the same result, then a smaller batch.
fn advise(
    config: &Config,
    available: f64,
    estimate: &dyn Fn(&Config) -> Estimate,
) -> Option<String> {
    let batch = config.optim.batch_size;
    let halves = std::iter::successors(Some(batch), |batch| Some(batch / 2));
    for batch_size in halves.take_while(|batch| *batch >= 1) {
        for recompute in [config.run.recompute, Recompute::Light, Recompute::Blocks] {
            let fits = parts(config, batch_size).find_map(|accumulate| {
                let mut smaller = config.clone();
                (smaller.optim.batch_size, smaller.optim.accumulate) = (batch_size, accumulate);
                smaller.run.recompute = recompute;
                let needed = estimate(&smaller).total;
                (needed <= available).then_some((smaller, needed))
            });
            if let Some((smaller, needed)) = fits {
                let sets = differences(config, &smaller).join(" ");
                let same = if batch_size == batch {
                    "the batch stays the same"
                } else {
                    "a smaller batch, which is another recipe"
                };
                return Some(format!("try `{sets}`, which needs {} ({same})", Bytes(needed)));
            }
        }
    }
    None
}

/// Values of `optim.accumulate` that a batch allows, the smallest first.
fn parts(config: &Config, batch_size: usize) -> impl Iterator<Item = usize> + use<> {
    // Sinkhorn needs the whole batch.
    let whole = config.objective.centering() == Centering::Sinkhorn;
    let least = if whole { 1 } else { config.optim.accumulate.min(batch_size) };
    let most = if whole { 1 } else { batch_size };
    (least..=most).filter(move |parts| batch_size.is_multiple_of(*parts))
}

/// The flags that turn one configuration into the other.
fn differences(from: &Config, to: &Config) -> Vec<String> {
    let mut sets = Vec::new();
    if from.optim.batch_size != to.optim.batch_size {
        sets.push(format!("--set optim.batch_size={}", to.optim.batch_size));
    }
    if from.optim.accumulate != to.optim.accumulate {
        sets.push(format!("--set optim.accumulate={}", to.optim.accumulate));
    }
    if from.run.recompute != to.run.recompute {
        let name = if to.run.recompute == Recompute::Light { "light" } else { "blocks" };
        sets.push(format!("--recompute {name}"));
    }
    sets
}

/// Number of parameters of a network.
pub fn parameters(config: &Config) -> f64 {
    let (vit, head) = shapes(config);
    Network::new(&vit, &head).table().len() as f64
}

/// Bytes of the crops of one batch.
fn batch(config: &Config) -> f64 {
    let data = &config.data;
    let pixels = |count: usize, size: usize| count as f64 * (size as f64).powi(2);
    let one = pixels(2, data.global_size) + pixels(data.local_crops, data.local_size);
    F32 * data.channels as f64 * one * config.optim.batch_size as f64
}

/// Bytes of all crops in memory: the current batch, batches made ahead, and copies of the parts of the
/// current one.
fn images(config: &Config, threads: usize) -> f64 {
    let workers = if config.run.workers == 0 { threads } else { config.run.workers };
    let ahead = LoaderConfig::default().prefetch + workers.div_ceil(config.optim.batch_size.max(1));
    let copy = usize::from(config.optim.accumulate > 1);
    (1 + ahead + copy) as f64 * batch(config)
}

/// Bytes of the features of all images, of each of which `values` are held, and of one batch of images.
fn features(config: &Config, evaluated: Evaluated, values: f64) -> f64 {
    let pixels = pixels_of(config, evaluated.side);
    F32 * (values * evaluated.held as f64 + pixels * config.eval.batch_size as f64)
}

/// Values of an image as the network gets it.
fn pixels_of(config: &Config, side: usize) -> f64 {
    config.data.channels as f64 * (side as f64).powi(2)
}

#[cfg(test)]
mod tests;
