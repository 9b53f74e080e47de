//! Backward: scores again, their gradients, and the statistic that the next center is made of.

use std::ops::Range;

use matmul::{Mat, MatMut, Product, matmul};
use pool::Buffer;
use rayon::prelude::*;

use super::Inputs;
use super::tile::{TILE, Tile, lanes, tiles};
use crate::ops::mixture_cross_entropy::{Saved, Statistic};
use crate::simd::exp;
use crate::tensor::Tensor;
use dispatch::kernel;

/// One lane's part of the gradients and the statistic.
struct LaneGradients<'a> {
    range: Range<usize>,
    g: Option<&'a mut [f32]>,
    v: &'a mut [f32],
    statistic: &'a mut [f32],
}

/// The backward pass over all prototypes.
pub(in super::super) struct Backward<'a> {
    pub(in super::super) inputs: &'a Inputs<'a>,
    pub(in super::super) saved: &'a Saved,
    pub(in super::super) scale: f32,
    pub(in super::super) bias_slope: &'a [f32],
    pub(in super::super) kind: Statistic,
}

/// Splits the gradients and the statistic among the lanes.
fn split<'a>(
    k: usize,
    mut dg: Option<&'a mut [f32]>,
    mut dv: &'a mut [f32],
    mut statistic: &'a mut [f32],
) -> Vec<LaneGradients<'a>> {
    let r = dv.len() / k;
    let mut parts = Vec::new();
    for range in lanes(k) {
        let n = range.len();
        let g = dg.take().map(|all| {
            let (part, rest) = all.split_at_mut(n);
            dg = Some(rest);
            part
        });
        let (v, v_rest) = dv.split_at_mut(n * r);
        let (own, statistic_rest) = statistic.split_at_mut(n);
        (dv, statistic) = (v_rest, statistic_rest);
        parts.push(LaneGradients { range, g, v, statistic: own });
    }
    parts
}

/// Column sums of a tile, `[n]` each.
struct Columns {
    ds: [f32; TILE],
    ds_products: [f32; TILE],
}

impl Backward<'_> {
    /// `dy`; adds to the gradients of `g` and `v` and to the statistic.
    pub(in super::super) fn run(
        &self,
        dg: Option<&mut [f32]>,
        dv: &mut [f32],
        statistic: &mut [f32],
    ) -> Tensor {
        let mut dy = Tensor::zeros(self.inputs.student_y.shape());
        let parts: Vec<Buffer> = split(self.inputs.student.g.len(), dg, dv, statistic)
            .into_par_iter()
            .with_max_len(1)
            .map(|lane| self.lane(lane))
            .collect();
        for part in parts {
            dy.host_mut().iter_mut().zip(part.iter()).for_each(|(dy, part)| *dy += part);
        }
        dy
    }

    /// The lane's part of `dy`.
    fn lane(&self, mut out: LaneGradients<'_>) -> Buffer {
        let inputs = self.inputs;
        let r = inputs.student_y.width();
        let rows = inputs.student_y.rows();
        let mut dy = Buffer::zeros(rows * r);
        let mut student = Tile::new(rows);
        let mut teacher = Tile::new(inputs.teacher_y.rows());
        let mut columns = Columns { ds: [0.0; TILE], ds_products: [0.0; TILE] };
        for range in tiles(out.range.clone()) {
            let local = range.start - out.range.start..range.end - out.range.start;
            teacher.fill(inputs.teacher_y, &inputs.teacher, &range);
            student.fill(inputs.student_y, &inputs.student, &range);
            let mut tiles = Tiles { student: &mut student, teacher: &mut teacher };
            add_statistic(self, &mut tiles, &range, &mut out.statistic[local.clone()]);
            differentiate(self, &mut tiles, &range, &mut columns);
            if let Some(g) = &mut out.g {
                self.add_to_g(&student, &columns, &range, &mut g[local.clone()]);
            }
            self.add_products(&student, &columns, &range, &mut dy, &mut out.v[local.start * r..]);
        }
        dy
    }

    /// `u`, in place of the products.
    #[inline(always)]
    fn teacher_scores(&self, tile: &mut Tile, range: &Range<usize>) {
        let bias = &self.inputs.teacher.bias[range.clone()];
        let (n, scales) = (range.len(), &tile.scales);
        for u in tile.products[..n * self.saved.teacher_log_sums.len()].chunks_exact_mut(n) {
            for k in 0..n {
                u[k] = u[k].mul_add(scales[k], bias[k]);
            }
        }
    }

    /// Adds the rows of `u` to the statistic.
    #[inline(always)]
    fn add_statistic(&self, tile: &Tile, out: &mut [f32]) {
        let n = out.len();
        let log_totals = &self.saved.teacher_log_totals;
        let rows = || tile.products.chunks_exact(n).zip(log_totals);
        match self.kind {
            Statistic::SumOfScores => {
                for (u, _) in rows() {
                    out.iter_mut().zip(u).for_each(|(out, u)| *out += u);
                }
            }
            Statistic::LogSumOfProbs => {
                let (mut tops, mut sums) = ([f32::NEG_INFINITY; TILE], [0.0; TILE]);
                tops[..n].copy_from_slice(out);
                for (u, log_total) in rows() {
                    for k in 0..n {
                        tops[k] = tops[k].max(u[k] - log_total);
                    }
                }
                for k in 0..n {
                    sums[k] = exp(out[k] - tops[k]);
                }
                for (u, log_total) in rows() {
                    for k in 0..n {
                        sums[k] += exp(u[k] - log_total - tops[k]);
                    }
                }
                for k in 0..n {
                    out[k] = tops[k] + sums[k].ln();
                }
            }
        }
    }

    /// `P_t`, in place of `u`.
    #[inline(always)]
    fn finish_probs(&self, tile: &mut Tile, range: &Range<usize>) {
        let n = range.len();
        let center = &self.inputs.center[range.clone()];
        for (u, log_sum) in tile.products.chunks_exact_mut(n).zip(&self.saved.teacher_log_sums) {
            for k in 0..n {
                u[k] = exp(u[k] - center[k] - log_sum);
            }
        }
    }

    /// `ds · scales`, in place of the student's products, and the column sums.
    #[inline(always)]
    fn student_gradients(
        &self,
        student: &mut Tile,
        teacher: &Tile,
        range: &Range<usize>,
        columns: &mut Columns,
    ) {
        let n = range.len();
        let bias = &self.inputs.student.bias[range.clone()];
        let (ds_sums, product_sums) = (&mut columns.ds[..n], &mut columns.ds_products[..n]);
        ds_sums.fill(0.0);
        product_sums.fill(0.0);
        let mut targets = [0.0f32; TILE];
        let targets = &mut targets[..n];
        let scales = &student.scales[..n];
        let pairs = self.inputs.pairs;
        let count_rows = self.saved.student_log_sums.len();
        let rows = student.products.chunks_exact_mut(n).zip(&self.saved.student_log_sums);
        for (i, (row, log_sum)) in rows.enumerate() {
            targets.fill(0.0);
            let mut count = 0.0;
            let weight = self.scale * pairs.weight(i, count_rows) as f32;
            for (j, _) in pairs.targets(i, count_rows) {
                let probs = &teacher.products[j * n..(j + 1) * n];
                targets.iter_mut().zip(probs).for_each(|(sum, p)| *sum += p);
                count += 1.0;
            }
            for k in 0..n {
                let product = row[k];
                let p = exp(product.mul_add(scales[k], bias[k]) - log_sum);
                let ds = weight * (count * p - targets[k]);
                ds_sums[k] += ds;
                product_sums[k] += ds * product;
                row[k] = ds * scales[k];
            }
        }
    }

    #[inline(always)]
    fn add_to_g(&self, tile: &Tile, columns: &Columns, range: &Range<usize>, dg: &mut [f32]) {
        let temperature = self.inputs.student.temperature;
        let slope = &self.bias_slope[range.clone()];
        for k in 0..range.len() {
            let cos_sum = columns.ds_products[k] * tile.inverse_norms[k];
            dg[k] += cos_sum / temperature + columns.ds[k] * slope[k];
        }
    }

    /// `dy += ds' v` and `dv += ds'ᵀ y − (along v) v`, with `ds' = ds · scales`.
    fn add_products(
        &self,
        tile: &Tile,
        columns: &Columns,
        range: &Range<usize>,
        dy: &mut [f32],
        dv: &mut [f32],
    ) {
        let n = range.len();
        let (rows, r) = (self.inputs.student_y.rows(), self.inputs.student_y.width());
        let v = &self.inputs.student.v[range.start * r..range.end * r];
        let ds = Mat::new(&tile.products, rows, n);
        matmul(MatMut::new(dy, rows, r), ds, Mat::new(v, n, r), Product::ONE.added());
        let y = Mat::new(self.inputs.student_y.host(), rows, r);
        matmul(MatMut::new(dv, n, r), ds.t(), y, Product::ONE.added());
        remove_along(tile, columns, v, dv);
    }
}

/// The tiles of both networks.
struct Tiles<'a> {
    student: &'a mut Tile,
    teacher: &'a mut Tile,
}

kernel! {
    /// `u` of the teacher, and the statistic of its rows.
    fn add_statistic(
        backward: &Backward<'_>,
        tiles: &mut Tiles<'_>,
        range: &Range<usize>,
        out: &mut [f32],
    ) {
        backward.teacher_scores(tiles.teacher, range);
        backward.add_statistic(tiles.teacher, out);
    }
}

kernel! {
    /// `P_t` from `u`, and the gradients of the student's scores.
    fn differentiate(
        backward: &Backward<'_>,
        tiles: &mut Tiles<'_>,
        range: &Range<usize>,
        columns: &mut Columns,
    ) {
        backward.finish_probs(tiles.teacher, range);
        backward.student_gradients(tiles.student, tiles.teacher, range, columns);
    }
}

kernel! {
    /// Takes from each row of `dv` its part along `v`, which only changes the length of `v`.
    fn remove_along(tile: &Tile, columns: &Columns, v: &[f32], dv: &mut [f32]) {
        let r = v.len() / tile.scales.len();
        for (k, (dv, v)) in dv.chunks_exact_mut(r).zip(v.chunks_exact(r)).enumerate() {
            let inverse = tile.inverse_norms[k];
            let along = tile.scales[k] * columns.ds_products[k] * inverse * inverse;
            dv.iter_mut().zip(v).for_each(|(dv, v)| *dv -= along * v);
        }
    }
}
