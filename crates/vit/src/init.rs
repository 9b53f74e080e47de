//! Initial weights, as the reference draws them.
//!
//! | tensors | distribution |
//! | --- | --- |
//! | weights of linear layers, `cls_token`, `pos_embed` | normal, σ = `model.init_std`, the reference's 0.02 (cut at ±2: 100 σ, so never) |
//! | biases of linear layers, β of norms, `masked_embed` | 0 |
//! | γ of norms, prototype norms | 1 |
//! | layer scale | as configured |
//! | patch projection, weight and bias | uniform in ±1/√(C P²) for C channels, PyTorch's default for convolutions |
//! | prototype directions | uniform in ±1/√r, PyTorch's default for linear layers |
//!
//! Every tensor has a stream of its own, so a network of another size starts alike where it can, and
//! with masks as without.

use engine::{Params, Role};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use streams::{Key, Purpose};

use super::Network;

/// Draws all parameters of a network; `std` is that of the normal ones.
pub fn draw(network: &Network, seed: u64, std: f64) -> Params {
    let mut params = Params::zeros(network.table().clone());
    let shape = network.backbone.shape();
    let patch_inputs = shape.channels * shape.patch_size * shape.patch_size;
    let bound_of = |inputs: usize| 1.0 / (inputs as f32).sqrt();
    let layer_scale = shape.layer_scale.unwrap_or(1.0) as f32;
    // The mask token takes no stream, so that the others are the same without it.
    let entries = network.table().entries().iter();
    let drawn = entries.filter(|entry| entry.role != Role::MaskToken);
    for (i, entry) in drawn.enumerate() {
        let mut rng = Key::new(seed, Purpose::Init).index(i as u64).open();
        let mut view = params.view_mut(entry.param);
        let values = view.host_mut();
        let mut uniform = |values: &mut [f32], bound: f32| {
            values.iter_mut().for_each(|x| *x = rng.random_range(-bound..=bound));
        };
        match entry.role {
            Role::Patch => uniform(values, bound_of(patch_inputs)),
            Role::Prototype => uniform(values, bound_of(network.head.shape().bottleneck_dim)),
            Role::Norm | Role::PrototypeNorm => values.fill(1.0),
            Role::LayerScale => values.fill(layer_scale),
            Role::Bias | Role::MaskToken => {}
            Role::Weight | Role::Token | Role::Positions => values.iter_mut().for_each(|x| {
                let normal: f32 = StandardNormal.sample(&mut rng);
                *x = (std as f32 * normal).clamp(-2.0, 2.0);
            }),
        }
    }
    params
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::shape::{HeadShape, VitShape};

    fn network(channels: usize, masked: bool) -> Network {
        let vit = VitShape {
            channels,
            embed_dim: 48,
            depth: 2,
            heads: 3,
            mlp_hidden: 96,
            patch_size: 8,
            image_size: 32,
            masked,
            ..VitShape::default()
        };
        let head = HeadShape {
            embed_dim: 48,
            hidden_dim: 32,
            bottleneck_dim: 16,
            prototypes: 64,
            ..HeadShape::default()
        };
        Network::new(&vit, &head)
    }

    /// PyTorch's `Conv2d`: uniform in ±1/√fan_in, and fan_in is C P².
    #[test]
    fn the_patch_projection_starts_within_the_bound_of_its_channels() {
        for (channels, bound) in [(1, 1.0 / 8.0), (3, 1.0 / 192f32.sqrt()), (4, 1.0 / 16.0)] {
            let params = draw(&network(channels, false), 3, 0.12);
            let mut largest = 0f32;
            for entry in params.table().entries() {
                if entry.role == Role::Patch {
                    let values = params.view(entry.param).host().iter();
                    largest = values.fold(largest, |largest, x| largest.max(x.abs()));
                }
            }
            let near = largest > 0.98 * bound && largest <= bound;
            assert!(near, "{channels} channels: {largest} for {bound}");
        }
    }

    #[test]
    fn a_network_starts_alike_with_masks_and_without() {
        let (plain, masked) = [false, true].map(|masked| draw(&network(3, masked), 3, 0.12)).into();
        let mut others = plain.table().entries().iter();
        for entry in masked.table().entries() {
            let values = masked.view(entry.param).host();
            if entry.role == Role::MaskToken {
                assert!(values.iter().all(|&x| x == 0.0));
                continue;
            }
            let other = others.next().unwrap();
            assert_eq!(entry.name, other.name);
            assert_eq!(values, plain.view(other.param).host(), "{}", entry.name);
        }
    }
}
