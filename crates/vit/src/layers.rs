//! Layers whose parameters are appended to a table under PyTorch's names.

use engine::matmul::Precision;
use engine::ops::layer_norm::LayerNorm;
use engine::ops::linear::Linear;
use engine::{ParamTable, Role};

/// Appends the parameters of layers to a table.
pub(super) struct Layers<'a> {
    pub(super) table: &'a mut ParamTable,
    /// Of the matmuls of linear layers.
    pub(super) precision: Precision,
    /// ε of the norms.
    pub(super) norm_eps: f64,
}

impl Layers<'_> {
    /// A layer norm over `d` values.
    pub(super) fn norm(&mut self, name: &str, d: usize) -> LayerNorm {
        LayerNorm {
            weight: self.table.add(format!("{name}.weight"), &[d], Role::Norm),
            bias: self.table.add(format!("{name}.bias"), &[d], Role::Bias),
            eps: self.norm_eps as f32,
        }
    }

    /// A linear layer.
    pub(super) fn linear(&mut self, name: &str, input: usize, output: usize) -> Linear {
        Linear {
            precision: self.precision,
            weight: self.table.add(format!("{name}.weight"), &[output, input], Role::Weight),
            bias: self.table.add(format!("{name}.bias"), &[output], Role::Bias),
            input,
            output,
        }
    }
}
