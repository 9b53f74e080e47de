//! The position table for images of another size.

use std::sync::Arc;

use engine::ops::positions::{self, Resample};
use engine::params::ParamTable;
use engine::{Params, Role};
use interchange::dialect::{Network, Positions};
use vit::shape::Resampling;

use crate::error::{Error, Result};

/// A table that is resampled as the network itself does it.
#[derive(Debug)]
pub(super) struct Resampled {
    /// Patches on a side of the stored table.
    grid: usize,
    /// Patches on a side of the new one.
    new: usize,
    resampling: Resampling,
}

impl Resampled {
    /// For images of `side` pixels, which become those of the network.
    pub(super) fn new(network: &mut Network, side: usize) -> Result<Self> {
        let patch = network.patch_size;
        if side < patch || !side.is_multiple_of(patch) {
            return Err(Error::ImageSize { side, patch });
        }
        let Positions::Table { side: grid, has_cls, has_registers } = network.positions else {
            return Err(Error::ImageSize { side, patch });
        };
        let new = side / patch;
        network.positions = Positions::Table { side: new, has_cls, has_registers };
        let resampling =
            Resampling { offset: network.position_offset, antialias: network.antialias };
        Ok(Self { grid, new, resampling })
    }

    /// The new table, `[1 + new · new, d]`, from the stored one, `[1 + grid · grid, d]`.
    pub(super) fn apply(&self, values: Vec<f32>) -> Vec<f32> {
        if self.grid == self.new {
            return values;
        }
        let rows = 1 + self.grid * self.grid;
        let mut table = ParamTable::default();
        let param = table.add("pos_embed", &[1, rows, values.len() / rows], Role::Positions);
        let mut params = Params::zeros(Arc::new(table));
        params.view_mut(param).host_mut().copy_from_slice(&values);
        let resample = Resample::new(self.grid, (self.new, self.new), self.resampling);
        positions::forward(&params, param, Some(&resample)).host().to_vec()
    }
}
