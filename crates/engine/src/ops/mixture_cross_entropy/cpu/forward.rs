//! Forward: log-sum-exps of all rows and the cross terms of all pairs, online.

use std::ops::Range;

use pool::Buffer;
use rayon::prelude::*;

use super::Inputs;
use super::tile::{Tile, lanes, tiles};
use crate::ops::mixture_cross_entropy::{Output, Saved};
use crate::simd::{dot, exp, max, sum};
use dispatch::kernel;

/// A sum of exponentials relative to its largest exponent: `total = sum · e^top`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogSum {
    pub(super) top: f32,
    pub(super) sum: f32,
}

impl LogSum {
    pub(super) const EMPTY: Self = Self { top: f32::NEG_INFINITY, sum: 0.0 };

    /// Raises the reference to at least `top`. Returns the factor by which sums shrink.
    #[inline(always)]
    pub(super) fn raise(&mut self, top: f32) -> f32 {
        if top <= self.top {
            return 1.0;
        }
        let factor = if self.sum == 0.0 { 0.0 } else { (self.top - top).exp() };
        self.top = top;
        self.sum *= factor;
        factor
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: Self) {
        self.raise(other.top);
        self.sum += other.sum * (other.top - self.top).exp();
    }

    pub(super) fn value(self) -> f32 {
        self.top + self.sum.ln()
    }
}

/// The sums over the prototypes of one lane.
struct Lane {
    student: Vec<LogSum>,        // of s
    teacher: Vec<LogSum>,        // of z
    teacher_totals: Vec<LogSum>, // of u
    teacher_scores: Vec<f32>,    // Σ e^(z − top) z
    best: Vec<(f32, u32)>,       // largest z and its prototype
    cross: Vec<f32>,             // Σ e^(z_j − top_j) s, [student rows, slots]
}

pub(in super::super) fn forward(inputs: &Inputs<'_>) -> (Output, Saved) {
    let lanes: Vec<Lane> = lanes(inputs.student.g.len())
        .into_par_iter()
        .with_max_len(1)
        .map(|lane| walk(inputs, lane))
        .collect();
    let mut lanes = lanes.into_iter();
    let mut total = lanes.next().unwrap_or_else(|| Lane::new(inputs));
    for lane in lanes {
        total.merge(&lane, inputs);
    }
    total.finish(inputs)
}

fn walk(inputs: &Inputs<'_>, range: Range<usize>) -> Lane {
    let mut lane = Lane::new(inputs);
    let mut student = Tile::new(inputs.student_y.rows());
    let mut teacher = Tile::new(inputs.teacher_y.rows());
    let mut weights = Buffer::take(teacher.products.len());
    for range in tiles(range) {
        teacher.fill(inputs.teacher_y, &inputs.teacher, &range);
        student.fill(inputs.student_y, &inputs.student, &range);
        add_tile(&mut lane, inputs, &mut student, &mut teacher, &mut weights, &range);
    }
    lane
}

kernel! {
    fn add_tile(
        lane: &mut Lane,
        inputs: &Inputs<'_>,
        student: &mut Tile,
        teacher: &mut Tile,
        weights: &mut [f32],
        range: &Range<usize>,
    ) {
        lane.add_teacher(inputs, teacher, weights, range);
        lane.add_student(inputs, student, weights, range);
    }
}

impl Lane {
    fn new(inputs: &Inputs<'_>) -> Self {
        let (students, teachers) = (inputs.student_y.rows(), inputs.teacher_y.rows());
        Self {
            student: vec![LogSum::EMPTY; students],
            teacher: vec![LogSum::EMPTY; teachers],
            teacher_totals: vec![LogSum::EMPTY; teachers],
            teacher_scores: vec![0.0; teachers],
            best: vec![(f32::NEG_INFINITY, 0); teachers],
            cross: vec![0.0; students * inputs.pairs.slots()],
        }
    }

    /// Adds a tile of the teacher. Writes `e^(z − top)` to `weights`.
    #[inline(always)]
    fn add_teacher(
        &mut self,
        inputs: &Inputs<'_>,
        tile: &mut Tile,
        weights: &mut [f32],
        range: &Range<usize>,
    ) {
        let n = range.len();
        let (bias, center) = (&inputs.teacher.bias[range.clone()], &inputs.center[range.clone()]);
        for j in 0..self.teacher.len() {
            let u = &mut tile.products[j * n..(j + 1) * n];
            let weights = &mut weights[j * n..(j + 1) * n];
            for k in 0..n {
                u[k] = u[k].mul_add(tile.scales[k], bias[k]);
            }
            let total = &mut self.teacher_totals[j];
            total.raise(max(u));
            for k in 0..n {
                weights[k] = exp(u[k] - total.top);
            }
            total.sum += sum(weights);
            for k in 0..n {
                weights[k] = u[k] - center[k];
            }
            let top = max(weights);
            if top > self.best[j].0 {
                let at = weights.iter().position(|&z| z == top).unwrap_or(0);
                self.best[j] = (top, (range.start + at) as u32);
            }
            let factor = self.teacher[j].raise(top);
            self.shrink(inputs, j, factor);
            let top = self.teacher[j].top;
            // Products first, sums after: a sum inside the loop would keep it from vectorizing.
            for k in 0..n {
                let z = weights[k];
                weights[k] = exp(z - top);
                u[k] = weights[k] * z;
            }
            self.teacher_scores[j] += sum(u);
            self.teacher[j].sum += sum(weights);
        }
    }

    /// Applies a new reference of teacher row `j` to the sums that are relative to it.
    fn shrink(&mut self, inputs: &Inputs<'_>, j: usize, factor: f32) {
        if factor == 1.0 {
            return;
        }
        self.teacher_scores[j] *= factor;
        for place in inputs.pairs.places(j, self.teacher.len()) {
            self.cross[place] *= factor;
        }
    }

    #[inline(always)]
    fn add_student(
        &mut self,
        inputs: &Inputs<'_>,
        tile: &mut Tile,
        weights: &[f32],
        range: &Range<usize>,
    ) {
        let n = range.len();
        let bias = &inputs.student.bias[range.clone()];
        let (rows, slots) = (self.student.len(), inputs.pairs.slots());
        for i in 0..rows {
            let s = &mut tile.products[i * n..(i + 1) * n];
            for k in 0..n {
                s[k] = s[k].mul_add(tile.scales[k], bias[k]);
            }
            for (j, slot) in inputs.pairs.targets(i, rows) {
                self.cross[i * slots + slot] += dot(&weights[j * n..(j + 1) * n], s);
            }
            let log_sum = &mut self.student[i];
            log_sum.raise(max(s));
            let top = log_sum.top;
            for s in s.iter_mut() {
                *s = exp(*s - top);
            }
            log_sum.sum += sum(s);
        }
    }

    /// Adds another lane, whose prototypes follow.
    fn merge(&mut self, other: &Self, inputs: &Inputs<'_>) {
        let (rows, slots) = (self.student.len(), inputs.pairs.slots());
        let mut factors = Vec::with_capacity(self.teacher.len());
        for (j, theirs) in other.teacher.iter().enumerate() {
            let mine = self.teacher[j].raise(theirs.top);
            self.shrink(inputs, j, mine);
            let factor = (theirs.top - self.teacher[j].top).exp();
            self.teacher[j].sum += theirs.sum * factor;
            self.teacher_scores[j] += other.teacher_scores[j] * factor;
            if other.best[j].0 > self.best[j].0 {
                self.best[j] = other.best[j];
            }
            factors.push(factor);
        }
        for i in 0..rows {
            for (j, slot) in inputs.pairs.targets(i, rows) {
                self.cross[i * slots + slot] += other.cross[i * slots + slot] * factors[j];
            }
        }
        let pairs = [
            (&mut self.student, &other.student),
            (&mut self.teacher_totals, &other.teacher_totals),
        ];
        for (mine, theirs) in pairs {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(*theirs));
        }
    }

    fn finish(self, inputs: &Inputs<'_>) -> (Output, Saved) {
        let (rows, slots) = (self.student.len(), inputs.pairs.slots());
        let values = |sums: &[LogSum]| sums.iter().map(|sum| sum.value()).collect::<Vec<f32>>();
        let student_log_sums = values(&self.student);
        let mut loss = 0.0;
        for (i, log_sum) in student_log_sums.iter().enumerate() {
            for (j, slot) in inputs.pairs.targets(i, rows) {
                let mean = f64::from(self.cross[i * slots + slot]) / f64::from(self.teacher[j].sum);
                loss += inputs.pairs.weight(i, rows) * (f64::from(*log_sum) - mean);
            }
        }
        let rows = self.teacher.iter().zip(&self.teacher_scores);
        let entropies = rows.map(|(z, scores)| f64::from(z.value()) - f64::from(scores / z.sum));
        let output = Output {
            loss,
            teacher_entropy: entropies.sum::<f64>() / self.teacher.len().max(1) as f64,
            assigned: self.best.iter().map(|best| best.1).collect(),
        };
        let saved = Saved {
            teacher_log_sums: values(&self.teacher),
            teacher_log_totals: values(&self.teacher_totals),
            student_log_sums,
        };
        (output, saved)
    }
}
