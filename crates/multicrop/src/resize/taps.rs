//! [`Taps`]: the inputs and weights of each output, along one axis.

use std::ops::Range;

use dispatch::kernel;

/// Fraction bits of a weight: 32, minus 8 for a pixel, minus 2 for the kernel's overshoot.
pub(super) const WEIGHT_BITS: u32 = 22;
/// Number of weights that are computed together.
const LANES: usize = 8;
/// Radius of the cubic kernel, in pixels of the coarser grid.
const REACH: f64 = 2.0;

/// For every output of one axis, the inputs that it sums and their integer weights.
#[derive(Debug, Clone, Default)]
pub(super) struct Taps {
    span: Range<usize>, // the inputs that any output needs
    starts: Vec<usize>, // [n_out], the first input, relative to the span
    ends: Vec<usize>,   // [n_out], one past the last weight in `weights`
    weights: Vec<i32>,  // all weights, ordered by output
    kernel: Vec<f64>,   // scratch memory for one output
}

impl Taps {
    /// Computes the taps that resize `source`, (first, length), to `size`, for the outputs in
    /// `window`, (first, length). No length may be 0.
    ///
    /// An axis that keeps its size has one weight of 1 for each output, which copies it.
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
        // the first and last inputs never decrease from one output to the next
        let (last, weights) = self.at(self.len() - 1);
        let (low, high) = (self.starts[0], last + weights.len());
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

    /// First input, relative to the span, and weights of output `i`.
    #[inline(always)]
    pub(super) fn at(&self, i: usize) -> (usize, &[i32]) {
        let begin = if i == 0 { 0 } else { self.ends[i - 1] };
        (self.starts[i], &self.weights[begin..self.ends[i]])
    }

    fn push_copy(&mut self, i: u32) -> u32 {
        self.weights.push(1 << WEIGHT_BITS);
        i
    }

    /// Appends the weights of output `i` of `to`, and returns the first of `from` inputs.
    fn push(&mut self, from: u32, to: u32, i: u32) -> u32 {
        let Window { start, end, center, shrink } = Window::new(from, to, i);
        let count = (end - start) as usize;
        let filled = self.weights.len();
        let room = count.next_multiple_of(LANES);
        self.weights.resize(filled + room, 0);
        self.kernel.resize(room.max(self.kernel.len()), 0.0);
        let values = &mut self.kernel[..room];
        weigh(start, center, shrink, count, values, &mut self.weights[filled..]);
        self.weights.truncate(filled + count);
        start
    }
}

/// The inputs that the kernel of one output covers, its center, and the scale of its argument.
pub(super) struct Window {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) center: f64,
    pub(super) shrink: f64,
}

impl Window {
    /// The window of output `i` of `to`, of `from` inputs.
    pub(super) fn new(from: u32, to: u32, i: u32) -> Self {
        let ratio = f64::from(from) / f64::from(to);
        let stretch = ratio.max(1.0);
        let (reach, shrink) = (REACH * stretch, 1.0 / stretch);
        let center = (f64::from(i) + 0.5) * ratio;
        // `as u32` truncates, and turns negative numbers into zero
        let start = (center - reach + 0.5) as u32;
        let end = ((center + reach + 0.5) as u32).min(from);
        Self { start, end, center, shrink }
    }
}

kernel! {
    /// Evaluates the kernel at the inputs that start at `start`, and normalizes the first `count`
    /// values to weights that sum to 1.
    fn weigh(
        start: u32,
        center: f64,
        shrink: f64,
        count: usize,
        values: &mut [f64],
        weights: &mut [i32],
    ) {
        for (chunk, values) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let first = start + (chunk * LANES) as u32;
            for (input, value) in (first..).zip(values) {
                *value = keys((f64::from(input) - center + 0.5) * shrink);
            }
        }
        // in this order, because a floating-point sum depends on it
        let total: f64 = values[..count].iter().sum();
        let weights = weights.as_chunks_mut::<LANES>().0.iter_mut();
        for (weights, values) in weights.zip(values.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                weights[lane] = fixed_point(values[lane] / total);
            }
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
pub(super) fn keys(x: f64) -> f64 {
    let x = x.abs();
    let near = (1.5 * x - 2.5) * x * x + 1.0;
    let far = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5;
    let reached = if x < REACH { far } else { 0.0 };
    if x < 1.0 { near } else { reached }
}

/// A weight in units of 2⁻²², rounded half away from zero, as in Pillow.
///
/// Not `as i32`, which the compiler does not vectorize: adding 2⁵² moves the integer part to the
/// low bits.
#[inline(always)]
fn fixed_point(weight: f64) -> i32 {
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let size = (weight * f64::from(1 << WEIGHT_BITS)).abs() + 0.5;
    let whole = (size.trunc() + WHOLE).to_bits() as i32;
    if weight < 0.0 { -whole } else { whole }
}
