//! The estimate of a step's memory against what a step takes.

use dino::config::{Config, Horizon};
use dino::masking::Masks;
use dino::memory::Estimate;
use dino::schedule::Schedules;
use dino::trainer::step::{CropBatch, Training};
use engine::{Params, pool};

/// Estimated and measured bytes of what a step takes beside weights, gradients and crops.
fn compare(sets: &[&str]) -> (f64, f64) {
    let common = [
        "model.patch_size=16",
        "model.head_hidden_dim=512",
        "model.prototypes=4096",
        "data.global_size=112",
        "data.local_size=48",
    ];
    let sets: Vec<_> = common.iter().chain(sets).map(|set| (*set).to_owned()).collect();
    let config = Config::resolve(None, None, &sets, &[]).expect("valid settings");
    let estimate = Estimate::of_steps(&config, rayon::current_num_threads(), 0).activations;
    let images = config.optim.batch_size / config.optim.accumulate;
    let data = config.data.clone();
    let noise = |crops: usize, size: usize| -> Vec<f32> {
        let len = crops * images * data.channels * size * size;
        (0..len).map(|i| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 500.0 - 1.0).collect()
    };
    let (globals, locals) = (noise(2, data.global_size), noise(data.local_crops, data.local_size));
    let indices: Vec<_> = (0..images).collect();
    let masks = Masks::of(&config).map_or_else(Vec::new, |masks| masks.draw(0, &indices));
    let training = Training::new(config);
    let mut state = training.initial_state();
    let mut grads = Params::zeros(training.network.table().clone());
    let batch = CropBatch { globals: &globals, locals: &locals, masks: &masks, images };
    let values =
        Schedules::new(&training.config, Horizon { total_steps: 10, steps_per_epoch: 5 }).at(3);
    pool::reset_peak();
    let before = pool::usage().asked;
    let batches = vec![batch; training.config.optim.accumulate];
    training.step(&mut state, &mut grads, &batches, &values).expect("a finite step");
    (estimate, (pool::usage().asked - before) as f64)
}

#[test]
fn activations_are_estimated_within_a_fifth() {
    let cases: [&[&str]; 14] = [
        &["model.arch=vit_tiny", "optim.batch_size=4"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "run.recompute=light"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "run.recompute=blocks"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "model.precision=bf16"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "model.drop_path=0.5"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "model.layer_scale=0.1"],
        &["model.arch=vit_tiny", "optim.batch_size=8", "optim.accumulate=4"],
        &["model.arch=vit_tiny", "optim.batch_size=4", "objective.method=ibot"],
        &[
            "model.arch=vit_tiny",
            "optim.batch_size=4",
            "objective.method=ibot",
            "run.recompute=light",
        ],
        &[
            "model.arch=vit_tiny",
            "optim.batch_size=4",
            "objective.method=ibot",
            "run.recompute=light",
            "model.precision=bf16",
        ],
        &["model.arch=vit_small", "optim.batch_size=2"],
        &["model.arch=vit_small", "optim.batch_size=2", "data.local_crops=0"],
        &["model.arch=custom", "model.depth=2", "model.embed_dim=96", "optim.batch_size=16"],
        &[
            "model.arch=custom",
            "model.depth=3",
            "model.embed_dim=96",
            "optim.batch_size=64",
            "data.global_size=32",
            "data.local_size=16",
            "model.patch_size=8",
        ],
    ];
    let mut wrong = Vec::new();
    for case in cases {
        let (estimated, measured) = compare(case);
        let ratio = estimated / measured;
        let line = format!(
            "{ratio:.3} = {:.1} / {:.1} MiB: {case:?}",
            estimated / 1_048_576.0,
            measured / 1_048_576.0
        );
        println!("{line}");
        if !(0.9..=1.2).contains(&ratio) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "estimated / measured: {wrong:#?}");
}
