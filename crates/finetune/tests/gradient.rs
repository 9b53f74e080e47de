//! The gradient of a whole network, and what must not change a result.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::ops::ControlFlow;

use engine::Params;
use finetune::{Batch, Classifier, Mix, Mixing, Pooling, Recipe, Settings, State, Training};
use vit::VitShape;

const SIDE: usize = 8;
const LABELS: [u32; 5] = [0, 3, 1, 1, 2];

fn training(pooling: Pooling, change: impl Fn(&mut Settings)) -> Training {
    let shape = VitShape {
        embed_dim: 16,
        depth: 2,
        heads: 2,
        mlp_hidden: 32,
        patch_size: 4,
        image_size: SIDE,
        registers: 1,
        layer_scale: Some(0.5),
        ..VitShape::default()
    };
    let mut settings = Settings {
        epochs: 1,
        batch_size: LABELS.len(),
        accumulate: 1,
        warmup_epochs: 0.0,
        drop_path: 0.0,
        mixing: Mixing::OFF,
        pooling,
        ..Recipe::Strong.settings(5, 16)
    };
    change(&mut settings);
    Training::new(Classifier::new(&shape, 4, pooling), settings, 100)
}

/// Values that look random, between −`scale` and `scale`.
fn values(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 12345u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        scale * (state >> 8) as f32 / 8_388_608.0 - scale
    };
    (0..count).map(next).collect()
}

fn state(training: &Training) -> State {
    let mut weights = Params::zeros(training.network().table().clone());
    let drawn = values(weights.table().len(), 0.4);
    weights.whole_mut().host_mut().copy_from_slice(&drawn);
    State::new(weights)
}

/// One step: the loss before it, and the gradient.
fn step(training: &Training, state: &mut State, mix: Mix) -> (f64, Params) {
    let mut grads = Params::zeros(training.network().table().clone());
    let pixels = &mut values(LABELS.len() * 3 * SIDE * SIDE, 1.5);
    let batch = Batch { pixels, labels: &LABELS, side: SIDE };
    let go_on = &mut |_| ControlFlow::Continue(());
    let loss = training.step_with(state, &mut grads, batch, mix, go_on).unwrap().unwrap();
    (loss, grads)
}

/// Along the gradient `g`, the loss rises by `‖g‖²` for each unit.
#[test]
fn the_gradient_of_all_weights_is_that_of_central_differences() {
    for pooling in [Pooling::Cls, Pooling::Mean] {
        let training = training(pooling, |_| ());
        let (start, mix) = (state(&training), Mix::Mixup(0.7));
        let (_, grads) = step(&training, &mut start.clone(), mix);
        for entry in training.network().table().entries() {
            let gradient = grads.view(entry.param).host();
            let square: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
            let length = 2e-3 / square.sqrt();
            let at = |sign: f64| {
                let mut moved = start.clone();
                let mut view = moved.weights.view_mut(entry.param);
                for (weight, g) in view.host_mut().iter_mut().zip(gradient) {
                    *weight += (sign * length * f64::from(*g)) as f32;
                }
                step(&training, &mut moved, mix).0
            };
            let slope = (at(1.0) - at(-1.0)) / (2.0 * length);
            let near = (slope / square - 1.0).abs() < 0.03 || square.sqrt() < 1e-4;
            assert!(near, "`{}` with {pooling:?}: {slope} for {square}", entry.name);
        }
    }
}

#[test]
fn drop_path_and_mixing_are_those_of_the_whole_batch_however_it_is_cut() {
    let with = |parts: usize| {
        let training = training(Pooling::Cls, |settings| {
            (settings.accumulate, settings.drop_path) = (parts, 0.5);
        });
        let (loss, grads) = step(&training, &mut state(&training), Mix::Mixup(0.4));
        (loss, grads.whole().host().to_vec())
    };
    let (loss, whole) = with(1);
    let (same, parts) = with(5);
    assert!((loss - same).abs() < 1e-6, "{loss} {same}");
    let largest = whole.iter().fold(0f32, |largest, g| largest.max(g.abs()));
    let differ = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5 * largest;
    assert_eq!(whole.iter().zip(&parts).filter(|of| differ(*of)).count(), 0);
}

#[test]
fn a_limit_shortens_the_gradient_and_weights_without_decay_stay() {
    // AdamW's first step does not depend on the length of the gradient, but its moments do.
    let moments = |clip: Option<f64>| {
        let training = training(Pooling::Cls, |settings| settings.clip = clip);
        let mut state = state(&training);
        step(&training, &mut state, Mix::None);
        state.first.whole().host().iter().map(|m| f64::from(*m).powi(2)).sum::<f64>().sqrt()
    };
    let (free, clipped) = (moments(None), moments(Some(1e-3)));
    assert!(free > 1e-3, "{free}");
    assert!((clipped - 1e-4).abs() < 1e-6, "{clipped}"); // (1 − β₁) · 1e-3
}

#[test]
fn a_step_that_is_not_finite_or_is_left_changes_nothing() {
    let training = training(Pooling::Cls, |_| ());
    let mut state = state(&training);
    let before = state.weights.whole().host().to_vec();
    let mut grads = Params::zeros(training.network().table().clone());
    let mut try_step = |pixel: f32, flow: ControlFlow<()>| {
        let mut pixels = values(LABELS.len() * 3 * SIDE * SIDE, 1.0);
        pixels[7] = pixel;
        let batch = Batch { pixels: &mut pixels, labels: &LABELS, side: SIDE };
        let result = training.step_with(&mut state, &mut grads, batch, Mix::None, &mut |_| flow);
        assert_eq!((state.step, state.weights.whole().host()), (0, &before[..]));
        result
    };
    let error = try_step(f32::NAN, ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.what, "the loss");
    assert_eq!(try_step(0.0, ControlFlow::Break(())), Ok(None));
}
