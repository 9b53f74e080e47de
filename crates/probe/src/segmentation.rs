//! Measures of DAVIS for masks of an object in a video: region similarity J and boundary accuracy F.
//!
//! ```text
//! J = |M ∩ G| / |M ∪ G|            1 if both are empty
//! F = 2 P R / (P + R)              P: share of the guess's boundary near the truth's, R: the reverse
//! ```
//!
//! Near means within `⌈0.008 · diagonal⌉` pixels.
//!
//! Source: Perazzi et al., *A benchmark dataset and evaluation methodology for video object segmentation*, CVPR
//! 2016, and the arithmetic of its toolkit, `davis2017-evaluation`. One difference: the toolkit counts the frames of the
//! four quarters in a byte, so its decay is wrong for more than 256 frames.

use serde::Serialize;

/// Distance within which boundaries match, as a share of the image's diagonal.
const BOUND: f64 = 0.008;

/// A mask, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Which pixels belong to the object.
    pub pixels: Vec<bool>,
    /// Pixels in a row.
    pub width: usize,
}

/// The object that each pixel shows, row-major: 0 is the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Numbers of objects.
    pub pixels: Vec<u8>,
    /// Pixels in a row.
    pub width: usize,
}

/// Mean, recall and decay of a measure over the frames of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// Mean over frames.
    pub mean: f64,
    /// Share of frames above 0.5.
    pub recall: f64,
    /// Mean of the first quarter minus that of the last.
    pub decay: f64,
}

impl Labels {
    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.pixels.len().checked_div(self.width).unwrap_or(0)
    }

    /// The pixels of an object.
    pub fn mask(&self, object: u8) -> Mask {
        let pixels = self.pixels.iter().map(|pixel| *pixel == object).collect();
        Mask { pixels, width: self.width }
    }

    /// In another size, `[height, width]`: each pixel is the one that its center lies in, as in Pillow.
    ///
    /// ```text
    /// out[y, x] = in[⌊(y + ½) h / height⌋, ⌊(x + ½) w / width⌋]
    /// ```
    ///
    /// # Panics
    /// If there are no pixels.
    pub fn resized(&self, height: usize, width: usize) -> Self {
        let place = |i: usize, from: usize, to: usize| (2 * i + 1) * from / (2 * to);
        let columns: Vec<usize> = (0..width).map(|x| place(x, self.width, width)).collect();
        let row = |y: usize| &self.pixels[place(y, self.height(), height) * self.width..];
        let pixels = (0..height).flat_map(|y| columns.iter().map(move |x| row(y)[*x]));
        Self { pixels: pixels.collect(), width }
    }
}

impl Mask {
    fn height(&self) -> usize {
        self.pixels.len().checked_div(self.width).unwrap_or(0)
    }

    /// Pixels that differ from their right, lower or lower right neighbor. In the last row only the right
    /// neighbor counts, in the last column only the lower one.
    fn boundary(&self) -> Vec<bool> {
        let (w, h) = (self.width, self.height());
        let at = |y: usize, x: usize| self.pixels[y * w + x];
        let differs = |y: usize, x: usize| {
            let (right, down) = (x + 1 < w, y + 1 < h);
            (right && at(y, x + 1) != at(y, x))
                || (down && at(y + 1, x) != at(y, x))
                || (right && down && at(y + 1, x + 1) != at(y, x))
        };
        (0..h * w).map(|i| differs(i / w, i % w)).collect()
    }
}

/// Region similarity J of masks of one size.
///
/// # Panics
/// If the sizes differ.
pub fn region_similarity(truth: &Mask, guess: &Mask) -> f64 {
    assert_eq!((truth.width, truth.pixels.len()), (guess.width, guess.pixels.len()), "masks");
    let pairs = || truth.pixels.iter().zip(&guess.pixels);
    let union = pairs().filter(|(a, b)| **a || **b).count();
    let both = pairs().filter(|(a, b)| **a && **b).count();
    if union == 0 { 1.0 } else { both as f64 / union as f64 }
}

/// Boundary accuracy F of masks of one size.
///
/// # Panics
/// If the sizes differ.
pub fn boundary_accuracy(truth: &Mask, guess: &Mask) -> f64 {
    assert_eq!((truth.width, truth.pixels.len()), (guess.width, guess.pixels.len()), "masks");
    let (w, h) = (truth.width, truth.height());
    let radius = (BOUND * (w as f64).hypot(h as f64)).ceil() as isize;
    let (of_truth, of_guess) = (truth.boundary(), guess.boundary());
    let count = |of: &[bool]| of.iter().filter(|is| **is).count();
    let near = |of: &[bool], other: &[bool]| {
        let dilated = dilate(other, w, radius);
        of.iter().zip(&dilated).filter(|(a, b)| **a && **b).count() as f64 / count(of) as f64
    };
    let (precision, recall) = match (count(&of_truth), count(&of_guess)) {
        (0, 0) => (1.0, 1.0),
        (0, _) => (0.0, 1.0),
        (_, 0) => (1.0, 0.0),
        _ => (near(&of_guess, &of_truth), near(&of_truth, &of_guess)),
    };
    match precision + recall {
        0.0 => 0.0,
        sum => 2.0 * precision * recall / sum,
    }
}

/// Pixels within `radius` of a set pixel.
fn dilate(of: &[bool], w: usize, radius: isize) -> Vec<bool> {
    let disk: Vec<(isize, isize)> = (-radius..=radius)
        .flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx)))
        .filter(|(dy, dx)| dy * dy + dx * dx <= radius * radius)
        .collect();
    let (h, mut out) = (of.len() / w.max(1), vec![false; of.len()]);
    for i in of.iter().enumerate().filter(|(_, is)| **is).map(|(i, _)| i) {
        for (dy, dx) in &disk {
            let (y, x) = ((i / w).checked_add_signed(*dy), (i % w).checked_add_signed(*dx));
            if let (Some(y), Some(x)) = (y.filter(|y| *y < h), x.filter(|x| *x < w)) {
                out[y * w + x] = true;
            }
        }
    }
    out
}

impl Statistics {
    /// Of the values of a sequence's frames, in order. `None` for no frame.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        // Ends of the quarters, counted from 1 and rounded; neighbors share their end.
        let end = |i: usize| (1.0 + (n - 1) as f64 * i as f64 / 4.0 + 0.5 + 1e-10).floor() as usize;
        (n > 0).then(|| Self {
            mean: mean(values),
            recall: values.iter().filter(|x| **x > 0.5).count() as f64 / n as f64,
            decay: mean(&values[end(0) - 1..end(1)]) - mean(&values[end(3) - 1..end(4)]),
        })
    }
}
