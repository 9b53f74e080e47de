//! KoLeo on the CPU.

use matmul::{Mat, MatMut, Product, matmul};
use pool::Buffer;
use rayon::prelude::*;

use super::{Form, Saved};
use crate::simd::dot;
use crate::tensor::Tensor;

const EPS: f32 = 1e-8;
/// Rows that one thread searches neighbors for at a time.
const ROWS: usize = 128;
/// Candidates that they are multiplied with at a time.
const TILE: usize = 512;

pub(super) fn forward(g: &[f32], v: &[f32], form: Form) -> (f64, Saved) {
    let (k, r) = (g.len(), v.len() / g.len());
    let mut directions = Tensor::uninit(&[k, r]);
    let mut scales = vec![0.0; k];
    let rows = directions.host_mut().par_chunks_mut(r).zip(&mut scales);
    rows.zip(v.par_chunks(r).zip(g)).for_each(|((direction, scale), (v, g))| {
        *scale = 1f32.copysign(*g) / dot(v, v).sqrt().max(f32::MIN_POSITIVE);
        direction.iter_mut().zip(v).for_each(|(direction, v)| *direction = *scale * v);
    });
    let neighbors = nearest(&directions);
    let logs = neighbors.par_iter().enumerate().map(|(row, &neighbor)| {
        let distance = distance(directions.host(), r, (row, neighbor as usize), form);
        f64::from(distance + EPS).ln()
    });
    // Collected first, so that the sum has a fixed order.
    let loss = -logs.collect::<Vec<f64>>().iter().sum::<f64>() / k as f64;
    (loss, Saved { directions, scales, neighbors, form })
}

pub(super) fn backward(saved: Saved, scale: f32, dv: &mut [f32]) {
    let Saved { directions, scales, neighbors, form } = saved;
    let (k, r, directions) = (directions.rows(), directions.width(), directions.host());
    let mut dmu = Buffer::zeros(k * r);
    let mut step = vec![0.0; r];
    for (row, &neighbor) in neighbors.iter().enumerate() {
        let pair = (row, neighbor as usize);
        let distance = distance(directions, r, pair, form);
        if distance == 0.0 {
            continue;
        }
        let factor = scale / (k as f32 * distance * (distance + EPS));
        difference(directions, r, pair, form, &mut step);
        let add = |to: &mut [f32], by: f32| {
            to.iter_mut().zip(&step).for_each(|(to, step)| *to += by * step);
        };
        add(&mut dmu[row * r..][..r], -factor);
        add(&mut dmu[neighbor as usize * r..][..r], factor);
    }
    let rows = dv.par_chunks_mut(r).zip(dmu.par_chunks(r)).zip(directions.par_chunks(r));
    rows.zip(&scales).for_each(|(((dv, dmu), mu), scale)| {
        let along = dot(dmu, mu);
        for ((dv, dmu), mu) in dv.iter_mut().zip(dmu).zip(mu) {
            *dv += scale * (dmu - along * mu);
        }
    });
}

/// For each row the other row with the largest inner product, the first of several.
fn nearest(directions: &Tensor) -> Vec<u32> {
    let (k, r, directions) = (directions.rows(), directions.width(), directions.host());
    let mut neighbors = vec![0; k];
    neighbors.par_chunks_mut(ROWS).enumerate().with_max_len(1).for_each(|(block, neighbors)| {
        let (first, count) = (block * ROWS, neighbors.len());
        let mut best = vec![f32::NEG_INFINITY; count];
        let mut products = Buffer::take(count * TILE);
        let rows = Mat::new(&directions[first * r..(first + count) * r], count, r);
        for start in (0..k).step_by(TILE) {
            let n = TILE.min(k - start);
            let tile = Mat::new(&directions[start * r..(start + n) * r], n, r);
            let out = MatMut::new(&mut products, count, n);
            matmul(out, rows, tile.t(), Product::ONE);
            for (i, products) in products.chunks_exact(n).take(count).enumerate() {
                for (j, &product) in products.iter().enumerate() {
                    if product > best[i] && start + j != first + i {
                        (best[i], neighbors[i]) = (product, (start + j) as u32);
                    }
                }
            }
        }
    });
    neighbors
}

/// `μ_a − μ_b + s`, into `out`.
fn difference(mu: &[f32], r: usize, (a, b): (usize, usize), form: Form, out: &mut [f32]) {
    let shift = if form == Form::Shifted { EPS } else { 0.0 };
    for ((out, a), b) in out.iter_mut().zip(&mu[a * r..][..r]).zip(&mu[b * r..][..r]) {
        *out = a - b + shift;
    }
}

/// `‖μ_a − μ_b + s‖`.
fn distance(mu: &[f32], r: usize, (a, b): (usize, usize), form: Form) -> f32 {
    let shift = if form == Form::Shifted { EPS } else { 0.0 };
    let pairs = mu[a * r..][..r].iter().zip(&mu[b * r..][..r]);
    pairs.map(|(a, b)| (a - b + shift) * (a - b + shift)).sum::<f32>().sqrt()
}
