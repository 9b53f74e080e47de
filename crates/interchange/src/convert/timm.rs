//! The line of Python that makes a network of timm and loads a file into it.

use super::{heads, hidden, ratio};
use crate::dialect::{Gelu, Mlp, Network};

/// `timm.create_model(…)`; `path` is quoted.
pub(super) fn python(network: &Network, path: &str) -> String {
    let d = network.embed_dim;
    let mut arguments = vec![
        format!("checkpoint_path={path}"),
        format!("img_size={}", network.image_size().unwrap_or(network.patch_size)),
        format!("patch_size={}", network.patch_size),
        format!("embed_dim={d}, depth={}, num_heads={}", network.depth, heads(network)),
    ];
    match network.mlp {
        Mlp::Gelu { gelu, .. } => {
            arguments.push(format!("mlp_ratio={}", ratio(hidden(network), d)));
            if gelu == Gelu::Tanh {
                arguments.push("act_layer=\"gelu_tanh\"".to_owned());
            }
        }
        // timm counts the gate and what it multiplies as one layer
        Mlp::SwiGlu { hidden } => arguments.push(format!(
            "mlp_ratio={}, mlp_layer=timm.layers.SwiGLUPacked, act_layer=torch.nn.SiLU",
            ratio(2 * hidden, d)
        )),
    }
    if network.layer_scale {
        arguments.push("init_values=1.0".to_owned());
    }
    if network.registers > 0 {
        arguments.push(format!("reg_tokens={}", network.registers));
    }
    if network.channels != 3 {
        arguments.push(format!("in_chans={}", network.channels));
    }
    if network.norm_eps != 1e-6 {
        let eps = network.norm_eps;
        arguments.push(format!("norm_layer=functools.partial(timm.layers.LayerNorm, eps={eps:e})"));
    }
    arguments.push("num_classes=0, dynamic_img_size=True".to_owned());
    format!("timm.create_model(\"vit_base_patch16_224\", {})", arguments.join(", "))
}
