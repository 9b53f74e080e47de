//! The rows of a bank that are nearest to queries.
//!
//! Most pairs are far from being neighbors, so a matrix product in the fastest precision only chooses candidates:
//!
//! ```text
//! candidates   pairs with  c̃ + ε > c_k      c̃: cosine from the product, c_k: k-th best cosine so far
//! cosine       Σ aᵢ bᵢ in f32, of candidates alone
//!
//! ε = 2⁻⁸ + (d + 8) 2⁻²²  with operands in bf16,  (d + 8) 2⁻²²  in f32      d: width
//! ```
//!
//! Rounding to bf16 changes a value by at most 2⁻⁹ of it, so a product of two by 2⁻⁸, and the sum over unit vectors
//! by 2⁻⁸ (Cauchy-Schwarz). The rest covers sums in f32. So no neighbor is missed, and the bits of a cosine depend
//! on its two rows alone, not on blocks, backends or the number of threads.

use std::cmp::Ordering;
use std::io;
use std::ops::{ControlFlow, Range};

use engine::matmul::{Precision, is_native};
use engine::reduce::{dot, max};
use rayon::prelude::*;

use super::rows::{Rows, Tiles, block_of, blocks};

/// Cosines that are compared with the k-th best at once.
const LANES: usize = 64;

/// A row of the bank, and how near it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Its number in the bank.
    pub row: usize,
    /// Its cosine with the query.
    pub cosine: f32,
}

/// What [`nearest`] looks for.
#[derive(Clone, Copy)]
pub struct Near<'a> {
    /// The queries.
    pub queries: &'a dyn Rows,
    /// The rows among which neighbors are sought.
    pub bank: &'a dyn Rows,
    /// Neighbors of each query.
    pub count: usize,
    /// The row of the bank that is the query itself, and no neighbor of it: for each query, or for none.
    pub itself: &'a [Option<usize>],
}

/// The nearest rows of the bank for each query, the nearest first; of equally near ones, the earlier row. `report`
/// gets cosines done and all cosines, in millions; it breaks to stop, and nothing is returned then.
///
/// # Errors
/// If rows cannot be read.
///
/// # Panics
/// If queries and bank have different widths.
pub fn nearest(
    near: Near<'_>,
    report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> io::Result<Option<Vec<Vec<Neighbor>>>> {
    let Near { queries, bank, count, itself } = near;
    let mut search = Nearest::new(queries, count, itself);
    let all = queries.len() * bank.len();
    for block in blocks(bank.len(), block_of(bank.width())) {
        let mut report = |done: usize| report(done / 1_000_000, all / 1_000_000);
        if search.add(bank, block, &mut report)?.is_break() {
            return Ok(None);
        }
    }
    Ok(Some(search.found()))
}

/// The nearest rows so far of each query, while the bank comes block by block and is not kept.
pub struct Nearest<'a> {
    queries: &'a dyn Rows,
    count: usize,
    itself: &'a [Option<usize>],
    tiles: Tiles,
    /// Of each query.
    found: Vec<Best>,
    /// Rows of the bank that have come.
    seen: usize,
    /// Cosines done.
    done: usize,
}

impl<'a> Nearest<'a> {
    /// Looks for `count` neighbors of each query; `itself` is that of [`Near`].
    pub fn new(queries: &'a dyn Rows, count: usize, itself: &'a [Option<usize>]) -> Self {
        Self {
            queries,
            count,
            itself,
            tiles: Tiles::new(queries.width(), queries.len()),
            found: vec![Best::EMPTY; queries.len()],
            seen: 0,
            done: 0,
        }
    }

    /// Bytes at most that a search for `count` neighbors of each query needs.
    pub fn bytes(width: usize, queries: usize, count: usize) -> usize {
        let block = block_of(width);
        let tiles = size_of::<f32>() * block * (2 * width + block);
        tiles + queries * Best::most(count) * size_of::<Neighbor>()
    }

    /// Rows that [`add`](Self::add) takes at once, at most.
    pub fn block(&self) -> usize {
        block_of(self.queries.width())
    }

    /// The next rows of the bank: those in `range` of `rows`. `report` gets cosines done; it breaks to stop.
    ///
    /// # Errors
    /// If rows cannot be read.
    ///
    /// # Panics
    /// If queries and rows have different widths, or if there are more rows than [`block`](Self::block).
    pub fn add(
        &mut self,
        rows: &dyn Rows,
        range: Range<usize>,
        report: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        assert_eq!(self.queries.width(), rows.width(), "widths of rows");
        let bank = self.seen..self.seen + range.len();
        self.tiles.read_right(rows, range)?;
        for queries in blocks(self.queries.len(), self.block()) {
            self.tiles.read_left(self.queries, queries.clone())?;
            self.tiles.multiply(fastest(self.queries.width()));
            self.done += queries.len() * bank.len();
            self.offer_tile(queries, bank.clone());
            if report(self.done).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.seen = bank.end;
        Ok(ControlFlow::Continue(()))
    }

    /// Neighbors of each query, the nearest first; of equally near ones, the earlier row.
    pub fn found(self) -> Vec<Vec<Neighbor>> {
        self.found.into_par_iter().map(|best| best.sorted(self.count)).collect()
    }

    fn offer_tile(&mut self, queries: Range<usize>, bank: Range<usize>) {
        let (count, width, block) = (self.count, self.queries.width(), self.block());
        if count == 0 || width == 0 {
            return;
        }
        let (tiles, itself) = (&self.tiles, self.itself);
        let error = largest_error(width);
        let rows =
            tiles.cosines().par_chunks_exact(block).zip(tiles.left().par_chunks_exact(width));
        self.found[queries.clone()].par_iter_mut().zip(rows).enumerate().for_each(
            |(place, (found, (approximate, query)))| {
                let itself = itself.get(queries.start + place).copied().flatten();
                let others = tiles.right().chunks(LANES * width);
                let mut first = bank.start;
                for (lanes, others) in approximate[..bank.len()].chunks(LANES).zip(others) {
                    if max(lanes) > found.least - error {
                        let rows = (first..).zip(lanes.iter().zip(others.chunks_exact(width)));
                        for (row, (approximate, other)) in rows {
                            if *approximate > found.least - error && Some(row) != itself {
                                let cosine = dot(query, other);
                                found.offer(count, Neighbor { row, cosine });
                            }
                        }
                    }
                    first += lanes.len();
                }
            },
        );
    }
}

/// The precision whose products are fast here. A product of few columns has no bf16 backend.
fn fastest(width: usize) -> Precision {
    let fast = width >= 16 && is_native(Precision::Bf16);
    if fast { Precision::Bf16 } else { Precision::F32 }
}

/// ε of the [module](self).
fn largest_error(width: usize) -> f32 {
    let sums = (width + 8) as f32 * 2f32.powi(-22);
    match fastest(width) {
        Precision::Bf16 => 2f32.powi(-8) + sums,
        Precision::F32 => sums,
    }
}

/// The nearest rows of one query so far, in any order, and some more.
#[derive(Debug, Clone)]
struct Best {
    neighbors: Vec<Neighbor>,
    /// A cosine that a new neighbor must exceed: as many earlier rows as are wanted have it or a larger one.
    least: f32,
}

impl Best {
    const EMPTY: Self = Self { neighbors: Vec::new(), least: f32::NEG_INFINITY };

    /// Neighbors that are held at most. Selecting costs as much as it looks at, so it waits for as many new ones as
    /// are kept.
    fn most(count: usize) -> usize {
        2 * count.max(8)
    }

    /// Adds a neighbor. Rows come in order, so of equally near ones the earlier stays.
    fn offer(&mut self, count: usize, neighbor: Neighbor) {
        if neighbor.cosine <= self.least {
            return;
        }
        self.neighbors.push(neighbor);
        if self.neighbors.len() == Self::most(count) {
            let (_, last, _) = self.neighbors.select_nth_unstable_by(count - 1, nearer);
            self.least = last.cosine;
            self.neighbors.truncate(count);
        }
    }

    fn sorted(mut self, count: usize) -> Vec<Neighbor> {
        self.neighbors.sort_unstable_by(nearer);
        self.neighbors.truncate(count);
        self.neighbors
    }
}

fn nearer(a: &Neighbor, b: &Neighbor) -> Ordering {
    b.cosine.total_cmp(&a.cosine).then(a.row.cmp(&b.row))
}
