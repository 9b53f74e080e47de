//! The second walk: scores again, their gradients, and the statistics the next center is made of.

use std::ops::Range;

use rayon::prelude::*;

use super::tile::{TILE, Tile, lanes, tiles};
use super::{Inputs, Saved, Statistic};
use crate::matmul::{Mat, MatMut, Product, matmul};
use crate::pool::Buffer;
use crate::rows::OneByOne;
use crate::simd::exp;
use crate::tensor::Tensor;
use dispatch::kernel;

/// Where backward adds.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of `g`, `[k]`; nothing if `g` is frozen.
    pub g: Option<&'a mut [f32]>,
    /// Of `v`, `[k, r]`.
    pub v: &'a mut [f32],
    /// `∂bₖ/∂gₖ` of the student, `[k]`.
    pub bias_slope: &'a [f32],
    /// The teacher's statistic over all rows so far, `[k]`: starts at [`Statistic::empty`].
    pub statistic: &'a mut [f32],
}

impl Gradients<'_> {
    /// # Panics
    /// If extents do not fit: a caller's mistake.
    fn check(&self, k: usize, r: usize) {
        let vectors = (self.v.len(), self.bias_slope.len(), self.statistic.len());
        assert_eq!(vectors, (k * r, k, k), "gradients of prototypes");
        assert!(self.g.as_ref().is_none_or(|g| g.len() == k), "gradients of prototype lengths");
    }
}

/// One lane's part of [`Gradients`].
struct LaneGradients<'a> {
    range: Range<usize>,
    g: Option<&'a mut [f32]>,
    v: &'a mut [f32],
    statistic: &'a mut [f32],
}

/// The gradient of `scale · loss` with respect to the student's unit vectors; adds to
/// the gradients of the prototypes and to the statistic.
pub fn backward(
    saved: Saved,
    inputs: &Inputs<'_>,
    scale: f32,
    statistic: Statistic,
    gradients: Gradients<'_>,
) -> Tensor {
    inputs.check();
    let _timer = inputs.timer("objective, backward", [3, 1]);
    gradients.check(inputs.student.g.len(), inputs.student_y.width());
    assert_eq!(saved.rows(), (inputs.student_y.rows(), inputs.teacher_y.rows()), "rows of forward");
    let mut dy = Tensor::zeros(inputs.student_y.shape());
    let r = inputs.student_y.width();
    let slope = gradients.bias_slope;
    let walk = Walk { inputs, saved: &saved, scale, slope };
    let parts: Vec<Buffer> = split(gradients, inputs.student.g.len(), r)
        .into_par_iter()
        .one_by_one()
        .map(|lane| walk.lane(lane, statistic))
        .collect();
    for part in parts {
        dy.iter_mut().zip(part.iter()).for_each(|(dy, part)| *dy += part);
    }
    dy
}

fn split(gradients: Gradients<'_>, k: usize, r: usize) -> Vec<LaneGradients<'_>> {
    let Gradients { mut g, mut v, mut statistic, .. } = gradients;
    let mut parts = Vec::new();
    for range in lanes(k) {
        let n = range.len();
        let g_part = g.take().map(|all| {
            let (part, rest) = all.split_at_mut(n);
            g = Some(rest);
            part
        });
        let (v_part, v_rest) = v.split_at_mut(n * r);
        let (statistic_part, statistic_rest) = statistic.split_at_mut(n);
        (v, statistic) = (v_rest, statistic_rest);
        parts.push(LaneGradients { range, g: g_part, v: v_part, statistic: statistic_part });
    }
    parts
}

struct Walk<'a> {
    inputs: &'a Inputs<'a>,
    saved: &'a Saved,
    scale: f32,
    slope: &'a [f32],
}

/// Column sums of a tile, `[n]` each.
struct Columns {
    ds: [f32; TILE],
    ds_products: [f32; TILE],
}

impl Walk<'_> {
    /// The lane's part of `dy`.
    fn lane(&self, mut out: LaneGradients<'_>, statistic: Statistic) -> Buffer {
        let inputs = self.inputs;
        let r = inputs.student_y.width();
        let rows = inputs.student_y.rows();
        let mut dy = Buffer::zeros(rows * r);
        let mut student = Tile::new(rows);
        let mut teacher = Tile::new(inputs.teacher_y.rows());
        let mut columns = Columns { ds: [0.0; TILE], ds_products: [0.0; TILE] };
        for range in tiles(out.range.clone()) {
            let local = range.start - out.range.start..range.end - out.range.start;
            teacher.fill(inputs.teacher_y, r, &inputs.teacher, &range);
            student.fill(inputs.student_y, r, &inputs.student, &range);
            let mut tiles = Tiles { student: &mut student, teacher: &mut teacher };
            add_statistic(self, &mut tiles, &range, statistic, &mut out.statistic[local.clone()]);
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
    fn add_statistic(&self, tile: &Tile, statistic: Statistic, out: &mut [f32]) {
        let n = out.len();
        let log_totals = &self.saved.teacher_log_totals;
        let rows = || tile.products.chunks_exact(n).zip(log_totals);
        match statistic {
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
        let slope = &self.slope[range.clone()];
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
        let y = Mat::new(self.inputs.student_y, rows, r);
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
        walk: &Walk<'_>,
        tiles: &mut Tiles<'_>,
        range: &Range<usize>,
        statistic: Statistic,
        out: &mut [f32],
    ) {
        walk.teacher_scores(tiles.teacher, range);
        walk.add_statistic(tiles.teacher, statistic, out);
    }
}

kernel! {
    /// `P_t` from `u`, and the gradients of the student's scores.
    fn differentiate(
        walk: &Walk<'_>,
        tiles: &mut Tiles<'_>,
        range: &Range<usize>,
        columns: &mut Columns,
    ) {
        walk.finish_probs(tiles.teacher, range);
        walk.student_gradients(tiles.student, tiles.teacher, range, columns);
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
