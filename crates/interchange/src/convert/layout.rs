//! `Layout` lists the tensors of a backbone for another program.

use std::ops::Range;

use super::Target;
use super::hugging_face::{self, Model};
use crate::dialect::Network;

/// The tensors of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The tensors, in the order of the file.
    pub tensors: Vec<Placed>,
    /// This program's names of tensors that the other program has no place for.
    pub left_out: Vec<String>,
    /// What the other program needs beside the network's tensors, in words.
    pub added: Vec<String>,
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Values,
}

/// Where the values of a tensor come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// All values of this program's tensor of this name.
    All(String),
    /// Values of this program's tensor of this name, from the first to before the last.
    Part(String, Range<usize>),
    /// Positions, with zeros for this many registers behind that of \[CLS\].
    PositionsOfRegisters(usize),
    /// Ones: a layer scale that changes nothing.
    Ones,
    /// Zeros: a bias that changes nothing.
    Zeros,
    /// A matrix that changes nothing.
    Identity,
}

impl Values {
    /// The values of a tensor of this shape; `read` gives those of this program's tensors.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn resolve<E>(
        &self,
        shape: &[usize],
        read: impl Fn(&str) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<f32>, E> {
        let len = shape.iter().product();
        Ok(match self {
            Self::All(name) => read(name)?,
            Self::Part(name, range) => read(name)?[range.clone()].to_vec(),
            Self::PositionsOfRegisters(registers) => {
                let width = shape.last().copied().unwrap_or(0);
                let mut values = read("backbone.pos_embed")?;
                values.splice(width..width, std::iter::repeat_n(0.0, registers * width));
                values
            }
            Self::Ones => vec![1.0; len],
            Self::Zeros => vec![0.0; len],
            Self::Identity => {
                let width = shape.last().copied().unwrap_or(0);
                (0..len).map(|i| f32::from(u8::from(i % (width + 1) == 0))).collect()
            }
        })
    }
}

impl Layout {
    /// The tensors of a network that the target holds.
    pub(super) fn of(target: Target, network: &Network) -> Self {
        let mut layout = Self { tensors: Vec::new(), left_out: Vec::new(), added: Vec::new() };
        for (name, shape) in network.tensors() {
            let bare = name.strip_prefix("backbone.").unwrap_or(&name);
            let is_backbone = bare.len() < name.len();
            match target {
                Target::Own => layout.whole(&name, &name, shape),
                _ if !is_backbone => layout.left_out.push(name),
                Target::HuggingFace => hugging_face::place(&mut layout, network, bare, shape),
                _ if bare == "masked_embed" => layout.left_out.push(name),
                Target::Timm => layout.for_timm(network, bare, shape),
                Target::Dino | Target::Ibot => layout.whole(bare, &name, shape),
            }
        }
        if target == Target::HuggingFace {
            hugging_face::complete(&mut layout, network, Model::of(network));
        }
        layout
    }

    fn for_timm(&mut self, network: &Network, bare: &str, shape: Vec<usize>) {
        let own = format!("backbone.{bare}");
        match bare {
            "register_tokens" => self.whole("reg_token", &own, shape),
            // timm's registers have positions, or [CLS] has none; zeros keep all values as they are
            "pos_embed" if network.registers > 0 => {
                let shape = vec![1, shape[1] + network.registers, shape[2]];
                self.put(bare, shape, Values::PositionsOfRegisters(network.registers));
            }
            _ => {
                let name = bare.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma");
                let name = name.replace("mlp.w12.", "mlp.fc1.").replace("mlp.w3.", "mlp.fc2.");
                self.whole(&name, &own, shape);
            }
        }
    }

    /// Adds a tensor of this program as it is.
    pub(super) fn whole(&mut self, name: &str, own: &str, shape: Vec<usize>) {
        self.put(name, shape, Values::All(own.to_owned()));
    }

    pub(super) fn put(&mut self, name: &str, shape: Vec<usize>, values: Values) {
        self.tensors.push(Placed { name: name.to_owned(), shape, values });
    }
}
