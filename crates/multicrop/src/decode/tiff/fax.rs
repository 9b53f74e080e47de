//! The decoder of CCITT fax codes (ITU-T T.4 and T.6): alternating runs of white and black, coded
//! directly or as differences from the row above. The code tables come from the crate `fax`.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

use super::damaged;
use crate::error::SampleError;

/// How rows are coded and separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Compression 2: rows of runs; each row starts at a byte.
    Rle,
    /// Compression 3: rows of runs; a mark precedes each row.
    Group3,
    /// Compression 3 with two dimensions: a bit after the mark selects how the row is coded.
    Group3TwoDimensional,
    /// Compression 4: every row is coded as a difference.
    Group4,
}

/// Decodes rows of `width` pixels into `out`. Each row starts at a byte, and a set bit is black.
/// Rows after an end mark stay white.
pub(super) fn decode(
    data: &[u8],
    width: usize,
    coding: Coding,
    out: &mut [u8],
) -> Result<(), SampleError> {
    out.fill(0);
    // padded, because the code tables read more bits than the last code has
    let padded = data.iter().copied().chain([0; 4]).map(Ok::<u8, Infallible>);
    let Ok(mut reader) = ByteReader::new(padded);
    let (mut above, mut row) = (Vec::new(), Vec::new());
    for line in out.chunks_exact_mut(width.div_ceil(8)) {
        row.clear();
        let difference = match start_row(&mut reader, coding) {
            Start::Runs => false,
            Start::Difference => true,
            Start::End => return Ok(()),
        };
        let found = if difference {
            read_difference(&mut reader, &above, width, &mut row)
        } else {
            read_runs(&mut reader, width, &mut row)
        };
        match found {
            Some(true) => {}
            Some(false) => return Ok(()),
            None => return Err(damaged("a row of fax codes is broken or cut off")),
        }
        draw(&row, width, line);
        std::mem::swap(&mut above, &mut row);
    }
    Ok(())
}

enum Start {
    Runs,
    Difference,
    End,
}

/// Steps over marks and fill bits between rows.
fn start_row(reader: &mut impl BitReader, coding: Coding) -> Start {
    match coding {
        Coding::Group4 => return Start::Difference,
        Coding::Rle => {
            let _ = reader.consume(reader.bits_to_byte_boundary());
            return Start::Runs;
        }
        Coding::Group3 | Coding::Group3TwoDimensional => {}
    }
    let two_dimensional = coding == Coding::Group3TwoDimensional;
    let (mut marks, mut difference) = (0, false);
    // a mark is eleven zeros or more and a one; no code starts with nine zeros
    while reader.peek(9) == Some(0) {
        while reader.peek(1) == Some(0) {
            let _ = reader.consume(1);
        }
        let _ = reader.consume(1);
        marks += 1;
        if two_dimensional {
            difference = reader.peek(1) == Some(0);
            let _ = reader.consume(1);
        }
    }
    match (marks, difference) {
        (2.., _) => Start::End,
        (_, true) => Start::Difference,
        _ => Start::Runs,
    }
}

/// Reads the columns where the color changes in a row of runs; `None` if the row is damaged.
fn read_runs(reader: &mut impl BitReader, width: usize, row: &mut Vec<usize>) -> Option<bool> {
    let mut at = 0;
    while at < width {
        at += run(reader, row.len() % 2 == 1)?;
        row.push(at);
    }
    Some(true)
}

/// Reads the columns where the color changes in a row that is coded as a difference from the row
/// above; `Some(false)` for the end mark.
fn read_difference(
    reader: &mut impl BitReader,
    above: &[usize],
    width: usize,
    row: &mut Vec<usize>,
) -> Option<bool> {
    // names of T.6: a0 is the current column, b1 the next change to the other color in the row
    // above
    let (mut a0, mut started, mut next) = (0, false, 0);
    while a0 < width || !started {
        let is_black = row.len() % 2 == 1;
        while next > 0 && (above[next - 1] > a0 || !started) {
            next -= 1;
        }
        while next < above.len() && started && above[next] <= a0 {
            next += 1;
        }
        let b1_at = next + usize::from((next % 2 == 1) != is_black);
        let change = |i: usize| above.get(i).copied().unwrap_or(width).min(width);
        match mode::decode(reader)? {
            Mode::Pass => a0 = change(b1_at + 1),
            Mode::Vertical(delta) => {
                a0 = change(b1_at).checked_add_signed(isize::from(delta))?;
                if a0 < row.last().copied().unwrap_or(0) {
                    return None;
                }
                row.push(a0);
            }
            Mode::Horizontal => {
                let first = a0 + run(reader, is_black)?;
                a0 = first + run(reader, !is_black)?;
                row.extend([first, a0]);
            }
            Mode::EOF if !started => return Some(false),
            Mode::EOF | Mode::Extension => return None,
        }
        started = true;
    }
    Some(true)
}

/// Reads the length of a run: codes for multiples of 64, then a code for the rest.
fn run(reader: &mut impl BitReader, is_black: bool) -> Option<usize> {
    let mut sum = 0;
    loop {
        let len = if is_black { black::decode(reader)? } else { white::decode(reader)? };
        sum += usize::from(len);
        if len < 64 {
            return Some(sum);
        }
        if sum > u32::MAX as usize {
            return None;
        }
    }
}

/// Sets the bits of the black pixels.
fn draw(changes: &[usize], width: usize, line: &mut [u8]) {
    for pair in changes.chunks(2) {
        // a row starts white, so the first change is to black
        let [from, to] = [pair[0], pair.get(1).copied().unwrap_or(width)].map(|x| x.min(width));
        for x in from..to {
            line[x / 8] |= 0x80 >> (x % 8);
        }
    }
}
