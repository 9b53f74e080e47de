//! The gradients of a whole network are the slopes of its outputs, for every kind of block and embedding.

mod small;

use engine::{Params, Tensor};
use small::{Noise, noise};
use vit::{DropPlan, MlpKind, Network, Outputs, Patches, Recompute, Resampling, VitShape, init};

const SEED: u64 = 11;

/// The small network with layer scale and these choices.
fn network(mlp: MlpKind, registers: usize, antialias: bool, recompute: Recompute) -> Network {
    let resampling = Resampling { offset: 0.1, antialias };
    let layer_scale = Some(0.7);
    small::network(&VitShape {
        mlp,
        registers,
        resampling,
        layer_scale,
        recompute,
        ..small::shape()
    })
}

/// `⟨w, outputs⟩` in f64 for noise `w`, and the gradients of all parameters.
fn loss_and_gradients(images: &Noise, network: &Network, params: &Params) -> (f64, Params) {
    let plan = DropPlan::keep_all();
    let (y, saved) = network.forward(params, &images.crops(), Patches::Masked, &plan);
    let weights = |y: &Tensor, index| Tensor::from_slice(y.shape(), &noise(SEED, y.len(), index));
    let dy = Outputs { cls: weights(&y.cls, 2), patches: weights(&y.patches, 3) };
    let products = |y: &Tensor, dy: &Tensor| -> f64 {
        y.host().iter().zip(dy.host()).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum()
    };
    let loss = products(&y.cls, &dy.cls) + products(&y.patches, &dy.patches);
    let mut grads = Params::zeros(network.table().clone());
    network.backward(params, saved, &dy, &mut grads);
    (loss, grads)
}

/// Along a random direction in each tensor: central differences of f32 losses, so to a percent.
fn check(network: &Network) {
    let images = Noise::new(SEED);
    let params = init::draw(network, 7, 0.2);
    let (_, grads) = loss_and_gradients(&images, network, &params);
    let largest = grads.whole().host().iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for (index, entry) in network.table().entries().iter().enumerate() {
        if entry.name.contains("last_layer") {
            continue; // the objective's
        }
        let direction = noise(SEED, entry.param.range().len(), 100 + index as u64);
        let step = 0.01 / (direction.len() as f32).sqrt();
        let moved = |sign: f32| {
            let mut params = params.clone();
            let mut view = params.view_mut(entry.param);
            for (x, d) in view.host_mut().iter_mut().zip(&direction) {
                *x += sign * step * d;
            }
            loss_and_gradients(&images, network, &params).0
        };
        let slope = (moved(1.0) - moved(-1.0)) / f64::from(2.0 * step);
        let gradient = grads.view(entry.param);
        let products = gradient.host().iter().zip(&direction);
        let expected: f64 = products.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let scale = f64::from(largest) * (direction.len() as f64).sqrt();
        let error = (slope - expected).abs();
        assert!(error < 0.01 * scale, "{}: {slope} by differences, {expected}", entry.name);
    }
}

#[test]
fn every_kind_of_mlp_has_the_gradients_of_its_outputs() {
    for mlp in [MlpKind::Gelu, MlpKind::GeluTanh, MlpKind::SwiGlu] {
        check(&network(mlp, 0, false, Recompute::None));
    }
}

#[test]
fn registers_and_smoothed_positions_have_the_gradients_of_their_outputs() {
    check(&network(MlpKind::Gelu, 3, true, Recompute::None));
}

#[test]
fn recomputing_changes_no_bit() {
    let images = Noise::new(SEED);
    for mlp in [MlpKind::Gelu, MlpKind::GeluTanh, MlpKind::SwiGlu] {
        let bits = [Recompute::None, Recompute::Light, Recompute::Blocks].map(|recompute| {
            let network = network(mlp, 2, false, recompute);
            let (_, grads) = loss_and_gradients(&images, &network, &init::draw(&network, 7, 0.2));
            grads.whole().host().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        });
        assert!(bits[0] == bits[1] && bits[0] == bits[2], "{mlp:?}");
    }
}
