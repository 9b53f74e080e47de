//! Every method with every treatment of the prototypes' norms and every centering trains, and its
//! gradient is that of its loss.

use dino::checkpoint::CenterOf;
use dino::config::{Arch, Centering, Config, Horizon, Method, PrototypeNorm};
use dino::masking::Masks;
use dino::schedule::{Schedules, StepValues};
use dino::trainer::step::{CropBatch, State, Training};
use engine::{Param, Params};
use rand::RngExt;
use report::{Metric, Metrics};
use streams::{Key, Purpose};

const IMAGES: usize = 4;
const SIDE: usize = 16;
const METHODS: [Method; 4] = [Method::Dino, Method::DinoVmf, Method::Ibot, Method::IbotVmf];
const NORMS: [PrototypeNorm; 3] = [PrototypeNorm::L2, PrototypeNorm::Free, PrototypeNorm::Vmf];
const CENTERINGS: [Centering; 4] =
    [Centering::Logit, Centering::ProbA, Centering::ProbB, Centering::Sinkhorn];

/// Tensors whose gradients are checked: both of the prototypes, one at the end and one at the start of
/// what leads to them.
const CHECKED: [&str; 4] = ["weight_g", "weight_v", "mlp.4.weight", "patch_embed.proj.weight"];
/// Length of a step along a gradient: losses are f32, so shorter ones would show their rounding.
const STRIDE: f64 = 0.004;

fn config(method: Method, norm: PrototypeNorm, centering: Centering) -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) = (Some(16), Some(2), Some(2));
    (model.patch_size, model.init_std) = (4, 0.1);
    (model.head_hidden_dim, model.bottleneck_dim, model.prototypes) = (24, 16, 40);
    let data = &mut config.data;
    (data.global_size, data.local_size, data.local_crops) = (SIDE, 8, 1);
    config.objective.method = method;
    config.objective.prototype_norm = Some(norm);
    config.objective.centering = Some(centering);
    config.objective.lambda_koleo = 0.1;
    config.optim.clip_grad = 0.0; // gradients as they are
    config.optim.freeze_last_layer_epochs = 0.0;
    config.optim.warmup_epochs = 0.0;
    config
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(3, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Crops of noise, and the masks that the method has.
struct World {
    training: Training,
    globals: Vec<f32>,
    locals: Vec<f32>,
    masks: Vec<bool>,
    name: String,
}

impl World {
    fn new(method: Method, norm: PrototypeNorm, centering: Centering) -> Self {
        let config = config(method, norm, centering);
        config.validate().expect("a configuration that can be trained");
        let masks = Masks::of(&config);
        let masks = masks.map_or_else(Vec::new, |masks| masks.draw(0, &[0, 1, 2, 3]));
        assert_eq!(masks.contains(&true), method.masks());
        let (globals, locals) =
            (noise(2 * IMAGES * 3 * SIDE * SIDE, 0), noise(IMAGES * 3 * 8 * 8, 1));
        let name = format!("{method:?}, {norm:?}, {centering:?}");
        Self { training: Training::new(config), globals, locals, masks, name }
    }

    /// One step; its metrics and its gradients.
    fn take(&self, state: &mut State, values: &StepValues) -> (Metrics, Params) {
        let Self { training, globals, locals, masks, name } = self;
        let mut grads = Params::zeros(training.network.table().clone());
        let batch = [CropBatch { globals, locals, masks, images: IMAGES }];
        let report = training.step(state, &mut grads, &batch, values);
        (report.unwrap_or_else(|error| panic!("{name}: {error}")).metrics, grads)
    }

    /// The loss is as steep along the gradient of these parameters as the gradient is long, by a
    /// central difference.
    fn check_gradient(&self, state: &State, values: &StepValues, (tensor, range): (&str, Param)) {
        let still = StepValues { lr: 0.0, weight_decay: 0.0, momentum: 1.0, ..*values };
        let (_, grads) = self.take(&mut state.clone(), &still);
        let gradient = grads.view(range).host();
        let norm = gradient.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let loss = |sign: f64| {
            let mut moved = state.clone();
            for (weight, &slope) in
                moved.student.view_mut(range).host_mut().iter_mut().zip(gradient)
            {
                *weight += (sign * STRIDE * f64::from(slope) / norm) as f32;
            }
            self.take(&mut moved, &still).0.value(Metric::Loss)
        };
        let slope = (loss(1.0) - loss(-1.0)) / (2.0 * STRIDE);
        let close = (slope - norm).abs() <= 0.01 * norm + 5e-4;
        let name = &self.name;
        assert!(norm > 1e-2 && close, "{name}, `{tensor}`: {slope} for a gradient of {norm}");
    }
}

fn check(method: Method, norm: PrototypeNorm, centering: Centering) {
    let world = World::new(method, norm, centering);
    let World { training, name, .. } = &world;
    let mut state = training.initial_state();
    let before = state.student.clone();
    let horizon = Horizon { total_steps: 10, steps_per_epoch: 5 };
    let schedules = Schedules::new(&training.config, horizon);
    for index in 0..3 {
        let (metrics, _) = world.take(&mut state, &schedules.at(index));
        let loss = metrics.value(Metric::Loss);
        assert!(loss.is_finite() && loss > 0.0, "{name}: {loss}");
        assert_eq!(metrics.get(Metric::PatchLoss).is_some(), method.masks(), "{name}");
    }
    let moved = |range| before.view(range).host() != state.student.view(range).host();
    let prototypes = training.network.head.prototypes;
    assert!(moved(prototypes.v), "{name}: directions learn");
    assert_eq!(moved(prototypes.g), norm != PrototypeNorm::L2, "{name}: lengths learn");
    let centered =
        state.center(CenterOf::Cls).is_some_and(|center| center.host().iter().any(|&c| c != 0.0));
    assert_eq!(centered, centering != Centering::Sinkhorn, "{name}: the center moves");
    assert_eq!(state.center(CenterOf::Patches).is_some(), method.masks(), "{name}");
    let values = schedules.at(3);
    for entry in training.network.table().entries() {
        let checked = CHECKED.iter().any(|end| entry.name.ends_with(end));
        let fixed = norm == PrototypeNorm::L2 && entry.name.ends_with("weight_g");
        if checked && !fixed {
            world.check_gradient(&state, &values, (&entry.name, entry.param));
        }
    }
}

#[test]
fn every_cell_of_the_grid_trains_by_its_gradient() {
    for method in METHODS {
        for norm in NORMS {
            for centering in CENTERINGS {
                check(method, norm, centering);
            }
        }
    }
}
