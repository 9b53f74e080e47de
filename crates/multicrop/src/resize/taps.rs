//! Which inputs an output sums with which weights, along one axis.

use std::ops::Range;

use dispatch::kernel;

/// Bits behind the point of a weight: 32 − 8 of a pixel − 2 for the kernel's overshoot.
pub(super) const WEIGHT_BITS: u32 = 22;
/// Reach of the cubic kernel to each side, in pixels of the coarser grid.
const REACH: f64 = 2.0;

/// For every output position of one axis, which inputs it sums with which integer weights.
#[derive(Debug, Clone, Default)]
pub(super) struct Taps {
    span: Range<usize>, // the inputs that any output needs
    starts: Vec<usize>, // [n_out], the first input, counted from the span's first
    ends: Vec<usize>,   // [n_out], one past the last weight in `weights`
    weights: Vec<i32>,  // all weights, one output after the other
    kernel: Vec<f64>,   // of one output; memory that is used again
}

impl Taps {
    /// Resizes `source`, (first, length), to `size`, of which `window`, (first, length), is needed.
    ///
    /// An axis that keeps its size has one weight of 1 for each output, which is a copy.
    pub(super) fn fill(&mut self, source: (u32, u32), size: u32, window: (u32, u32)) {
        let (first, from) = source;
        self.starts.clear();
        self.ends.clear();
        self.weights.clear();
        for i in window.0..window.0 + window.1 {
            let start = if from == size { self.push_copy(i) } else { self.push(from, size, i) };
            self.starts.push(start as usize);
            self.ends.push(self.weights.len());
        }
        // neither the first nor the last input of an output ever moves back
        let low = self.starts.first().copied().unwrap_or(0);
        let high = self.starts.last().copied().unwrap_or(0)
            + self.iter().last().map_or(0, |(_, weights)| weights.len());
        self.starts.iter_mut().for_each(|start| *start -= low);
        self.span = first as usize + low..first as usize + high;
    }

    /// The inputs that any output needs.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Number of outputs.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// First input, counted from the span's first, and weights of every output, in order.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = begins.zip(&self.ends).map(|(begin, &end)| &self.weights[begin..end]);
        self.starts.iter().copied().zip(ranges)
    }

    fn push_copy(&mut self, i: u32) -> u32 {
        self.weights.push(1 << WEIGHT_BITS);
        i
    }

    /// Appends the weights of output `i` of `to`, and returns the first of `from` inputs.
    fn push(&mut self, from: u32, to: u32, i: u32) -> u32 {
        let ratio = f64::from(from) / f64::from(to);
        let stretch = ratio.max(1.0);
        let (reach, shrink) = (REACH * stretch, 1.0 / stretch);
        let center = (f64::from(i) + 0.5) * ratio;
        // `as u32` cuts off the fraction and takes negative numbers to zero
        let start = (center - reach + 0.5) as u32;
        let end = ((center + reach + 0.5) as u32).min(from);
        let count = (end - start) as usize;
        if self.kernel.len() < count {
            self.kernel.resize(count, 0.0);
        }
        let filled = self.weights.len();
        self.weights.resize(filled + count, 0);
        weigh(start, center, shrink, &mut self.kernel[..count], &mut self.weights[filled..]);
        start
    }
}

kernel! {
    /// The kernel at the inputs from `start` on, and the weights, which sum to 1.
    fn weigh(start: u32, center: f64, shrink: f64, values: &mut [f64], weights: &mut [i32]) {
        for (j, value) in values.iter_mut().enumerate() {
            *value = keys((f64::from(start + j as u32) - center + 0.5) * shrink);
        }
        // in this order: a sum of floating-point numbers depends on it
        let total: f64 = values.iter().sum();
        for (weight, value) in weights.iter_mut().zip(values) {
            *weight = fixed_point(*value / total);
        }
    }
}

/// Keys' cubic convolution kernel with `a = −½`.
///
/// ```text
/// K(x) = 3/2 |x|³ − 5/2 |x|² + 1              |x| < 1
/// K(x) = −½ (|x|³ − 5 |x|² + 8 |x| − 4)       1 ≤ |x| < 2
/// ```
#[inline(always)]
fn keys(x: f64) -> f64 {
    let x = x.abs();
    let near = (1.5 * x - 2.5) * x * x + 1.0;
    let far = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5;
    let reached = if x < REACH { far } else { 0.0 };
    if x < 1.0 { near } else { reached }
}

/// A weight in units of 2⁻²², rounded half away from zero by cutting off, as Pillow does.
#[inline(always)]
fn fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS) + 0.5_f64.copysign(weight)) as i32
}
