//! Every method with every treatment of the prototypes' norms and every centering trains.

use dino::config::{Arch, Centering, Config, Horizon, Method, PrototypeNorm};
use dino::schedule::Schedules;
use dino::trainer::step::{CropBatch, Step};
use engine::Params;
use rand::RngExt;
use streams::{Key, Purpose};

const IMAGES: usize = 4;
const SIDE: usize = 16;
const METHODS: [Method; 4] = [Method::Dino, Method::DinoVmf, Method::Ibot, Method::IbotVmf];
const NORMS: [PrototypeNorm; 3] = [PrototypeNorm::L2, PrototypeNorm::Free, PrototypeNorm::Vmf];
const CENTERINGS: [Centering; 4] =
    [Centering::Logit, Centering::ProbA, Centering::ProbB, Centering::Sinkhorn];

fn config(method: Method, norm: PrototypeNorm, centering: Centering) -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) = (16, 2, 2);
    (model.patch_size, model.image_size, model.init_std) = (4, SIDE, 0.1);
    (model.head_hidden_dim, model.bottleneck_dim, model.prototypes) = (24, 16, 40);
    let data = &mut config.data;
    (data.global_size, data.local_size, data.local_crops) = (SIDE, 8, 1);
    config.objective.method = method;
    config.objective.prototype_norm = norm;
    config.objective.centering = centering;
    config.objective.lambda_koleo = 0.1;
    config.optim.freeze_last_layer_epochs = 0.0;
    config.optim.warmup_epochs = 0.0;
    config
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(3, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn check(method: Method, norm: PrototypeNorm, centering: Centering) {
    let config = config(method, norm, centering);
    config.validate().expect("a configuration that can be trained");
    let name = format!("{method:?}, {norm:?}, {centering:?}");
    let step = Step::new(config);
    let mut state = step.initial_state();
    let before = state.student.clone();
    let mut grads = Params::zeros(step.network.table().clone());
    let (globals, locals) = (noise(2 * IMAGES * 3 * SIDE * SIDE, 0), noise(IMAGES * 3 * 8 * 8, 1));
    let horizon = Horizon { total_steps: 10, steps_per_epoch: 5 };
    let schedules = Schedules::new(&step.config, horizon);
    for index in 0..3 {
        let grid = SIDE / step.config.model.patch_size;
        let masks = match method.masks() {
            true => step.config.masking.draw((0, index), &[0, 1, 2, 3], 2, (grid, grid)),
            false => Vec::new(),
        };
        let batch =
            [CropBatch { globals: &globals, locals: &locals, masks: &masks, images: IMAGES }];
        let report = step.take(&mut state, &mut grads, &batch, &schedules.at(index));
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.loss.is_finite() && report.loss > 0.0, "{name}: {}", report.loss);
        assert_eq!(report.patch_loss.is_some(), method.masks(), "{name}");
    }
    let moved = |range| before.get(range) != state.student.get(range);
    let prototypes = step.network.head.prototypes;
    assert!(moved(prototypes.v), "{name}: directions learn");
    assert_eq!(moved(prototypes.g), norm != PrototypeNorm::L2, "{name}: lengths learn");
    let centered = state.center.values().iter().any(|&c| c != 0.0);
    assert_eq!(centered, centering != Centering::Sinkhorn, "{name}: the center moves");
    assert_eq!(state.patch_center.is_some(), method.masks(), "{name}");
}

#[test]
fn every_cell_of_the_grid_trains() {
    for method in METHODS {
        for norm in NORMS {
            for centering in CENTERINGS {
                check(method, norm, centering);
            }
        }
    }
}
