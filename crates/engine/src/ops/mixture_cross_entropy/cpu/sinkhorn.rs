//! Sinkhorn's iteration on the CPU: one pass over the tiles for each iteration. The `c` of a tile needs
//! the scores of that tile only, and the sums of `f` grow from tile to tile.

use std::ops::Range;

use rayon::prelude::*;

use super::Prototypes;
use super::forward::LogSum;
use super::tile::{Tile, lanes, tiles};
use crate::simd::{exp, max, sum};
use crate::tensor::Tensor;
use dispatch::kernel;

pub(in super::super) fn center(y: &Tensor, teacher: &Prototypes<'_>, iterations: usize) -> Tensor {
    let k = teacher.g.len();
    let mut center = Tensor::zeros(&[k]);
    let mut log_rows = vec![0.0f32; y.rows()]; // f
    for _ in 0..iterations {
        let mut parts: Vec<(Range<usize>, &mut [f32])> = Vec::new();
        let mut rest = center.host_mut();
        for lane in lanes(k) {
            let (part, behind) = rest.split_at_mut(lane.len());
            parts.push((lane, part));
            rest = behind;
        }
        let walk =
            |(lane, center): (Range<usize>, &mut [f32])| walk(y, teacher, &log_rows, lane, center);
        let lanes: Vec<Vec<LogSum>> = parts.into_par_iter().with_max_len(1).map(walk).collect();
        for (row, log_row) in log_rows.iter_mut().enumerate() {
            let mut total = LogSum::EMPTY;
            lanes.iter().for_each(|lane| total.merge(lane[row]));
            *log_row = total.value();
        }
    }
    center
}

/// One iteration over the prototypes of a lane: their `c`, and the lane's part of the sums of `f`.
fn walk(
    y: &Tensor,
    teacher: &Prototypes<'_>,
    log_rows: &[f32],
    lane: Range<usize>,
    center: &mut [f32],
) -> Vec<LogSum> {
    let mut rows = vec![LogSum::EMPTY; y.rows()];
    let mut tile = Tile::new(y.rows());
    for range in tiles(lane.clone()) {
        tile.fill(y, teacher, &range);
        let bias = &teacher.bias[range.clone()];
        let center = &mut center[range.start - lane.start..range.end - lane.start];
        balance(&mut tile, bias, log_rows, center, &mut rows);
    }
    rows
}

kernel! {
    fn balance(
        tile: &mut Tile,
        bias: &[f32],
        log_rows: &[f32],
        center: &mut [f32],
        rows: &mut [LogSum],
    ) {
        let n = center.len();
        let products = &mut tile.products[..n * log_rows.len()];
        center.fill(f32::NEG_INFINITY);
        for (u, log_row) in products.chunks_exact_mut(n).zip(log_rows) {
            for k in 0..n {
                u[k] = u[k].mul_add(tile.scales[k], bias[k]);
                center[k] = center[k].max(u[k] - log_row);
            }
        }
        let mut sums = vec![0.0f32; n];
        for (u, log_row) in products.chunks_exact(n).zip(log_rows) {
            for k in 0..n {
                sums[k] += exp(u[k] - log_row - center[k]);
            }
        }
        for k in 0..n {
            center[k] += sums[k].ln();
        }
        for (u, total) in products.chunks_exact_mut(n).zip(rows) {
            for k in 0..n {
                u[k] -= center[k];
            }
            total.raise(max(u));
            for u in u.iter_mut() {
                *u = exp(*u - total.top);
            }
            total.sum += sum(u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    /// The iteration on the whole matrix, in f64, as SwAV writes it: prototypes, then rows.
    fn definition(u: &[f64], k: usize, iterations: usize) -> Vec<f64> {
        let mut p: Vec<f64> = u.iter().map(|u| u.exp()).collect();
        for _ in 0..iterations {
            for column in 0..k {
                let total: f64 = p.iter().skip(column).step_by(k).sum();
                p.iter_mut().skip(column).step_by(k).for_each(|p| *p /= total);
            }
            for row in p.chunks_exact_mut(k) {
                let total: f64 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= total);
            }
        }
        p
    }

    fn prototypes<'a>(g: &'a [f32], v: &'a [f32], bias: &'a [f32]) -> Prototypes<'a> {
        Prototypes { g, v, bias, temperature: 0.1 }
    }

    #[test]
    fn assignments_are_those_of_the_iteration_on_the_whole_matrix() {
        for (rows, k, r) in [(6, 10, 4), (9, 700, 5), (40, 3, 3), (1, 600, 4)] {
            let y = crate::ops::l2_normalize::infer(random_tensor(1, &[rows, r]));
            let (g, v, bias) = (randoms(2, k), randoms(3, k * r), randoms(4, k));
            let center = center(&y, &prototypes(&g, &v, &bias), 3);
            let score = |i: usize, j: usize| {
                let v = doubles(&v[j * r..(j + 1) * r]);
                let raw = inner(&v, &doubles(&y.host()[i * r..(i + 1) * r])) / inner(&v, &v).sqrt();
                f64::from(g[j]) * raw / f64::from(0.1f32) + f64::from(bias[j])
            };
            let u: Vec<f64> = (0..rows).flat_map(|i| (0..k).map(move |j| score(i, j))).collect();
            let expected = definition(&u, k, 3);
            for (u, expected) in u.chunks_exact(k).zip(expected.chunks_exact(k)) {
                let z: Vec<f64> =
                    u.iter().zip(center.host()).map(|(u, &c)| u - f64::from(c)).collect();
                let total: f64 = z.iter().map(|z| z.exp()).sum();
                let p: Vec<f32> = z.iter().map(|z| (z.exp() / total) as f32).collect();
                // scores of ten lose 1e-6 in f32, and so do, relatively, probabilities
                assert_close(&p, expected, 1e-9, 2e-5);
            }
        }
    }

    #[test]
    fn threads_give_equal_bits() {
        let y = crate::ops::l2_normalize::infer(random_tensor(1, &[7, 8]));
        let (g, v, bias) = (randoms(2, 9000), randoms(3, 9000 * 8), randoms(4, 9000));
        assert_threads_agree(|| center(&y, &prototypes(&g, &v, &bias), 3).host().to_vec());
    }
}
