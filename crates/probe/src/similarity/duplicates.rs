//! Near-duplicates: all pairs of rows with a cosine of at least a threshold, and which rows to keep.
//!
//! # Threshold
//! Cosines mean something else for every network: after a short training all images may have a cosine above 0.9. So
//! [`suggest`] measures how far images are from their nearest image, and takes a fifth of that:
//!
//! ```text
//! t = 1 − (1 − m) / 5        m the median cosine of an image and the image nearest to it
//! ```
//!
//! # Groups
//! Rows are kept one after the other, in an order of preference. A row that is a near-duplicate of a row that was
//! kept is dropped. So no two kept rows are near-duplicates, and each dropped row is a near-duplicate of the row
//! that is kept for it. Connected components would not do: in a chain of frames of a film, the first and the last
//! have nothing in common.

use std::io;
use std::ops::{ControlFlow, Range};

use engine::matmul::Precision;
use rayon::prelude::*;

use super::nearest::{Near, Neighbor, nearest};
use super::rows::{BLOCK, Rows, Tiles, block_of, blocks};
use crate::analysis::distribution::Summary;
use crate::matrix::Matrix;

/// Rows of which [`suggest`] looks for the nearest.
const SAMPLE: usize = BLOCK;
/// The part of the usual distance to the nearest row within which rows are near-duplicates.
const FIFTH: f64 = 0.2;
/// Equal rows have at least this cosine: cosines are rounded.
const EQUAL: f64 = 1.0 - 1e-6;

/// Columns of a tile in one task of a thread.
const COLUMNS: usize = 64;

/// Two rows with a cosine of at least the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Its row on the left; within one set, the earlier row.
    pub left: usize,
    /// Its row on the right.
    pub right: usize,
    /// Their cosine.
    pub cosine: f32,
}

/// What is compared.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The rows.
    pub rows: &'a dyn Rows,
    /// Other rows to compare them with; `None` compares them with each other.
    pub against: Option<&'a dyn Rows>,
    /// The smallest cosine of a pair.
    pub threshold: f32,
    /// No more pairs are kept than this.
    pub most: usize,
}

/// All pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Pairs, ordered by their left row and then by their right row.
    pub pairs: Vec<Pair>,
    /// For each row, the most similar other row, or the most similar of the other set. `None` without another.
    pub nearest: Vec<Option<Neighbor>>,
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It went through.
    Done(Found),
    /// There are more pairs than are kept.
    TooMany,
    /// `report` stopped it.
    Stopped,
}

/// Rows that are near-duplicates of one that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The row that is kept.
    pub kept: usize,
    /// The others, in their order, with their cosines.
    pub dropped: Vec<Neighbor>,
}

/// A threshold for these rows, from the rows nearest to at most 2048 of them, see the [module](self). `None` if
/// `report` stops it.
///
/// # Errors
/// If rows cannot be read.
///
/// # Panics
/// If the two sets have rows of different widths.
pub fn suggest(
    rows: &dyn Rows,
    against: Option<&dyn Rows>,
    report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> io::Result<Option<f32>> {
    let sample: Vec<usize> = multicrop::dataset::spread(rows.len(), SAMPLE).collect();
    let width = rows.width();
    let mut queries = Matrix::new(vec![0.0; sample.len() * width], width);
    for (&row, values) in sample.iter().zip(queries.values.chunks_exact_mut(width.max(1))) {
        rows.read(row..row + 1, values)?;
    }
    let itself: Vec<Option<usize>> = match against {
        Some(_) => Vec::new(),
        None => sample.into_iter().map(Some).collect(),
    };
    let bank = against.unwrap_or(rows);
    let near = Near { queries: &queries, bank, count: 1, itself: &itself };
    let Some(found) = nearest(near, report)? else { return Ok(None) };
    let cosines: Vec<f64> = found.iter().flatten().map(|near| f64::from(near.cosine)).collect();
    let Summary { median, .. } = Summary::of(&cosines);
    Ok(Some((1.0 - FIFTH * (1.0 - median)).min(EQUAL) as f32))
}

/// Compares all rows. `report` gets cosines done and all cosines, in millions; it breaks to stop.
///
/// # Errors
/// If rows cannot be read.
///
/// # Panics
/// If the two sets have rows of different widths.
pub fn search(
    search: Search<'_>,
    report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> io::Result<Outcome> {
    let Search { rows, against, most, .. } = search;
    let others = against.unwrap_or(rows);
    let is_upper =
        |left: &Range<usize>, right: &Range<usize>| against.is_some() || right.start >= left.start;
    assert_eq!(rows.width(), others.width(), "widths of rows");
    let block = block_of(rows.width());
    let tiles_of = || {
        blocks(rows.len(), block).flat_map(|left| {
            let right = blocks(others.len(), block);
            right.map(move |right| (left.clone(), right)).filter(|(l, r)| is_upper(l, r))
        })
    };
    let all: usize = tiles_of().map(|(left, right)| left.len() * right.len()).sum();
    let mut found = Found { pairs: Vec::new(), nearest: vec![None; rows.len()] };
    let mut tiles = Tiles::new(rows.width(), rows.len());
    let (mut done, mut current) = (0, None);
    for (left, right) in tiles_of() {
        if current != Some(left.start) {
            tiles.read_left(rows, left.clone())?;
            current = Some(left.start);
        }
        tiles.read_right(others, right.clone())?;
        let cosines = tiles.multiply(Precision::F32);
        let (left, right, same) = (left.clone(), right.clone(), against.is_none());
        let tile = Tile { cosines, block, left, right, same };
        found.pairs.extend(tile.pairs(search.threshold));
        tile.update(&mut found.nearest);
        if found.pairs.len() > most {
            return Ok(Outcome::TooMany);
        }
        done += tile.left.len() * tile.right.len();
        if report(done / 1_000_000, all / 1_000_000).is_break() {
            return Ok(Outcome::Stopped);
        }
    }
    found.pairs.sort_unstable_by_key(|pair| (pair.left, pair.right));
    Ok(Outcome::Done(found))
}

/// Cosines of two blocks of rows: `block` values for each row of the left one.
struct Tile<'a> {
    cosines: &'a [f32],
    block: usize,
    left: Range<usize>,
    right: Range<usize>,
    /// Whether both blocks are of the same set.
    same: bool,
}

impl Tile<'_> {
    /// The pairs in it, row by row; within one set, only those above the diagonal.
    fn pairs(&self, threshold: f32) -> Vec<Pair> {
        let rows = self.cosines.par_chunks_exact(self.block).take(self.left.len()).enumerate();
        let of_row = |(place, cosines): (usize, &[f32])| -> Vec<Pair> {
            let left = self.left.start + place;
            let first = if self.same { (left + 1).max(self.right.start) } else { self.right.start };
            let others = (first..self.right.end).filter_map(|right| {
                let cosine = cosines[right - self.right.start];
                (cosine >= threshold).then_some(Pair { left, right, cosine })
            });
            others.collect()
        };
        rows.flat_map_iter(of_row).collect()
    }

    /// Updates the most similar row of each row in it: of the left rows, and within one set of the right rows too.
    fn update(&self, nearest: &mut [Option<Neighbor>]) {
        let rows = self.cosines.par_chunks_exact(self.block);
        nearest[self.left.clone()].par_iter_mut().zip(rows).enumerate().for_each(
            |(place, (nearest, cosines))| {
                let left = self.left.start + place;
                for (row, &cosine) in self.right.clone().zip(cosines) {
                    if !(self.same && row == left) {
                        offer(nearest, Neighbor { row, cosine });
                    }
                }
            },
        );
        if !self.same || self.left == self.right {
            return;
        }
        let columns = nearest[self.right.clone()].par_chunks_mut(COLUMNS).enumerate();
        columns.for_each(|(chunk, nearest)| {
            for (row, cosines) in self.left.clone().zip(self.cosines.chunks_exact(self.block)) {
                for (nearest, &cosine) in nearest.iter_mut().zip(&cosines[chunk * COLUMNS..]) {
                    offer(nearest, Neighbor { row, cosine });
                }
            }
        });
    }
}

/// Keeps the more similar row; of equally similar ones, the earlier.
fn offer(nearest: &mut Option<Neighbor>, new: Neighbor) {
    let better = nearest.is_none_or(|old| {
        new.cosine > old.cosine || (new.cosine == old.cosine && new.row < old.row)
    });
    if better {
        *nearest = Some(new);
    }
}

/// Which rows of one set to keep, of the rows in `pairs`: those with the largest `preference` first, of equal
/// ones the earlier row. Groups are in the order of the rows that they keep.
pub fn groups(pairs: &[Pair], preference: impl Fn(usize) -> u64) -> Vec<Group> {
    let mut similar: Vec<(usize, Neighbor)> = pairs
        .iter()
        .flat_map(|&Pair { left, right, cosine }| {
            [(left, Neighbor { row: right, cosine }), (right, Neighbor { row: left, cosine })]
        })
        .collect();
    similar.sort_unstable_by_key(|(row, neighbor)| (*row, neighbor.row));
    let mut of_rows: Vec<&[(usize, Neighbor)]> = similar.chunk_by(|a, b| a.0 == b.0).collect();
    of_rows.sort_by_key(|of_row| std::cmp::Reverse(preference(of_row[0].0))); // stable
    let mut dropped = std::collections::BTreeSet::new();
    let mut groups = Vec::new();
    for of_row in of_rows {
        let kept = of_row[0].0;
        if dropped.contains(&kept) {
            continue;
        }
        let is_new = |neighbor: &Neighbor| dropped.insert(neighbor.row);
        let others = of_row.iter().map(|(_, neighbor)| *neighbor).filter(is_new).collect();
        groups.push(Group { kept, dropped: others });
    }
    groups.retain(|group| !group.dropped.is_empty());
    groups.sort_by_key(|group| group.kept);
    groups
}

/// Rows of one set that are near-duplicates of rows of the other set, which are all kept: each in the group of
/// the most similar of these. Groups are in the order of the rows that they keep.
pub fn groups_against(found: &Found, threshold: f32) -> Vec<Group> {
    let nearest = found.nearest.iter().enumerate();
    let above = nearest.filter_map(|(row, near)| Some((row, near.as_ref()?)));
    let mut leaks: Vec<(usize, Neighbor)> = above
        .filter(|(_, near)| near.cosine >= threshold)
        .map(|(row, near)| (near.row, Neighbor { row, cosine: near.cosine }))
        .collect();
    leaks.sort_unstable_by_key(|(kept, neighbor)| (*kept, neighbor.row));
    let group = |of_kept: &[(usize, Neighbor)]| Group {
        kept: of_kept[0].0,
        dropped: of_kept.iter().map(|(_, neighbor)| *neighbor).collect(),
    };
    leaks.chunk_by(|a, b| a.0 == b.0).map(group).collect()
}
