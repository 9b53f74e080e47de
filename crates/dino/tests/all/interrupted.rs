//! A step that is left between two blocks changes nothing.

use std::ops::ControlFlow;

use dino::checkpoint::CenterOf;
use dino::config::Config;
use dino::masking::Masks;
use dino::schedule::StepValues;
use dino::trainer::step::{CropBatch, State, Training};
use engine::Params;

const VALUES: StepValues = StepValues {
    lr: 1e-3,
    weight_decay: 0.04,
    momentum: 0.99,
    teacher_temp: 0.04,
    patch_temp: 0.04,
    epoch: 0,
    freeze_last_layer: false,
    freeze_backbone: false,
};

/// Everything that a step changes.
fn bits(state: &State) -> (u64, Vec<Vec<f32>>) {
    let State { student, teacher, optimizer, step, .. } = state;
    let params = [student, teacher, &optimizer.first, &optimizer.second];
    let mut values: Vec<Vec<f32>> = Vec::new();
    for params in params {
        let entries = params.table().entries().iter();
        values.extend(entries.map(|entry| params.view(entry.param).host().to_vec()));
    }
    let centers = [CenterOf::Cls, CenterOf::Patches];
    values.extend(centers.iter().filter_map(|of| state.center(*of)).map(|c| c.host().to_vec()));
    (*step, values)
}

fn check(method: &str, accumulate: usize) {
    let sets = [
        "model.arch=custom",
        "model.embed_dim=16",
        "model.depth=2",
        "model.heads=2",
        "model.patch_size=8",
        "model.head_hidden_dim=16",
        "model.bottleneck_dim=8",
        "model.prototypes=32",
        "data.global_size=32",
        "data.local_size=16",
        "data.local_crops=2",
        "optim.batch_size=4",
        &format!("objective.method={method}"),
    ];
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let config = Config::resolve(None, None, &sets, &[]).unwrap();
    let images = 4 / accumulate;
    let pixels = |crops: usize, size: usize| -> Vec<f32> {
        let len = crops * images * 3 * size * size;
        (0..len).map(|i| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 500.0 - 1.0).collect()
    };
    let (globals, locals) = (pixels(2, 32), pixels(2, 16));
    let indices: Vec<_> = (0..images).collect();
    let masks = Masks::of(&config).map_or_else(Vec::new, |masks| masks.draw(0, &indices));
    let batch = CropBatch { globals: &globals, locals: &locals, masks: &masks, images };
    let batches = vec![batch; accumulate];
    let training = Training::new(config);
    let mut grads = Params::zeros(training.network.table().clone());
    let mut state = training.initial_state();
    let mut shares = Vec::new();
    let mut watch = |share| {
        shares.push(share);
        ControlFlow::Continue(())
    };
    training.step_watched(&mut state, &mut grads, &batches, &VALUES, &mut watch).unwrap().unwrap();
    assert!(shares.is_sorted() && *shares.last().unwrap() == 1.0, "{shares:?}");
    // Two blocks, three passes, each micro-batch.
    assert_eq!(shares.len(), 2 * 3 * accumulate);
    let before = bits(&state);
    let mut undisturbed = state.clone();
    for last in 0..shares.len() {
        let mut calls = 0;
        let mut watch = |_| {
            calls += 1;
            if calls > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let left = training.step_watched(&mut state, &mut grads, &batches, &VALUES, &mut watch);
        assert!(left.unwrap().is_none());
        assert_eq!(calls, last + 1, "no block after that");
        assert!(before == bits(&state), "{method}: left after {calls} blocks");
    }
    // The gradients and the centers' statistics that were left behind reach no later step.
    training.step(&mut state, &mut grads, &batches, &VALUES).unwrap();
    training.step(&mut undisturbed, &mut grads, &batches, &VALUES).unwrap();
    assert!(bits(&state) == bits(&undisturbed) && bits(&state) != before);
}

#[test]
fn a_step_that_is_left_changes_nothing_wherever_it_is_left() {
    for (method, accumulate) in [("dino-vmf", 1), ("dino", 2), ("ibot-vmf", 1), ("ibot", 2)] {
        check(method, accumulate);
    }
}
