//! Initial weights, as the reference draws them.
//!
//! | tensors | distribution |
//! | --- | --- |
//! | weights of linear layers, `cls_token`, `pos_embed` | normal, σ = `model.init_std`, the reference's 0.02 (cut at ±2: 100 σ, so never) |
//! | biases of linear layers, β of norms, `masked_embed` | 0 |
//! | γ of norms, prototype lengths | 1 |
//! | layer scale | as configured |
//! | patch projection, weight and bias | uniform in ±1/√(3 P²), PyTorch's default for convolutions |
//! | prototype directions | uniform in ±1/√r, PyTorch's default for linear layers |
//!
//! Every tensor has a stream of its own, so a network of another size starts alike where it can, and
//! with masks as without.

use engine::Params;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use streams::{Key, Purpose};

use super::Network;

/// Draws all parameters of a network; `std` is that of the normal ones.
pub fn draw(network: &Network, seed: u64, std: f64) -> Params {
    let mut params = Params::zeros(network.table().clone());
    let shape = network.backbone.shape();
    let patch_bound = 1.0 / ((3 * shape.patch_size * shape.patch_size) as f32).sqrt();
    let prototype_bound = 1.0 / (network.head.shape().bottleneck_dim as f32).sqrt();
    let entries = network.table().entries();
    let drawn = entries.iter().filter(|entry| !entry.name.ends_with("masked_embed"));
    for (i, entry) in drawn.enumerate() {
        let mut rng = Key::new(seed, Purpose::Init).index(i as u64).open();
        let values = params.get_mut(entry.range);
        let name = entry.name.as_str();
        let mut uniform = |bound: f32| {
            values.iter_mut().for_each(|x| *x = rng.random_range(-bound..=bound));
        };
        if name.contains("patch_embed") {
            uniform(patch_bound);
        } else if name.ends_with("weight_v") {
            uniform(prototype_bound);
        } else if name.ends_with("weight_g") || name.contains("norm") && name.ends_with(".weight") {
            values.fill(1.0);
        } else if name.contains("gamma_") {
            values.fill(shape.layer_scale.unwrap_or(1.0) as f32);
        } else if !name.ends_with(".bias") {
            values.iter_mut().for_each(|x| {
                let normal: f32 = StandardNormal.sample(&mut rng);
                *x = (std as f32 * normal).clamp(-2.0, 2.0);
            });
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_network_starts_alike_with_masks_and_without() {
        let of = |method: &str| {
            let sets = [format!("objective.method={method}")];
            let config = Config::resolve(Some("shapes-tiny"), None, &sets, &[]).unwrap();
            let (vit, head) = config.shapes();
            draw(&Network::new(&vit, &head), 3, 0.12)
        };
        let (plain, masked) = (of("dino"), of("ibot"));
        let mut others = plain.table().entries().iter();
        for entry in masked.table().entries() {
            let values = masked.get(entry.range);
            if entry.name.ends_with("masked_embed") {
                assert!(values.iter().all(|&x| x == 0.0));
                continue;
            }
            let other = others.next().unwrap();
            assert_eq!(entry.name, other.name);
            assert_eq!(values, plain.get(other.range), "{}", entry.name);
        }
    }
}
