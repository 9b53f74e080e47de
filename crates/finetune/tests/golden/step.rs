//! Parameter groups and two steps against timm and PyTorch.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use engine::Params;
use finetune::{Batch, Classifier, Mix, Mixing, Pooling, Recipe, Settings, State, Training};
use safetensors::SafeTensors;
use vit::VitShape;

const GOLDEN: &[u8] = include_bytes!("step.safetensors");

fn network() -> Classifier {
    let shape = VitShape {
        embed_dim: 16,
        depth: 2,
        heads: 2,
        mlp_hidden: 32,
        patch_size: 4,
        image_size: 8,
        ..VitShape::default()
    };
    Classifier::new(&shape, 3, Pooling::Cls)
}

fn tensor(name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(GOLDEN).unwrap();
    let bytes = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (values, _) = bytes.data().as_chunks();
    values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bare(name: &str) -> &str {
    name.strip_prefix("backbone.").unwrap_or(name)
}

fn weights(network: &Classifier) -> Params {
    let mut params = Params::zeros(network.table().clone());
    for entry in network.table().entries() {
        let values = tensor(&format!("before.{}", bare(&entry.name)));
        params.view_mut(entry.param).host_mut().copy_from_slice(&values);
    }
    params
}

#[test]
fn each_parameter_has_the_rate_and_the_decay_of_timm() {
    let (_, header) = SafeTensors::read_metadata(GOLDEN).unwrap();
    let groups = &header.metadata().as_ref().unwrap()["groups"];
    let expected: BTreeMap<String, [f64; 2]> = serde_json::from_str(groups).unwrap();
    let table = network().table().clone();
    let mut found = BTreeMap::new();
    for group in finetune::groups::groups(&table, 2, 0.65) {
        for (param, decayed) in group.params {
            let entry = table.entries().iter().find(|entry| entry.param == param).unwrap();
            found.insert(bare(&entry.name).to_owned(), (group.scale, decayed));
        }
    }
    assert_eq!(found.len(), table.entries().len());
    assert!(found.keys().eq(expected.keys()), "{found:?}\n{expected:?}");
    for (name, (scale, decayed)) in found {
        let [expected_scale, decay] = expected[&name];
        assert!((scale - expected_scale).abs() < 1e-12, "{name}: {scale} for {expected_scale}");
        assert_eq!(decayed, decay > 0.0, "{name}");
    }
}

/// Weights move by about 0.01 in a step; f32 leaves a relative error of 1e-5 in gradients, and AdamW divides them by
/// their size.
#[test]
fn two_steps_give_the_losses_and_weights_of_pytorch() {
    for accumulate in [1, 3] {
        let settings = Settings {
            epochs: 1,
            batch_size: 6,
            accumulate,
            lr: 0.01 * 256.0 / 6.0,
            warmup_epochs: 0.0,
            layer_decay: 0.65,
            drop_path: 0.0,
            mixing: Mixing::OFF,
            ..Recipe::Strong.settings(6, 16)
        };
        let training = Training::new(network(), settings, 1 << 40); // so long that the rate stays
        let mut state = State::new(weights(training.network()));
        let mut grads = Params::zeros(training.network().table().clone());
        let labels: Vec<u32> = tensor("labels").iter().map(|&label| label as u32).collect();
        let cut = Mix::CutMix { top: 2, bottom: 6, left: 1, right: 7, side: 8 };
        for (mix, expected) in [Mix::Mixup(0.3), cut].into_iter().zip(tensor("losses")) {
            let batch = Batch { pixels: &mut tensor("images"), labels: &labels, side: 8 };
            let go_on = &mut |_| ControlFlow::Continue(());
            let loss =
                training.step_with(&mut state, &mut grads, batch, mix, go_on).unwrap().unwrap();
            assert!((loss - f64::from(expected)).abs() < 1e-5, "loss {loss} for {expected}");
        }
        for entry in training.network().table().entries() {
            let expected = tensor(&format!("after.{}", bare(&entry.name)));
            let found = state.weights.view(entry.param);
            for (i, (found, expected)) in found.host().iter().zip(expected).enumerate() {
                // A bias of keys has no effect: its gradient is rounding alone, which AdamW enlarges.
                let is_key = entry.name.ends_with("qkv.bias") && (16..32).contains(&i);
                let near = (found - expected).abs() < 1e-4;
                assert!(near || is_key, "`{}` {i}: {found} for {expected}", entry.name);
            }
        }
    }
}
