//! A [`Strip`] holds the samples of one component for two rows of MCUs, and transforms blocks to
//! them.

use crate::frame::{Block, Component};
use crate::header::Quant;
use crate::idct::{self, Coefficients, LANES, reduced};
use crate::scan::Sink;

/// The samples of the MCU row that is being decoded, and of the one before, which upsampling still
/// reads.
#[derive(Debug)]
pub(crate) struct Strip {
    samples: Vec<u8>,
    /// Bytes of a row.
    stride: usize,
    /// Rows of samples in an MCU row.
    rows: usize,
    /// Width and height in samples, without padding.
    pub(crate) size: (usize, usize),
    side: usize,
    quant: Quant,
    batch: Batch,
}

/// Up to sixteen blocks that are waiting for the inverse DCT.
#[derive(Debug)]
struct Batch {
    coefficients: Box<Coefficients>,
    /// Index of the first sample of each block.
    places: [usize; LANES],
    len: usize,
}

/// One block of a batch, as the [`Sink`] of an entropy decoder.
pub(crate) struct Lane<'a> {
    coefficients: &'a mut Coefficients,
    lane: usize,
}

impl Sink for Lane<'_> {
    #[inline(always)]
    fn set(&mut self, position: usize, value: i16) {
        self.coefficients[position & 63][self.lane & (LANES - 1)] = value;
    }

    #[inline(always)]
    fn get(&self, position: usize) -> i16 {
        self.coefficients[position & 63][self.lane & (LANES - 1)]
    }
}

impl Strip {
    pub(crate) fn new(component: &Component) -> Self {
        let stride = component.stride_blocks * component.side;
        let rows = component.v * component.side;
        Self {
            samples: vec![0; stride * rows * 2],
            stride,
            rows,
            size: component.samples,
            side: component.side,
            quant: component.quant.unwrap_or([0; 64]),
            batch: Batch { coefficients: Box::new([[0; LANES]; 64]), places: [0; LANES], len: 0 },
        }
    }

    /// A row of samples. Rows above and below the image repeat the first and the last row.
    #[inline]
    pub(crate) fn row(&self, row: isize) -> &[u8] {
        let row = row.clamp(0, self.size.1 as isize - 1) as usize;
        let start = row % (2 * self.rows) * self.stride;
        &self.samples[start..start + self.size.0]
    }

    /// Adds a block whose coefficients `decode` writes over zeros. `decode` returns whether any AC
    /// coefficient may be nonzero. `mcu_row` counts rows of MCUs, `y` rows of blocks within one.
    #[inline(always)]
    pub(crate) fn decode(
        &mut self,
        mcu_row: usize,
        (column, y): (usize, usize),
        decode: impl FnOnce(&mut Lane<'_>) -> bool,
    ) {
        let row = (mcu_row % 2) * self.rows + y * self.side;
        let place = row * self.stride + column * self.side;
        let batch = &mut self.batch;
        let lane = batch.len & (LANES - 1);
        let mut sink = Lane { coefficients: &mut batch.coefficients, lane };
        if decode(&mut sink) {
            batch.places[lane] = place;
            batch.len += 1;
            if batch.len == LANES {
                self.transform();
            }
        } else {
            let dc = std::mem::take(&mut batch.coefficients[0][lane]);
            self.fill(place, dc);
        }
    }

    /// Adds a block with these coefficients.
    pub(crate) fn put(&mut self, mcu_row: usize, place: (usize, usize), block: &Block) {
        self.decode(mcu_row, place, |lane| {
            let mut any = 0;
            lane.set(0, block[0]);
            for (position, &value) in block.iter().enumerate().skip(1) {
                any |= value;
                lane.set(position, value);
            }
            any != 0
        });
    }

    /// Writes the samples of a block that has only a DC coefficient.
    fn fill(&mut self, place: usize, dc: i16) {
        let step = self.quant[0];
        let value = match self.side {
            1 => reduced::one(dc, step),
            2 => reduced::flat_two(dc, step),
            _ => idct::flat(dc, step),
        };
        match self.side {
            8 => self.fill_rows::<8>(place, value),
            4 => self.fill_rows::<4>(place, value),
            2 => self.fill_rows::<2>(place, value),
            _ => self.samples[place] = value,
        }
    }

    #[inline(always)]
    fn fill_rows<const N: usize>(&mut self, place: usize, value: u8) {
        let block = &mut self.samples[place..];
        for row in block.chunks_mut(self.stride).take(N) {
            row[..N].copy_from_slice(&[value; N]);
        }
    }

    /// Transforms the waiting blocks and writes their samples.
    pub(crate) fn transform(&mut self) {
        let Batch { coefficients, places, len } = &mut self.batch;
        if *len == 0 {
            return;
        }
        let places = &places[..*len];
        let (samples, stride) = (&mut self.samples[..], self.stride);
        match self.side {
            8 => {
                let mut rows = [[0; LANES]; 8];
                idct::inverse(coefficients, &self.quant, &mut rows);
                store(samples, stride, places, |row, lane| rows[row][lane].to_le_bytes());
            }
            4 => {
                let mut rows = [[0; LANES]; 4];
                reduced::four(coefficients, &self.quant, &mut rows);
                store(samples, stride, places, |row, lane| rows[row][lane].to_le_bytes());
            }
            2 => {
                let mut rows = [[0; LANES]; 2];
                reduced::two(coefficients, &self.quant, &mut rows);
                store(samples, stride, places, |row, lane| rows[row][lane].to_le_bytes());
            }
            _ => {
                for (&place, &dc) in places.iter().zip(&coefficients[0]) {
                    samples[place] = reduced::one(dc, self.quant[0]);
                }
            }
        }
        **coefficients = [[0; LANES]; 64];
        *len = 0;
    }
}

/// Writes blocks of `N` rows at their places.
#[inline(always)]
fn store<const N: usize>(
    samples: &mut [u8],
    stride: usize,
    places: &[usize],
    rows: impl Fn(usize, usize) -> [u8; N],
) {
    for (lane, &place) in places.iter().enumerate() {
        let block = &mut samples[place..];
        for (row, out) in block.chunks_mut(stride).take(N).enumerate() {
            out[..N].copy_from_slice(&rows(row, lane & (LANES - 1)));
        }
    }
}
