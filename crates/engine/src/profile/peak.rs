//! Peak rates of all threads together, measured in loops that do nothing else.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use dispatch::kernel;

/// Upper bounds of all threads of the pool together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peaks {
    /// f32 multiply-adds in registers, FLOP/s.
    pub flops: f64,
    /// Bytes read and written by adding one array to another, much larger than the caches, in bytes/s.
    pub bandwidth: f64,
}

/// Measures for about half a second; the best of several tries of each.
pub fn peaks() -> Peaks {
    const VALUES: usize = 32 << 20; // 128 MiB for each of two arrays
    let (mut to, from) = (vec![1.0; VALUES], vec![1.0; VALUES]); // not zero, so that pages are allocated now
    let bandwidth = best(0.3, || additions(&mut to, &from));
    Peaks { flops: best(0.2, multiply_adds), bandwidth }
}

/// The highest rate of `work` within `seconds`. `work` returns the amount that it did.
fn best(seconds: f64, mut work: impl FnMut() -> f64) -> f64 {
    let (end, mut best) = (Instant::now() + Duration::from_secs_f64(seconds), 0.0f64);
    while Instant::now() < end {
        let start = Instant::now();
        let done = work();
        best = best.max(done / start.elapsed().as_secs_f64());
    }
    best
}

/// Values in registers: 12 vectors of 16, enough to hide the latency of a multiply-add.
const REGISTERS: usize = 192;

fn multiply_adds() -> f64 {
    const ROUNDS: usize = 100_000;
    let threads = rayon::current_num_threads();
    (0..threads).into_par_iter().for_each(|_| {
        black_box(spin(ROUNDS, black_box(0.999_9), black_box(1e-3)));
    });
    (threads * ROUNDS * REGISTERS * 2) as f64
}

kernel! {
    fn spin(rounds: usize, factor: f32, term: f32) -> f32 {
        let mut sums = [1.0f32; REGISTERS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, term);
            }
        }
        sums.iter().sum()
    }
}

fn additions(to: &mut [f32], from: &[f32]) -> f64 {
    const CHUNK: usize = 1 << 16;
    let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
    chunks.for_each(|(to, from)| crate::rows::add(to, from));
    3.0 * size_of_val(from) as f64
}
