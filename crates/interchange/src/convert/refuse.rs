//! What of a network a program cannot hold.

use super::hugging_face::Model;
use super::{Target, hidden};
use crate::dialect::{Gelu, Mlp, Network};

/// ε of the layer norms of DINO and iBOT.
const EPS: f64 = 1e-6;

/// Each reason in a few words; none if the program holds the network.
pub(super) fn reasons(target: Target, network: &Network) -> Vec<String> {
    let mut reasons = Vec::new();
    match target {
        Target::Dino | Target::Ibot => {
            if network.layer_scale && target == Target::Dino {
                reasons.push("layer scale".to_owned());
            }
            if network.registers > 0 {
                reasons.push(format!("{} registers", network.registers));
            }
            match network.mlp {
                Mlp::Gelu { gelu: Gelu::Exact, .. } => {}
                Mlp::Gelu { .. } => reasons.push("GELU in its tanh form".to_owned()),
                Mlp::SwiGlu { .. } => reasons.push("SwiGLU".to_owned()),
            }
            if network.norm_eps != EPS {
                reasons.push(format!("layer norms with ε = {:e}", network.norm_eps));
            }
        }
        Target::HuggingFace => {
            let model = Model::of(network);
            if model != Model::Vit && model.mlp_ratio(network).is_none() {
                let (width, class) = (network.embed_dim, model.name());
                let hidden = hidden(network);
                reasons.push(format!(
                    "MLPs of {hidden} at width {width}, which no whole `mlp_ratio` of `{class}` gives"
                ));
            }
        }
        Target::Timm | Target::Own => {}
    }
    reasons
}
