//! Sizes of components in blocks and samples (T.81, A.1.1 and A.2.3), and how they are scaled.

use crate::error::Error;
use crate::header::{Frame, Quant, Scan, Tables};
use crate::scan::Block;

/// Blocks that one MCU may have (T.81, B.2.3).
const MAX_BLOCKS: usize = 10;

/// Size of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// All pixels.
    Full,
    /// A half of the width and of the height, rounded up.
    Half,
    /// A quarter of each.
    Quarter,
    /// An eighth of each.
    Eighth,
}

impl Scale {
    /// Samples on a side of what a block of 8 × 8 becomes.
    pub(crate) fn side(self) -> usize {
        match self {
            Self::Full => 8,
            Self::Half => 4,
            Self::Quarter => 2,
            Self::Eighth => 1,
        }
    }

    /// `pixels` on a side of the whole image, at this scale.
    pub fn of(self, pixels: u32) -> u32 {
        pixels.div_ceil(8 / self.side() as u32)
    }
}

/// A component and what is known of it.
#[derive(Debug)]
pub(crate) struct Component {
    /// Sampling factors.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// Number of its quantization table.
    table: u8,
    /// Quantization steps, from its first scan on; zeros before.
    pub(crate) quant: Option<Quant>,
    /// Samples on a side of a decoded block: 8, 4, 2 or 1.
    pub(crate) side: usize,
    /// Columns and rows of blocks that have pixels.
    pub(crate) blocks: (usize, usize),
    /// Columns of blocks with those that only fill the last MCU.
    pub(crate) stride_blocks: usize,
    /// Width and height in samples.
    pub(crate) samples: (usize, usize),
    /// Coefficients of the whole image, empty where rows are finished as they are read.
    pub(crate) coefficients: Vec<Block>,
}

/// The sizes of an image.
#[derive(Debug)]
pub(crate) struct Geometry {
    pub(crate) scale: Scale,
    /// Largest sampling factors.
    pub(crate) max: (usize, usize),
    /// Columns and rows of MCUs in a scan of several components.
    pub(crate) mcus: (usize, usize),
    /// Width and height of the result.
    pub(crate) output: (usize, usize),
}

/// Sizes of the image and of its components.
pub(crate) fn measure(frame: &Frame, scale: Scale) -> (Geometry, Vec<Component>) {
    let max_of = |factor: fn(&crate::header::Declared) -> usize| {
        frame.components.iter().map(factor).max().unwrap_or(1)
    };
    let max = (max_of(|c| c.h), max_of(|c| c.v));
    let mcus = (frame.width.div_ceil(8 * max.0), frame.height.div_ceil(8 * max.1));
    let side = scale.side();
    let components = frame.components.iter().map(|declared| {
        let (h, v) = (declared.h, declared.v);
        let scaled = scaled_side(side, (h, v), max);
        let blocks = |side: usize| {
            (
                (frame.width * h * side).div_ceil(8 * max.0),
                (frame.height * v * side).div_ceil(8 * max.1),
            )
        };
        Component {
            h,
            v,
            table: declared.quant,
            quant: None,
            side: scaled,
            blocks: blocks(1),
            stride_blocks: mcus.0 * h,
            samples: blocks(scaled),
            coefficients: Vec::new(),
        }
    });
    let components = components.collect();
    let output = (frame.width.div_ceil(8 / side), frame.height.div_ceil(8 / side));
    (Geometry { scale, max, mcus, output }, components)
}

/// Samples on a side of a component's blocks: doubled, up to 8, while the component is still no larger
/// than the result. What a larger inverse transform enlarges needs no interpolation.
fn scaled_side(side: usize, (h, v): (usize, usize), max: (usize, usize)) -> usize {
    let mut scaled = side;
    while scaled < 8
        && (max.0 * side).is_multiple_of(h * scaled * 2)
        && (max.1 * side).is_multiple_of(v * scaled * 2)
    {
        scaled *= 2;
    }
    scaled
}

/// Checks a scan, and keeps the quantization tables that its components use from now on.
pub(crate) fn enter(
    scan: &Scan,
    tables: &Tables<'_>,
    components: &mut [Component],
) -> Result<(), Error> {
    let blocks =
        scan.components.iter().map(|&(index, ..)| components[index].h * components[index].v);
    if scan.components.len() > 1 && blocks.sum::<usize>() > MAX_BLOCKS {
        return Err(Error::damaged("a JPEG scan has more than 10 blocks in an MCU"));
    }
    for &(index, ..) in &scan.components {
        let component = &mut components[index];
        if component.quant.is_none() {
            let defined = tables.quant.get(usize::from(component.table)).copied().flatten();
            component.quant = Some(defined.ok_or_else(|| {
                Error::damaged(
                    "a JPEG scan uses a quantization table that the file does not define",
                )
            })?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduced_image_has_chroma_from_larger_transforms() {
        assert_eq!(scaled_side(8, (1, 1), (2, 2)), 8);
        assert_eq!(scaled_side(4, (1, 1), (2, 2)), 8);
        assert_eq!(scaled_side(1, (1, 1), (2, 2)), 2);
        assert_eq!(scaled_side(4, (1, 1), (2, 1)), 4, "both directions must allow it");
        assert_eq!(scaled_side(1, (1, 1), (4, 4)), 4);
        assert_eq!(scaled_side(4, (2, 2), (2, 2)), 4);
    }
}
