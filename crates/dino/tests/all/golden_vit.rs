//! The vision transformer against an f64 reference: tokens, attention, positions, layers, gradients.

use crate::fixtures::{Fixture, fixture};
use crate::golden::{assert_near, load, size};
use engine::ops::patch_embed::Images;
use engine::{ParamTable, Params, Tensor};
use vit::{Crops, DropPlan, Tokens, Vit, VitShape};

/// "tokens, attention, last_layers 2e-5 relative to the largest entry"
const OUTPUTS: f64 = 2e-5;
/// "gradients 1e-4 relative to the largest entry of the same tensor (key part of qkv.bias: 1e-4 of
/// the largest entry of qkv.bias's gradient)"
const GRADIENTS: f64 = 1e-4;

struct World {
    fixture: Fixture,
    vit: Vit,
    params: Params,
}

fn world(name: &str) -> World {
    let fixture = fixture(name);
    let arch = &fixture.json["arch"];
    let dim = size(&arch["dim"]);
    let shape = VitShape {
        embed_dim: dim,
        depth: size(&arch["depth"]),
        heads: size(&arch["heads"]),
        mlp_hidden: (dim as f64 * arch["mlp_ratio"].as_f64().expect("a ratio")) as usize,
        patch_size: size(&arch["patch"]),
        image_size: size(&arch["img_size"]),
        resampling: vit::Resampling {
            offset: arch["offset"].as_f64().expect("an offset"),
            antialias: false,
        },
        layer_scale: arch.get("layerscale").map(|_| 1.0),
        masked: arch.get("mask_token").is_some(),
        ..VitShape::default()
    };
    let mut table = ParamTable::default();
    let vit = Vit::new(&shape, "", &mut table);
    let params = load(&fixture, "weights/", table);
    World { fixture, vit, params }
}

impl World {
    fn images(&self, size: &str) -> (Vec<f32>, Images) {
        let (shape, pixels) = self.fixture.f32(&format!("{size}/input"));
        let images =
            Images { count: shape[0], channels: shape[1], height: shape[2], width: shape[3] };
        (pixels, images)
    }

    fn mask(&self, size: &str) -> Option<Vec<bool>> {
        let name = format!("{size}/mask");
        self.fixture
            .has(&name)
            .then(|| self.fixture.usize(&name).1.iter().map(|&x| x == 1).collect())
    }

    /// Tokens and all gradients, against those stored under `{size}/` and `{expected}/`.
    fn check_gradients(&self, size: &str, expected: &str, plan: &DropPlan) {
        let ((pixels, images), mask) = (self.images(size), self.mask(size));
        let crops = [Crops { pixels: &pixels, images, mask: mask.as_deref() }];
        let (tokens, saved) = self.vit.forward(&self.params, &crops, Tokens::All, plan);
        self.near(&format!("{expected}/tokens"), tokens.host(), OUTPUTS);
        let (_, r) = self.fixture.f32(&format!("{size}/R"));
        let dy = Tensor::from_slice(tokens.shape(), &r);
        let mut grads = Params::zeros(self.params.table().clone());
        let embedding = self.vit.backward(&self.params, saved, dy, &mut grads);
        for entry in grads.table().entries() {
            // Drop path has the gradient of the pixels alone, which no parameter's can be without.
            let name = format!("{expected}/grad/{}", entry.name);
            if expected == size || self.fixture.has(&name) {
                self.near(&name, grads.view(entry.param).host(), GRADIENTS);
            }
        }
        let dpixels = self.vit.pixel_gradients(&self.params, &embedding);
        self.near(&format!("{expected}/grad_input"), dpixels[0].host(), GRADIENTS);
    }

    fn near(&self, name: &str, actual: &[f32], tolerance: f64) {
        assert_near(name, actual, &self.fixture.f64(name).1, tolerance);
    }
}

fn check_outputs(world: &World) {
    for size in crate::golden::keys(&world.fixture.json["sizes"]) {
        let ((pixels, images), mask) = (world.images(&size), world.mask(&size));
        let crops = [Crops { pixels: &pixels, images, mask: mask.as_deref() }];
        let tokens = world.vit.infer(&world.params, &crops, Tokens::All);
        world.near(&format!("{size}/tokens"), tokens.host(), OUTPUTS);
        let cls = world.vit.infer(&world.params, &crops, Tokens::Cls);
        let rows = tokens.rows() / images.count * tokens.width();
        for (cls, tokens) in cls.host().chunks(cls.width()).zip(tokens.host().chunks(rows)) {
            assert_near("[CLS] alone", cls, &crate::golden::wide(&tokens[..cls.len()]), OUTPUTS);
        }
        if world.fixture.has(&format!("{size}/attention")) {
            let attention = world.vit.last_attention(&world.params, &crops, Tokens::All);
            let attention: Vec<f32> =
                attention.iter().flat_map(|one| one.host().to_vec()).collect();
            world.near(&format!("{size}/attention"), &attention, OUTPUTS);
            let cls = world.vit.last_attention(&world.params, &crops, Tokens::Cls);
            let tokens = world.vit.shape().tokens(&images);
            let of_cls = attention.chunks(tokens).step_by(tokens).map(crate::golden::wide);
            for (cls, expected) in cls.iter().flat_map(|one| one.host().chunks(tokens)).zip(of_cls)
            {
                assert_near("attention of [CLS] alone", cls, &expected, OUTPUTS);
            }
        }
        if world.fixture.has(&format!("{size}/positions")) {
            let positions = world.vit.positions(&world.params, &images);
            world.near(&format!("{size}/positions"), positions.host(), OUTPUTS);
        }
        let layers = format!("{size}/last_layers");
        if world.fixture.has(&layers) {
            let n = world.fixture.f64(&layers).0[0];
            let outputs = world.vit.last_layers(&world.params, &crops, n);
            let outputs: Vec<f32> = outputs.iter().flat_map(|one| one.host().to_vec()).collect();
            world.near(&layers, &outputs, OUTPUTS);
        }
    }
}

fn check_all_gradients(world: &World) {
    for size in crate::golden::keys(&world.fixture.json["sizes"]) {
        if world.fixture.has(&format!("{size}/R")) {
            world.check_gradients(&size, &size, &DropPlan::keep_all());
        }
    }
}

#[goldens::test(vit_plain)]
fn golden_tokens_attention_positions_and_layers() {
    check_outputs(&world("vit_plain"));
}

#[goldens::test(vit_layerscale)]
fn golden_tokens_attention_positions_and_layers_with_layer_scale() {
    check_outputs(&world("vit_layerscale"));
}

#[goldens::test(vit_masked)]
fn golden_tokens_attention_positions_and_layers_with_masks() {
    check_outputs(&world("vit_masked"));
}

#[goldens::test(vit_plain)]
fn golden_gradients_of_all_parameters_and_pixels() {
    check_all_gradients(&world("vit_plain"));
}

#[goldens::test(vit_layerscale)]
fn golden_gradients_of_all_parameters_and_pixels_with_layer_scale() {
    check_all_gradients(&world("vit_layerscale"));
}

#[goldens::test(vit_masked)]
fn golden_gradients_of_all_parameters_and_pixels_with_masks() {
    check_all_gradients(&world("vit_masked"));
}

#[goldens::test(vit_plain)]
fn golden_drop_path_with_given_decisions() {
    let world = world("vit_plain");
    let rate = world.fixture.json["droppath"]["rate"].as_f64().expect("a rate");
    let (shape, alive) = world.fixture.usize("droppath/alive");
    let kept = alive.chunks(shape[2]).map(|one| one.iter().map(|&a| a == 1).collect()).collect();
    world.check_gradients("native", "droppath", &DropPlan::given(rate, kept));
}
