//! `Weights` maps this program's names to the tensors of a file.

use std::collections::BTreeMap;

use super::names::{Meaning, Part, meaning};
use super::network::{Network, Positions};
use crate::archive::{Archive, TensorInfo};
use crate::error::Error;

/// The tensors of one network in a file, by this program's names (`backbone.cls_token`).
#[derive(Debug, Clone)]
pub struct Weights {
    found: BTreeMap<String, BTreeMap<Part, TensorInfo>>,
    set_aside: BTreeMap<&'static str, usize>,
    differences: Differences,
}

/// Tensors that do not fit the network.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Differences {
    /// This program's names of tensors that the file lacks.
    pub missing: Vec<String>,
    /// Names in the file that stand for nothing in the network.
    pub unexpected: Vec<String>,
    /// This program's name, the shape in the network, the shape in the file.
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Differences {
    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }

    /// Forgets the tensors that one of the patterns names.
    pub fn ignore(&mut self, patterns: &[String]) {
        let is_ignored = |name: &str| {
            patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == pattern,
            })
        };
        self.missing.retain(|name| !is_ignored(name));
        self.unexpected.retain(|name| !is_ignored(name));
        self.misshaped.retain(|(name, ..)| !is_ignored(name));
    }
}

impl Weights {
    /// Finds out what each tensor is.
    pub(super) fn new(tensors: &[(&str, &TensorInfo)]) -> Self {
        let mut weights = Self {
            found: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            differences: Differences::default(),
        };
        for (name, tensor) in tensors {
            match meaning(name) {
                Meaning::Weight(target, part) => {
                    let parts = weights.found.entry(target).or_default();
                    // two tensors for one place: the second is unexpected
                    if parts.insert(part, (*tensor).clone()).is_some() {
                        weights.differences.unexpected.push((*name).to_owned());
                    }
                }
                Meaning::SetAside(what) => *weights.set_aside.entry(what).or_default() += 1,
                Meaning::Unknown => weights.differences.unexpected.push((*name).to_owned()),
            }
        }
        weights.name_swiglu();
        weights
    }

    /// Others name the layers of a SwiGLU as those of another MLP: timm packs the first two into one, and
    /// Hugging Face has a gate beside them.
    fn name_swiglu(&mut self) {
        let axis = |name: &str, axis: usize| self.shape(name)?.get(axis).copied();
        let first = axis("backbone.blocks.0.mlp.fc1.weight", 0);
        let second = axis("backbone.blocks.0.mlp.fc2.weight", 1);
        let is_packed = first.is_some() && first == second.map(|hidden| 2 * hidden);
        let gate = self.found.get("backbone.blocks.0.mlp.w12.weight");
        let is_gated = gate.is_some_and(|parts| parts.contains_key(&Part::First));
        if !is_packed && !is_gated {
            return;
        }
        for (name, parts) in std::mem::take(&mut self.found) {
            let is_first = name.contains(".mlp.fc1.");
            let name = name.replace(".mlp.fc1.", ".mlp.w12.").replace(".mlp.fc2.", ".mlp.w3.");
            let target = self.found.entry(name).or_default();
            for (part, tensor) in parts {
                let part = if is_first && is_gated { Part::Second } else { part };
                target.insert(part, tensor);
            }
        }
    }

    /// Whether there is a vision transformer among the tensors.
    pub(super) fn is_network(&self) -> bool {
        self.found.contains_key("backbone.patch_embed.proj.weight")
    }

    /// What was set aside, and how many tensors that are.
    pub(super) fn set_aside(&self) -> impl Iterator<Item = (&str, usize)> {
        self.set_aside.iter().map(|(what, count)| (*what, *count))
    }

    /// The shape of a tensor with all its parts.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let parts = self.found.get(name)?;
        let mut shape = parts.values().next()?.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = parts.values().filter_map(|part| part.shape.first()).sum();
        }
        Some(shape)
    }

    /// All of this program's names that the file has a tensor for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// The tensors of the file, or parts of such, that these names stand for.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorInfo> {
        self.found.values().flat_map(BTreeMap::values)
    }

    /// Whether two names stand for one tensor in memory.
    pub(super) fn are_shared(&self, a: &str, b: &str) -> bool {
        let whole = |name| self.found.get(name).and_then(|parts| parts.get(&Part::Whole));
        whole(a).zip(whole(b)).is_some_and(|(a, b)| a.is_shared_with(b))
    }

    /// Whether a tensor is stored in several parts.
    pub(super) fn is_split(&self, name: &str) -> bool {
        self.found.get(name).is_some_and(|parts| !parts.contains_key(&Part::Whole))
    }

    /// What does not fit.
    pub fn differences(&self) -> &Differences {
        &self.differences
    }

    /// Compares with what the network has.
    pub(super) fn check(&mut self, network: &Network) {
        let expected: BTreeMap<_, _> = network.tensors().into_iter().collect();
        for (name, wanted) in &expected {
            let is_optional = name == "backbone.masked_embed" || self.is_zero(network, name);
            let parts = self.found.get(name);
            let needed = if name.contains(".mlp.") { 2 } else { 3 };
            let is_whole = parts
                .is_some_and(|parts| parts.contains_key(&Part::Whole) || parts.len() == needed);
            match self.shape(name) {
                _ if !is_whole && !is_optional => {
                    self.differences.missing.push(name.clone());
                }
                Some(found) if !fits(network, name, &found, wanted) => {
                    self.differences.misshaped.push((name.clone(), wanted.clone(), found));
                }
                _ => {}
            }
        }
        // iBOT saves shared prototypes under a second name
        let is_shared =
            |name: &str| self.are_shared(name, &name.replace("last_layer2", "last_layer"));
        let rest = self.found.iter().filter(|(name, _)| {
            !(expected.contains_key(*name) || name.contains("last_layer2") && is_shared(name))
        });
        let inside = |name: &str| name.split_once('/').map_or(name, |(_, name)| name).to_owned();
        let rest = rest.flat_map(|(_, parts)| parts.values().map(|tensor| inside(&tensor.name)));
        let rest: Vec<_> = rest.collect();
        self.differences.unexpected.extend(rest);
    }

    /// Whether the network was made without this tensor, so that zeros stand for it.
    fn is_zero(&self, network: &Network, name: &str) -> bool {
        !network.qkv_bias && name.ends_with("attn.qkv.bias")
    }

    /// The values of a tensor of this shape under this program's name; none if the file lacks it or it has
    /// another shape, which [`Checkpoint::require_whole`](super::Checkpoint::require_whole) lists.
    ///
    /// # Errors
    /// As [`Archive::read_f32`].
    pub fn read(
        &self,
        archive: &Archive,
        network: &Network,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<Vec<f32>>, Error> {
        let len = shape.iter().product::<usize>();
        let Some(parts) = self.found.get(name) else {
            return Ok(self.is_zero(network, name).then(|| vec![0.0; len]));
        };
        let mut values = Vec::new();
        if name == "backbone.pos_embed" && !network.positions.has_cls() {
            values.resize(network.embed_dim, 0.0); // [CLS] without a position
        }
        for tensor in parts.values() {
            values.extend(archive.read_f32(tensor)?);
        }
        if network.positions.has_registers() {
            match name {
                "backbone.pos_embed" => {
                    let rows = network.embed_dim..(1 + network.registers) * network.embed_dim;
                    if values.len() == len + rows.len() {
                        values.drain(rows);
                    }
                }
                "backbone.register_tokens" => self.add_positions(archive, network, &mut values)?,
                _ => {}
            }
        }
        Ok((values.len() == len).then_some(values))
    }

    /// Adds the positions of registers to them: this program's registers have none.
    fn add_positions(
        &self,
        archive: &Archive,
        network: &Network,
        registers: &mut [f32],
    ) -> Result<(), Error> {
        for tensor in self.found.get("backbone.pos_embed").iter().flat_map(|parts| parts.values()) {
            let table = archive.read_f32(tensor)?;
            let positions = table.get(network.embed_dim..).unwrap_or_default();
            registers.iter_mut().zip(positions).for_each(|(value, position)| *value += position);
        }
        Ok(())
    }
}

/// Whether a shape in a file is that of the network, apart from axes of length 1 and the row of \[CLS\].
fn fits(network: &Network, name: &str, found: &[usize], wanted: &[usize]) -> bool {
    if name == "backbone.pos_embed"
        && let (Positions::Table { has_cls, has_registers, .. }, [1, rows, d]) =
            (network.positions, found)
    {
        let registers = if has_registers { network.registers } else { 0 };
        return [1, rows + usize::from(!has_cls) - registers, *d] == wanted;
    }
    let without_ones =
        |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    without_ones(found) == without_ones(wanted)
}
