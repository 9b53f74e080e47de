//! Parameter groups: a learning rate for each layer, and no weight decay for some parameters.
//!
//! ```text
//! rate of layer i = rate · decay^(L + 1 − i)        i = 0 … L + 1, for L blocks
//! ```
//!
//! | layer | parameters |
//! | --- | --- |
//! | 0 | patch projection, \[CLS\], registers, positions |
//! | 1 … L | block i − 1 |
//! | L + 1 | the final norm and the linear layer, which so have the whole rate |
//!
//! Biases, norms and other vectors are not decayed, nor are positions, \[CLS\] and registers.
//!
//! Source: `get_num_layer_for_vit` and `LayerDecayValueAssigner` of BEiT's fine-tuning, which iBOT uses. timm counts
//! the final norm to the last block.

use engine::params::Entry;
use engine::{Param, ParamTable, Role};

use crate::network::BACKBONE;

/// The parameters of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The number of the layer.
    pub layer: usize,
    /// What the learning rate is multiplied by.
    pub scale: f64,
    /// Parameters in the order of the table, and whether weight decay applies to them.
    pub params: Vec<(Param, bool)>,
}

/// The groups of a classifier whose backbone has `depth` blocks.
pub fn groups(table: &ParamTable, depth: usize, decay: f64) -> Vec<Group> {
    let group = |layer| {
        let entries = table.entries().iter().filter(|entry| layer_of(&entry.name, depth) == layer);
        let params = entries.map(|entry| (entry.param, is_decayed(entry))).collect();
        Group { layer, scale: decay.powi((depth + 1 - layer) as i32), params }
    };
    (0..depth + 2).map(group).collect()
}

/// The layer of a parameter.
fn layer_of(name: &str, depth: usize) -> usize {
    let Some(name) = name.strip_prefix(BACKBONE) else { return depth + 1 };
    let block = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    match block.and_then(|(number, _)| number.parse::<usize>().ok()) {
        Some(block) => block + 1,
        None if name.starts_with("norm.") => depth + 1,
        None => 0,
    }
}

fn is_decayed(entry: &Entry) -> bool {
    match entry.role {
        Role::Token | Role::MaskToken | Role::Positions => false,
        Role::Weight | Role::Patch => entry.shape.len() > 1,
        _ => false,
    }
}
