//! Label propagation: masks of objects, carried from frame to frame by the cosine of patch tokens.
//!
//! ```text
//! a(q, s) = exp(cos(x_q, x_s) / T)             s: a patch of a source frame, at most `radius` rows and columns from q
//! A(q)    = the s with the k largest a(q, s), and all whose a(q, s) equals the k-th
//! m_q     = Σ a(q, s) m_s / Σ a(q, s)          both sums over s in A(q)
//! ```
//!
//! `x` are the tokens and `m` the soft masks of the patches, a value for each channel: the background and the objects.
//! The source frames are the first one, whose masks are given, and the last `n` before the frame of q. The masks of a
//! frame serve its successors as they are. [`winners`] turns them into objects of pixels.
//!
//! Only the patches around q are compared with it. The official code multiplies all pairs of patches and then sets
//! those far apart to zero; the result is the same.
//!
//! Source: `eval_video_segmentation.py` of DINO, after Jabri et al., *Space-time correspondence as a contrastive random
//! walk*, arXiv:2006.14613.

use std::collections::VecDeque;
use std::ops::Range;

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::ops::patch_embed::Images;
use engine::pool::Buffer;
use rayon::prelude::*;

use crate::matrix::normalize;
use crate::pooling::bilinear;

/// Neighboring patches of a row that share a matmul. More of them save calls, and compare more pairs that are too far
/// apart.
const BLOCK: usize = 32;

/// How masks are propagated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Source frames beside the first one: the last n.
    pub last_frames: usize,
    /// Rows and columns between a patch and its sources at most; `None` takes the whole frame.
    pub radius: Option<usize>,
    /// Sources of a patch, at least 1.
    pub topk: usize,
    /// Temperature T of the affinities, above 0.
    pub temperature: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { last_frames: 7, radius: Some(12), topk: 5, temperature: 0.1 }
    }
}

/// A grid of patches, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

/// Masks on their way through the frames of a video. Holds the tokens of the source frames alone.
#[derive(Debug, Clone)]
pub struct Propagation {
    settings: Settings,
    grid: Grid,
    channels: usize,
    first: Frame,
    recent: VecDeque<Frame>,
}

#[derive(Debug, Clone)]
struct Frame {
    tokens: Vec<f32>, // [patches, d], of unit length
    masks: Vec<f32>,  // [patches, channels]
}

/// A source of a patch: a patch of one of the source frames.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    cosine: f32,
    frame: u32,
    patch: u32,
}

impl Grid {
    fn patches(self) -> usize {
        self.rows * self.columns
    }
}

impl Propagation {
    /// Begins at the first frame, with its patch tokens `[patches, d]` and the masks of its patches
    /// `[patches, channels]`.
    ///
    /// # Panics
    /// If there are not as many tokens and masks as patches, or `topk` is 0.
    pub fn new(settings: Settings, grid: Grid, tokens: Vec<f32>, masks: Vec<f32>) -> Self {
        let patches = grid.patches();
        assert!(settings.topk > 0, "a patch needs a source");
        assert!(patches > 0 && masks.len().is_multiple_of(patches), "masks of {grid:?}");
        let channels = masks.len() / patches;
        let first = Frame { tokens: units(tokens, patches), masks };
        Self { settings, grid, channels, first, recent: VecDeque::new() }
    }

    /// Propagates the masks to the next frame, of which `tokens` are the patch tokens `[patches, d]`. Returns its
    /// masks, `[patches, channels]`; those of a patch sum to 1 if those of the first frame do.
    ///
    /// # Panics
    /// If there are other tokens than in the first frame.
    pub fn advance(&mut self, tokens: Vec<f32>) -> Vec<f32> {
        assert_eq!(tokens.len(), self.first.tokens.len(), "tokens of a frame");
        let tokens = units(tokens, self.grid.patches());
        let masks = self.masks_of(&tokens);
        if self.settings.last_frames > 0 {
            if self.recent.len() == self.settings.last_frames {
                self.recent.pop_front();
            }
            self.recent.push_back(Frame { tokens, masks: masks.clone() });
        }
        masks
    }

    fn masks_of(&self, tokens: &[f32]) -> Vec<f32> {
        let Grid { rows, columns } = self.grid;
        let sources: Vec<&Frame> = [&self.first].into_iter().chain(&self.recent).collect();
        let mut masks = vec![0.0; rows * columns * self.channels];
        masks.par_chunks_mut(columns * self.channels).enumerate().for_each(|(row, masks)| {
            for (block, masks) in masks.chunks_mut(BLOCK * self.channels).enumerate() {
                let first = block * BLOCK;
                let block = first..(first + BLOCK).min(columns);
                self.masks_of_block(tokens, (row, block), &sources, masks);
            }
        });
        masks
    }

    /// Writes the masks of neighboring patches of a row.
    fn masks_of_block(
        &self,
        tokens: &[f32],
        (row, block): (usize, Range<usize>),
        sources: &[&Frame],
        masks: &mut [f32],
    ) {
        let Grid { rows, columns } = self.grid;
        let d = tokens.len() / self.grid.patches();
        let (down, across) = (self.around(row..row + 1, rows), self.around(block.clone(), columns));
        let (len, width) = (block.len(), across.len());
        let queries = &tokens[(row * columns + block.start) * d..][..len * d];
        let mut cosines = Buffer::take(sources.len() * down.len() * len * width);
        let lines = sources.iter().flat_map(|frame| down.clone().map(move |y| (frame, y)));
        for ((frame, y), out) in lines.zip(cosines.chunks_exact_mut(len * width)) {
            let line = &frame.tokens[(y * columns + across.start) * d..][..width * d];
            let (queries, line) = (Mat::new(queries, len, d), Mat::new(line, width, d).t());
            matmul(MatMut::new(out, len, width), queries, line, Product::ONE);
        }
        let mut candidates = Vec::new();
        for (masks, x) in masks.chunks_exact_mut(self.channels).zip(block.clone()) {
            let near = self.around(x..x + 1, columns);
            candidates.clear();
            for (line, cosines) in cosines.chunks_exact(len * width).enumerate() {
                let (frame, y) = (line / down.len(), down.start + line % down.len());
                let cosines = &cosines[(x - block.start) * width..][..width];
                candidates.extend(near.clone().map(|column| Candidate {
                    cosine: cosines[column - across.start],
                    frame: frame as u32,
                    patch: (y * columns + column) as u32,
                }));
            }
            self.mix(sources, &candidates, masks);
        }
    }

    /// The places at most `radius` away from `places`, of `len` places.
    fn around(&self, places: Range<usize>, len: usize) -> Range<usize> {
        let radius = self.settings.radius.unwrap_or(len);
        places.start.saturating_sub(radius)..(places.end + radius).min(len)
    }

    /// Writes the masks of a patch: those of its nearest sources, weighted.
    fn mix(&self, sources: &[&Frame], candidates: &[Candidate], masks: &mut [f32]) {
        let mut cosines: Vec<f32> = candidates.iter().map(|candidate| candidate.cosine).collect();
        let last = self.settings.topk.min(cosines.len()) - 1;
        let (nearer, &mut least, _) = cosines.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
        let most = nearer.iter().copied().fold(least, f32::max);
        let (mut total, mut sums) = (0.0f64, vec![0.0f64; masks.len()]);
        for source in candidates.iter().filter(|candidate| candidate.cosine >= least) {
            // Relative to the largest one. Without this, small temperatures overflow.
            let weight = (f64::from(source.cosine - most) / self.settings.temperature).exp();
            let of_source = &sources[source.frame as usize].masks;
            let of_source = of_source[source.patch as usize * masks.len()..].iter();
            sums.iter_mut().zip(of_source).for_each(|(sum, m)| *sum += weight * f64::from(*m));
            total += weight;
        }
        masks.iter_mut().zip(sums).for_each(|(mask, sum)| *mask = (sum / total) as f32);
    }
}

/// Tokens of unit length.
fn units(mut tokens: Vec<f32>, patches: usize) -> Vec<f32> {
    let width = tokens.len() / patches;
    assert!(width > 0 && tokens.len() == patches * width, "tokens of {patches} patches");
    normalize(&mut tokens, width);
    tokens
}

/// The channel of each pixel, `[rows · patch_size, columns · patch_size]`, from the masks of patches
/// `[patches, channels]`.
///
/// ```text
/// u_c = bilinear enlargement of m_c, half-pixel centers, borders repeated
/// v_c = (u_c − min u_c) / (max u_c − min u_c)       over all pixels; u_c if it is constant
/// pixel = argmax v_c                                the lowest c of equal ones
/// ```
///
/// # Panics
/// If there are more than 256 channels.
pub fn winners(masks: &[f32], grid: Grid, patch_size: usize) -> Vec<u8> {
    let channels = masks.len() / grid.patches();
    assert!(channels <= 256, "{channels} channels");
    let Grid { rows, columns } = grid;
    let patches = Images { count: 1, channels: 1, height: rows, width: columns };
    let size = (rows * patch_size, columns * patch_size);
    let pixels = size.0 * size.1;
    let (mut best, mut winners) = (vec![f32::NEG_INFINITY; pixels], vec![0u8; pixels]);
    for channel in 0..channels {
        let of_channel: Vec<f32> = masks.iter().skip(channel).step_by(channels).copied().collect();
        let large = bilinear(&of_channel, &patches, size, [patch_size as f64; 2]);
        let least = large.iter().copied().fold(f32::INFINITY, f32::min);
        let range = large.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least;
        let places = best.par_iter_mut().zip(&mut winners).zip(&large);
        places.for_each(|((best, winner), &value)| {
            let value = if range > 0.0 { (value - least) / range } else { value };
            if value > *best {
                (*best, *winner) = (value, channel as u8);
            }
        });
    }
    winners
}
