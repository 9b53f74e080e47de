//! [`StepTime`]: seconds of a training step, measured with pieces of it.
//!
//! A piece is a step of fewer images. If one image of the whole network is expensive, the network of the
//! pieces has only [`SHALLOW`] blocks. Three parts of a step are timed on their own and extended to the
//! whole step of `accumulate` micro-batches. The line through the two largest pieces gives the time of a
//! micro-batch:
//!
//! ```text
//! network     forward and backward pass    the line × work(whole) / work(piece)
//! objective   loss and its gradients       the line
//! update      everything else: AdamW, …    × parameters(whole) / parameters(piece)
//!
//! step = accumulate · (network + objective) + update
//! ```

use std::time::{Duration, Instant};

use engine::Params;
use serde::Serialize;

use super::work;
use crate::config::{Arch, Config};
use crate::masking::Masks;
use crate::memory::{self, Estimate, available};
use crate::schedule::StepValues;
use crate::trainer::step::{CropBatch, State, StepReport, Training};

/// Blocks of a network that stands for a deeper one. The last block is cheaper than the others.
const SHALLOW: usize = 3;
/// Operations of one image, from which on a shallow network stands for a deep one.
const EXPENSIVE: f64 = 1e10;
/// Runs of a piece, if there is time for them. The fastest is the one that other programs disturbed least.
const REPEATS: usize = 7;
/// Rows of the teacher's operands, and images, from which on a piece has the usual speed. With fewer, much of
/// the time goes into packing weights and prototypes, which a step does once.
const ENOUGH_ROWS: f64 = 512.0;
const ENOUGH_IMAGES: usize = 4;
/// Times of its share that a piece may take as long as it has fewer.
const PATIENCE: f64 = 16.0;

/// Time of a training step on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepTime {
    /// Seconds of a step, without waiting for images.
    pub seconds: f64,
    /// Floating-point operations per second of the teacher's forward pass.
    pub flops_per_second: f64,
    /// Images of the largest piece that was timed.
    pub piece_images: usize,
    /// Blocks of the network that was timed.
    pub piece_blocks: usize,
}

impl StepTime {
    /// Measures a step for about `budget`, with random crops in place of images. Pieces with too few images for
    /// the usual speed may take several times as long.
    ///
    /// `None` if not even one image fits into memory, or if a loss is not finite.
    pub fn measure(config: &Config, budget: Duration) -> Option<Self> {
        let clock = Clock {
            start: Instant::now(),
            share: budget.as_secs_f64() / 5.0,
            enough: ENOUGH_IMAGES.max((ENOUGH_ROWS / work::teacher_rows(config)).ceil() as usize),
        };
        let mut bench = Bench::new(config)?;
        let micro_batch = (config.optim.batch_size / config.optim.accumulate.max(1)).max(1);
        let (mut images, mut time) = (1, bench.time(1, &clock)?);
        let mut before = None;
        while let Some(more) = clock.more_images(images, &time).map(|more| more.min(micro_batch)) {
            if more == images || !bench.fits(more) {
                break;
            }
            before = Some((images, time));
            (images, time) = (more, bench.time(more, &clock)?);
        }
        let of_micro_batch = |part: fn(&PieceTime) -> f64| match &before {
            Some((fewer, less)) => {
                extended((*fewer, part(less)), (images, part(&time)), micro_batch)
            }
            None => part(&time) * micro_batch as f64 / images as f64,
        };
        let piece = &bench.training.config;
        let network = of_micro_batch(|time| time.network) * work::of_network(config, 1)
            / work::of_network(piece, 1);
        let objective = of_micro_batch(|time| time.objective);
        let update = time.update * memory::parameters(config) / memory::parameters(piece);
        Some(Self {
            seconds: config.optim.accumulate.max(1) as f64 * (network + objective) + update,
            flops_per_second: 2.0
                * images as f64
                * work::of_features(piece, piece.data.global_size)
                / time.teacher.max(1e-9),
            piece_images: images,
            piece_blocks: piece.model.sizes().depth,
        })
    }
}

/// The time of `images` images by the line through two measured times. Its slope is kept between that of a
/// half fixed time and that of none, so that noise is not multiplied.
fn extended((fewer, less): (usize, f64), (count, time): (usize, f64), images: usize) -> f64 {
    let of_image = time / count as f64;
    let slope = (time - less) / (count - fewer) as f64;
    time + (images - count) as f64 * slope.clamp(0.5 * of_image, of_image)
}

/// How long the measurement may last.
struct Clock {
    start: Instant,
    /// Seconds that one run of a piece may take.
    share: f64,
    /// Images with which a piece has the usual speed.
    enough: usize,
}

impl Clock {
    /// Number of images of the next, larger piece; `None` if there is no time for it.
    fn more_images(&self, images: usize, time: &PieceTime) -> Option<usize> {
        let in_seconds = |seconds| (images as f64 * seconds / time.all().max(1e-6)) as usize;
        let patient = in_seconds(PATIENCE * self.share).min(self.enough);
        let more = in_seconds(self.share).max(patient).min(16 * images);
        (more >= 2 * images).then_some(more)
    }

    fn is_over(&self) -> bool {
        self.start.elapsed().as_secs_f64() > 4.0 * self.share
    }
}

/// Seconds of one run of a piece.
#[derive(Debug, Clone, Copy)]
struct PieceTime {
    network: f64,
    objective: f64,
    update: f64,
    /// The teacher's forward pass, a part of `network`.
    teacher: f64,
}

impl PieceTime {
    fn all(&self) -> f64 {
        self.network + self.objective + self.update
    }
}

/// A network that takes steps.
struct Bench {
    training: Training,
    state: State,
    grads: Params,
}

impl Bench {
    /// A network for pieces of a step of `config`; `None` if it does not fit into memory.
    fn new(config: &Config) -> Option<Self> {
        let config = piece(config);
        if !fits(&config) {
            return None;
        }
        let training = Training::new(config);
        let state = training.initial_state();
        let grads = Params::zeros(training.network.table().clone());
        Some(Self { training, state, grads })
    }

    fn fits(&self, images: usize) -> bool {
        let mut config = self.training.config.clone();
        config.optim.batch_size = images;
        fits(&config)
    }

    /// The time of a step of `images` images: that of the fastest run. `None` if it has a value that is not
    /// finite.
    fn time(&mut self, images: usize, clock: &Clock) -> Option<PieceTime> {
        self.training.config.optim.batch_size = images;
        let crops = Crops::random(&self.training.config, images);
        self.step(&crops)?; // takes fresh memory, which later steps use again
        let mut fastest = self.step(&crops)?;
        for _ in 1..REPEATS {
            if clock.is_over() {
                break;
            }
            let time = self.step(&crops)?;
            if time.all() < fastest.all() {
                fastest = time;
            }
        }
        Some(fastest)
    }

    fn step(&mut self, crops: &Crops) -> Option<PieceTime> {
        let Self { training, state, grads } = self;
        let start = Instant::now();
        let report = training.step(state, grads, &[crops.batch()], &VALUES).ok()?;
        let (all, StepReport { times, .. }) = (start.elapsed(), report);
        let network = times.teacher_forward + times.student_forward + times.backward;
        Some(PieceTime {
            network: network.as_secs_f64(),
            objective: times.objective.as_secs_f64(),
            update: all.saturating_sub(network + times.objective).as_secs_f64(),
            teacher: times.teacher_forward.as_secs_f64(),
        })
    }
}

/// The configuration of the network that is timed, with a batch of one image.
fn piece(config: &Config) -> Config {
    let mut piece = config.clone();
    (piece.optim.batch_size, piece.optim.accumulate) = (1, 1);
    let sizes = config.model.sizes();
    if sizes.depth > SHALLOW && work::of_network(config, 1) > EXPENSIVE {
        piece.model.arch = Arch::Custom;
        piece.model.embed_dim = Some(sizes.embed_dim);
        piece.model.heads = Some(sizes.heads);
        piece.model.depth = Some(SHALLOW);
        // Few branches of few images would be left out by chance.
        piece.model.drop_path = 0.0;
    }
    piece
}

fn fits(config: &Config) -> bool {
    let needed = Estimate::of_steps(config, rayon::current_num_threads(), 1).total;
    available().is_none_or(|available| needed <= available as f64)
}

/// Crops of noise, with masks if the method uses them.
pub(super) struct Crops {
    globals: Vec<f32>,
    locals: Vec<f32>,
    masks: Vec<bool>,
    images: usize,
}

impl Crops {
    pub(super) fn random(config: &Config, images: usize) -> Self {
        let data = &config.data;
        // Multiplicative hashing: even in -1 to 1, and cheaper than a generator.
        let noise =
            |i: u32| i.wrapping_mul(2_654_435_769).cast_signed() as f32 / (1u32 << 31) as f32;
        let crops = |count: usize, size: usize| -> Vec<f32> {
            (0..(count * images * data.channels * size * size) as u32).map(noise).collect()
        };
        let indices: Vec<_> = (0..images).collect();
        let masks = Masks::of(config);
        Self {
            globals: crops(2, data.global_size),
            locals: crops(data.local_crops, data.local_size),
            masks: masks.map_or_else(Vec::new, |m| m.draw(config.masking.start_epoch, &indices)),
            images,
        }
    }

    pub(super) fn batch(&self) -> CropBatch<'_> {
        let Self { globals, locals, masks, images } = self;
        CropBatch { globals, locals, masks, images: *images }
    }
}

/// Values of all schedules. The time does not depend on them.
pub(super) const VALUES: StepValues = StepValues {
    lr: 1e-6,
    weight_decay: 0.04,
    momentum: 0.996,
    teacher_temp: 0.04,
    patch_temp: 0.04,
    epoch: 0,
    freeze_last_layer: false,
    freeze_backbone: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::resolve(None, None, &sets, &[]).unwrap()
    }

    #[test]
    fn a_deep_network_of_large_crops_is_timed_with_few_blocks_and_one_batch() {
        let piece =
            piece(&config(&["model.arch=vit_base", "optim.batch_size=64", "optim.accumulate=4"]));
        assert_eq!((piece.model.sizes().depth, piece.model.sizes().embed_dim), (3, 768));
        assert_eq!((piece.optim.batch_size, piece.optim.accumulate), (1, 1));
        piece.validate().unwrap();
    }

    #[test]
    fn a_small_network_is_timed_as_it_is() {
        let sets = ["model.arch=vit_tiny", "data.global_size=32", "data.local_size=16"];
        assert_eq!(piece(&config(&sets)).model.sizes().depth, 12);
    }

    #[test]
    fn small_pieces_grow_to_the_usual_speed() {
        let clock = Clock { start: Instant::now(), share: 0.15, enough: 7 };
        let more = |network| {
            clock.more_images(1, &PieceTime { network, objective: 0.0, update: 0.0, teacher: 0.0 })
        };
        assert_eq!(more(0.001), Some(16), "cheap images: at most sixteen times as many");
        assert_eq!(more(0.1), Some(7), "enough images, though more than the share");
        assert_eq!(more(1.0), Some(2), "as many as patience allows");
        assert_eq!(more(2.0), None, "no time for two");
    }

    #[test]
    fn noise_in_two_times_is_not_multiplied() {
        assert_eq!(extended((1, 1.0), (2, 2.0), 10), 10.0);
        assert_eq!(extended((1, 1.2), (2, 2.0), 10), 2.0 + 8.0 * 0.8);
        assert_eq!(extended((1, 2.1), (2, 2.0), 10), 6.0, "faster with more images");
        assert_eq!(extended((1, 0.1), (2, 2.0), 10), 10.0, "slower for each image");
    }

    #[test]
    fn every_preset_can_be_measured_with_its_method() {
        for name in ["shapes-tiny", "shapes-ibot"] {
            let mut config = Config::resolve(Some(name), None, &[], &[]).unwrap();
            config.optim.batch_size = 2;
            let time = StepTime::measure(&config, Duration::from_millis(1)).unwrap();
            assert!(time.seconds > 0.0 && time.seconds.is_finite(), "{time:?}");
            assert!(time.flops_per_second > 0.0, "{time:?}");
        }
    }
}
