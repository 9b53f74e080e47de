//! The rows of a bank that are nearest to queries.

use std::io;
use std::ops::ControlFlow;

use rayon::prelude::*;

use super::rows::{BLOCK, Rows, Tiles, blocks};

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
    let mut found: Vec<Vec<Neighbor>> = vec![Vec::with_capacity(count + 1); queries.len()];
    let mut tiles = Tiles::new(queries, bank);
    let all = queries.len() * bank.len();
    let mut done = 0;
    for left in blocks(queries.len()) {
        tiles.read_left(left.clone())?;
        for right in blocks(bank.len()) {
            let cosines = tiles.multiply(right.clone())?;
            let of_queries =
                found[left.clone()].par_iter_mut().zip(cosines.par_chunks_exact(BLOCK));
            of_queries.enumerate().for_each(|(query, (found, cosines))| {
                let itself = itself.get(left.start + query).copied().flatten();
                for (row, &cosine) in right.clone().zip(cosines) {
                    if Some(row) != itself {
                        offer(found, count, Neighbor { row, cosine });
                    }
                }
            });
            done += left.len() * right.len();
            if report(done / 1_000_000, all / 1_000_000).is_break() {
                return Ok(None);
            }
        }
    }
    Ok(Some(found))
}

/// Keeps the `count` nearest, the nearest first. Rows come in order, so of equally near ones the earlier stays.
fn offer(found: &mut Vec<Neighbor>, count: usize, neighbor: Neighbor) {
    let full = found.len() >= count;
    if full && found.last().is_none_or(|last| neighbor.cosine <= last.cosine) {
        return;
    }
    if full {
        found.pop();
    }
    let place = found.partition_point(|other| other.cosine >= neighbor.cosine);
    found.insert(place, neighbor);
}
