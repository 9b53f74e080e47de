//! Gradients and metrics of a batch taken in parts are those of the whole batch.

use dino::checkpoint::CenterOf;
use dino::config::{Arch, Centering, Config, DebyeTerms, Horizon, PrototypeNorm};
use dino::schedule::Schedules;
use dino::trainer::step::{CropBatch, State, Training};
use engine::Params;
use rand::RngExt;
use report::{Metric, Metrics};
use streams::{Key, Purpose};

const IMAGES: usize = 8;

fn config() -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) = (Some(24), Some(3), Some(2));
    (model.patch_size, model.drop_path) = (4, 0.3);
    (model.head_hidden_dim, model.bottleneck_dim, model.prototypes) = (32, 16, 48);
    model.init_std = 0.1;
    let data = &mut config.data;
    (data.global_size, data.local_size, data.local_crops) = (16, 8, 3);
    config.objective.prototype_norm = Some(PrototypeNorm::Vmf);
    config.objective.centering = Some(Centering::ProbA);
    config.objective.debye_terms = Some(DebyeTerms::Exact);
    config.optim.clip_grad = 0.0;
    config
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(3, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// The crops of some of the images, from `[crop, image, numbers]`.
fn part(all: &[f32], crops: usize, range: std::ops::Range<usize>) -> Vec<f32> {
    let one = all.len() / crops / IMAGES;
    let crop = |crop| &all[(crop * IMAGES + range.start) * one..][..range.len() * one];
    (0..crops).flat_map(crop).copied().collect()
}

/// Gradients, state and metrics after one step in `parts` micro-batches.
fn step_in(parts: usize) -> (Params, State, Metrics) {
    let training = Training::new(config());
    let mut state = training.initial_state();
    let mut grads = Params::zeros(training.network.table().clone());
    let globals = noise(2 * IMAGES * 3 * 16 * 16, 0);
    let locals = noise(3 * IMAGES * 3 * 8 * 8, 1);
    let images = IMAGES / parts;
    let cut: Vec<_> = (0..parts)
        .map(|i| i * images..(i + 1) * images)
        .map(|range| (part(&globals, 2, range.clone()), part(&locals, 3, range)))
        .collect();
    let batches: Vec<_> = cut
        .iter()
        .map(|(globals, locals)| CropBatch { globals, locals, masks: &[], images })
        .collect();
    let horizon = Horizon { total_steps: 10, steps_per_epoch: 5 };
    let values = Schedules::new(&training.config, horizon).at(3);
    let report = training.step(&mut state, &mut grads, &batches, &values).expect("a finite step");
    (grads, state, report.metrics)
}

/// Relative to each tensor's largest entry. The aim is 1e-6, 8 units in the last place of f32; what
/// is seen lies between 0.5e-6 and 1.3e-6, depending on the initial weights, because a row's bits
/// depend on how many rows its products have. A wrong weight of a part would show as 1e-1.
const TOLERANCE: f32 = 4e-6;

/// With drop path, whose decisions belong to the whole batch, and a center that is moved once.
#[test]
fn accumulated_gradients_equal_the_unaccumulated_ones() {
    let (whole, whole_state, whole_metrics) = step_in(1);
    for parts in [2, 4, 8] {
        let (grads, state, metrics) = step_in(parts);
        for entry in whole.table().entries() {
            let (a, b) = (grads.view(entry.param).host(), whole.view(entry.param).host());
            let scale = b.iter().fold(0.0f32, |scale, x| scale.max(x.abs()));
            assert!(scale > 0.0, "`{}` has a gradient", entry.name);
            for (a, b) in a.iter().zip(b) {
                assert!(
                    (a - b).abs() <= TOLERANCE * scale,
                    "{parts} parts, `{}`: {a} for {b}",
                    entry.name
                );
            }
        }
        let center = |state: &State| state.center(CenterOf::Cls).unwrap().host().to_vec();
        for (a, b) in center(&state).iter().zip(&center(&whole_state)) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "center: {a} for {b}");
        }
        for &metric in Metric::ALL {
            let (a, b) = (metrics.get(metric), whole_metrics.get(metric));
            assert_eq!(a.is_some(), b.is_some(), "{parts} parts, {metric:?}");
            let near = a.zip(b).is_none_or(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
            assert!(near, "{parts} parts, {metric:?}: {a:?} for {b:?}");
        }
    }
}
