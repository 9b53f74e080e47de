//! Position embeddings on the CPU: a few hundred rows, on the calling thread.

use super::Resample;
use crate::rows::add;
use crate::tensor::{Tensor, View, ViewMut};

pub(super) fn table_for(table: View<'_>, resample: Option<&Resample>) -> Tensor {
    let d = table.shape().last().copied().unwrap_or(1);
    let table = table.host();
    let Some(resample) = resample else {
        return Tensor::from_slice(&[table.len() / d, d], table);
    };
    let mut positions = Tensor::uninit(&[1 + resample.cells(), d]);
    let (cls, patches) = positions.host_mut().split_at_mut(d);
    cls.copy_from_slice(&table[..d]);
    resample.forward(&table[d..], d, patches);
    positions
}

pub(super) fn add_to_table(
    dpositions: &Tensor,
    mut dtable: ViewMut<'_>,
    resample: Option<&Resample>,
) {
    let (d, dpositions, dtable) = (dpositions.width(), dpositions.host(), dtable.host_mut());
    match resample {
        None => add(dtable, dpositions),
        Some(resample) => {
            add(&mut dtable[..d], &dpositions[..d]);
            resample.backward(&dpositions[d..], d, &mut dtable[d..]);
        }
    }
}

impl Resample {
    /// `out`, overwritten.
    pub(super) fn forward(&self, table: &[f32], d: usize, out: &mut [f32]) {
        assert_eq!(table.len(), self.grid * self.grid * d, "position table");
        assert_eq!(out.len(), self.cells() * d, "resampled positions");
        let mut sums = vec![0.0f64; d];
        for (cell, out) in out.chunks_exact_mut(d).enumerate() {
            sums.fill(0.0);
            self.for_each_tap(cell, |source, weight| {
                for (sum, &x) in sums.iter_mut().zip(&table[source * d..][..d]) {
                    *sum += weight * f64::from(x);
                }
            });
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = sum as f32);
        }
    }

    /// Adds to `dtable`.
    pub(super) fn backward(&self, dout: &[f32], d: usize, dtable: &mut [f32]) {
        assert_eq!(dtable.len(), self.grid * self.grid * d, "gradient of a position table");
        assert_eq!(dout.len(), self.cells() * d, "gradient of resampled positions");
        for (cell, dout) in dout.chunks_exact(d).enumerate() {
            self.for_each_tap(cell, |source, weight| {
                for (to, from) in dtable[source * d..][..d].iter_mut().zip(dout) {
                    *to += weight as f32 * from;
                }
            });
        }
    }
}
