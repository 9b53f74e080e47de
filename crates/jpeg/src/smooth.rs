//! Smoothing between blocks of progressive images whose file ends before all coefficients are
//! known.
//!
//! Coefficients that are still zero are estimated from the DC values of the surrounding 5 × 5
//! blocks, so that a coarse image has slopes instead of steps (T.81, K.8, over a larger window).
//! The estimate of the coefficient at row `v` and column `u` is
//!
//! ```text
//! X(v, u) = round( Q(0, 0) Σ_n w(n) DC(n) / (256 Q(v, u)) ),   |X| < 2^low
//! ```
//!
//! where `low` is the number of bits that are still unknown. The weights `w` are libjpeg-turbo's.
//! If only DC values are known, one set of weights covers nine coefficients, and the DC values are
//! smoothed too. Otherwise another set covers five coefficients.

use crate::frame::{Block, Component, Geometry};
use crate::header::{Quant, Scan, ScanComponent};
use crate::output::Output;

/// Number of coefficients in zigzag order that smoothing depends on: DC and nine more.
const WATCHED: usize = 10;
/// Positions of these coefficients in a block.
const POSITIONS: [usize; WATCHED] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

/// Number of unknown low bits of each of a component's coefficients, -1 if all bits are unknown.
type Unknown = [i32; WATCHED];

/// Which bits of the coefficients the scans read so far have set.
#[derive(Debug)]
pub(crate) struct Progress {
    now: Vec<Unknown>,
    /// The state before the last scan of each component.
    before: Vec<Unknown>,
    scans: usize,
    /// MCU row in which the data of the last scan ended.
    pub(crate) last_good_row: usize,
}

impl Progress {
    pub(crate) fn new(components: usize) -> Self {
        let nothing = vec![[-1; WATCHED]; components];
        Self { now: nothing.clone(), before: nothing, scans: 0, last_good_row: 0 }
    }

    /// Records the bits that `scan` sets.
    pub(crate) fn start_scan(&mut self, scan: &Scan) {
        self.scans += 1;
        let (first, last) = scan.band;
        for &ScanComponent { index, .. } in &scan.components {
            for k in first.min(1)..WATCHED {
                self.before[index][k] = if self.scans > 1 { self.now[index][k] } else { 0 };
            }
            for k in first..WATCHED.min(last + 1) {
                self.now[index][k] = i32::from(scan.low);
            }
        }
    }

    /// True if smoothing would change something and is possible: all DC values are at least partly
    /// known.
    pub(crate) fn is_needed(&self, components: &[Component]) -> bool {
        let is_possible = self.now.iter().zip(components).all(|(unknown, component)| {
            let steps =
                component.quant.is_some_and(|quant| POSITIONS.iter().all(|&p| quant[p] != 0));
            steps && unknown[0] >= 0
        });
        is_possible && self.now.iter().any(|unknown| unknown[1..].iter().any(|&bits| bits != 0))
    }

    /// The unknown bits of a component in MCU row `row`.
    fn unknown(&self, component: usize, row: usize) -> Unknown {
        if row <= self.last_good_row {
            self.now[component]
        } else if self.scans > 1 {
            self.before[component]
        } else {
            [-1; WATCHED]
        }
    }
}

/// Writes all blocks of MCU row `row` to the strips, smoothed.
pub(crate) fn put_row(
    output: &mut Output,
    components: &[Component],
    geometry: &Geometry,
    progress: &Progress,
    row: usize,
) {
    for (index, (component, strip)) in components.iter().zip(&mut output.strips).enumerate() {
        let unknown = progress.unknown(index, row);
        let quant = component.quant.unwrap_or([0; 64]);
        let rows = if row + 1 < geometry.mcus.1 {
            component.v
        } else {
            (component.blocks.1 - 1) % component.v + 1
        };
        // libjpeg assumes that all MCU rows have as many block rows as this one; matters for the
        // last
        let (first, last) = (row * rows, rows * geometry.mcus.1 - 1);
        for y in 0..rows {
            let above = |n: usize| n.min(first + y);
            let below = |n: usize| n.min(last.saturating_sub(first + y));
            let at = row * component.v + y;
            let lines = [at - above(2), at - above(1), at, at + below(1), at + below(2)];
            for column in 0..component.blocks.0 {
                let dc = neighbors(component, lines, column);
                let mut block = *block(component, at, column);
                estimate(&mut block, &dc, &quant, &unknown);
                strip.put(row, (column, y), &block);
            }
        }
    }
}

fn block(component: &Component, row: usize, column: usize) -> &Block {
    &component.coefficients[row * component.stride_blocks + column]
}

/// DC values of the surrounding 5 × 5 blocks; edge blocks are repeated outside the image.
fn neighbors(component: &Component, lines: [usize; 5], column: usize) -> [i64; 25] {
    let right = component.blocks.0 - 1;
    std::array::from_fn(|i| {
        let x = (column + i % 5).saturating_sub(2).min(right);
        i64::from(block(component, lines[i / 5], x)[0])
    })
}

/// Estimates coefficients that are zero but not known to be zero.
fn estimate(block: &mut Block, dc: &[i64; 25], quant: &Quant, unknown: &Unknown) {
    let dc_alone = unknown[1..].iter().all(|&bits| bits == -1);
    let weights: &[[i64; 25]] = if dc_alone { &FROM_DC } else { &FROM_MORE };
    for (k, weights) in (1..WATCHED).zip(weights) {
        let position = POSITIONS[k];
        if unknown[k] != 0 && block[position] == 0 {
            block[position] = predict(weights, dc, quant[0], quant[position], unknown[k]);
        }
    }
    if dc_alone {
        block[0] = predict(&DC_ITSELF, dc, quant[0], quant[0], 0);
    }
}

fn predict(weights: &[i64; 25], dc: &[i64; 25], step: u16, own: u16, bits: i32) -> i16 {
    let sum: i64 = weights.iter().zip(dc).map(|(w, dc)| w * dc).sum();
    let (sum, own) = (sum * i64::from(step), i64::from(own));
    let mut size = ((own << 7) + sum.abs()) / (own << 8);
    if bits > 0 {
        size = size.min((1 << bits) - 1);
    }
    (if sum < 0 { -size } else { size }) as i16
}

/// Weights of coefficients 1 to 9 in zigzag order, if only DC values are known.
#[rustfmt::skip]
const FROM_DC: [[i64; 25]; 9] = [
    [
        -1, -1, 0, 1, 1,
        -3, 13, 0, -13, 3,
        -3, 38, 0, -38, 3,
        -3, 13, 0, -13, 3,
        -1, -1, 0, 1, 1,
    ],
    [
        -1, -3, -3, -3, -1,
        -1, 13, 38, 13, -1,
        0, 0, 0, 0, 0,
        1, -13, -38, -13, 1,
        1, 3, 3, 3, 1,
    ],
    [
        0, 0, 1, 0, 0,
        0, 2, 7, 2, 0,
        0, -5, -14, -5, 0,
        0, 2, 7, 2, 0,
        0, 0, 1, 0, 0,
    ],
    [
        -1, 0, 0, 0, 1,
        0, 9, 0, -9, 0,
        0, 0, 0, 0, 0,
        0, -9, 0, 9, 0,
        1, 0, 0, 0, -1,
    ],
    [
        0, 0, 0, 0, 0,
        0, 2, -5, 2, 0,
        1, 7, -14, 7, 1,
        0, 2, -5, 2, 0,
        0, 0, 0, 0, 0,
    ],
    [
        0, 0, 0, 0, 0,
        0, 1, 0, -1, 0,
        0, 2, 0, -2, 0,
        0, 1, 0, -1, 0,
        0, 0, 0, 0, 0,
    ],
    [
        0, 0, 0, 0, 0,
        0, 1, -3, 1, 0,
        0, 0, 0, 0, 0,
        0, -1, 3, -1, 0,
        0, 0, 0, 0, 0,
    ],
    [
        0, 0, 0, 0, 0,
        0, 1, 0, -1, 0,
        0, -3, 0, 3, 0,
        0, 1, 0, -1, 0,
        0, 0, 0, 0, 0,
    ],
    [
        0, 0, 0, 0, 0,
        0, 1, 2, 1, 0,
        0, 0, 0, 0, 0,
        0, -1, -2, -1, 0,
        0, 0, 0, 0, 0,
    ],
];

/// Weights of coefficients 1 to 5, if more than DC values is known.
#[rustfmt::skip]
const FROM_MORE: [[i64; 25]; 5] = [
    [
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        -7, 50, 0, -50, 7,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
    ],
    [
        0, 0, -7, 0, 0,
        0, 0, 50, 0, 0,
        0, 0, 0, 0, 0,
        0, 0, -50, 0, 0,
        0, 0, 7, 0, 0,
    ],
    [
        0, 0, -1, 0, 0,
        0, 0, 13, 0, 0,
        0, 0, -24, 0, 0,
        0, 0, 13, 0, 0,
        0, 0, -1, 0, 0,
    ],
    [
        0, -1, 0, 1, 0,
        -1, 10, 0, -10, 1,
        0, 0, 0, 0, 0,
        1, -10, 0, 10, -1,
        0, 1, 0, -1, 0,
    ],
    [
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        -1, 13, -24, 13, -1,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
    ],
];

/// Weights of the DC value itself; their sum is 256.
#[rustfmt::skip]
const DC_ITSELF: [i64; 25] = [
    -2, -6, -8, -6, -2,
    -6, 6, 42, 6, -6,
    -8, 42, 152, 42, -8,
    -6, 6, 42, 6, -6,
    -2, -6, -8, -6, -2,
];
