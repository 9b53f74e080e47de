//! DINO and iBOT: the line of Python that loads a backbone, and the order of their optimizer's tensors.

use super::{Target, heads, hidden, ratio};
use crate::dialect::Network;

/// `VisionTransformer(…).load_state_dict(…)`; `path` is quoted.
pub(super) fn python(target: Target, network: &Network, path: &str) -> String {
    let module =
        if target == Target::Ibot { "models.vision_transformer" } else { "vision_transformer" };
    let scale = if network.layer_scale { ", init_values=1.0" } else { "" };
    let channels = match network.channels {
        3 => String::new(),
        channels => format!(", in_chans={channels}"),
    };
    format!(
        "{module}.VisionTransformer(img_size=[{}], patch_size={}, embed_dim={}, depth={}, num_heads={}, \
         mlp_ratio={}, qkv_bias=True, norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6){channels}{scale})\
         .load_state_dict(torch.load({path}), strict=True)",
        network.image_size().unwrap_or(network.patch_size),
        network.patch_size,
        network.embed_dim,
        network.depth,
        heads(network),
        ratio(hidden(network), network.embed_dim),
    )
}

/// A tensor that an optimizer of DINO or iBOT updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// This program's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The two groups of `get_params_groups`: with weight decay, and without. Their tensors are numbered through in this
/// order. Prototypes' norms are left out where `learns_norms` is false, as PyTorch leaves out what needs no gradient.
pub fn groups_of_adamw(network: &Network, learns_norms: bool) -> [Vec<GroupMember>; 2] {
    let mut tensors = network.tensors();
    tensors.retain(|(name, _)| learns_norms || !name.ends_with(".weight_g"));
    // PyTorch lists a module's own parameters before those of the modules in it
    let key = |name: &str| {
        let block = name.strip_prefix("backbone.blocks.")?.split_once('.')?;
        Some((block.0.parse::<usize>().ok()?, !block.1.starts_with("gamma_")))
    };
    let blocks = tensors.iter().filter(|(name, _)| key(name).is_some()).count();
    if let Some(first) = tensors.iter().position(|(name, _)| key(name).is_some()) {
        tensors[first..first + blocks].sort_by_key(|(name, _)| key(name));
    }
    let tensors = tensors.into_iter().map(|(name, shape)| GroupMember { name, shape });
    let is_decayed =
        |tensor: &GroupMember| tensor.shape.len() > 1 && !tensor.name.ends_with(".bias");
    let (decayed, others) = tensors.partition(is_decayed);
    [decayed, others]
}
