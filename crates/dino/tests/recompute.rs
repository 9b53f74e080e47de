//! What the backward pass computes again changes memory, and no bit of a result.

use dino::config::{Arch, Config, Horizon, Method, Recompute};
use dino::schedule::Schedules;
use dino::trainer::step::{CropBatch, Training};
use engine::{Params, pool};
use rand::RngExt;
use streams::{Key, Purpose};

/// Enough for what is saved to be more than the panels of a product.
const IMAGES: usize = 16;

/// iBOT with layer scale and drop path, so that every kind of saved tensor is there.
fn config(recompute: Recompute) -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) = (Some(64), Some(6), Some(2));
    (model.patch_size, model.image_size, model.drop_path) = (4, Some(32), 0.3);
    (model.head_hidden_dim, model.bottleneck_dim, model.prototypes) = (32, 16, 48);
    model.layer_scale = Some(0.1);
    let data = &mut config.data;
    (data.global_size, data.local_size, data.local_crops) = (32, 16, 2);
    config.objective.method = Method::Ibot;
    config.run.recompute = recompute;
    config
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(3, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Gradients of one step, and the most memory that its tensors took at once.
fn step(recompute: Recompute) -> (Params, usize) {
    let training = Training::new(config(recompute));
    let mut state = training.initial_state();
    let mut grads = Params::zeros(training.network.table().clone());
    let globals = noise(2 * IMAGES * 3 * 32 * 32, 0);
    let locals = noise(2 * IMAGES * 3 * 16 * 16, 1);
    let masks: Vec<bool> = (0..2 * IMAGES * 64).map(|i| i % 3 == 0).collect();
    let batch = CropBatch { globals: &globals, locals: &locals, masks: &masks, images: IMAGES };
    let horizon = Horizon { total_steps: 10, steps_per_epoch: 5 };
    let values = Schedules::new(&training.config, horizon).at(3);
    let before = pool::usage().in_use;
    pool::reset_peak();
    training.step(&mut state, &mut grads, &[batch], &values).expect("a finite step");
    (grads, pool::usage().peak - before)
}

/// The only test of this file: the pool is that of the whole process.
#[test]
fn memory_shrinks_and_gradients_stay_the_same_in_every_bit() {
    let (whole, none) = step(Recompute::None);
    assert!(whole.whole().host().iter().any(|&x| x != 0.0));
    let mut before = none;
    for recompute in [Recompute::Light, Recompute::Blocks] {
        let (grads, memory) = step(recompute);
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        assert!(grads.whole().host().iter().zip(whole.whole().host()).all(same), "{recompute:?}");
        assert!(memory < before * 8 / 10, "{recompute:?} takes {memory} bytes after {before}");
        before = memory;
    }
}
