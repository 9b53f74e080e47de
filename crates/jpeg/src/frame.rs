//! Sizes of components in blocks and samples, at each scale (T.81, A.1.1 and A.2.3).

use crate::error::Error;
use crate::header::{Frame, FrameComponent, Quant, Scan, Tables};

/// Limit on the blocks of one MCU (T.81, B.2.3).
const MAX_BLOCKS: usize = 10;

/// Coefficients of one block, in rows of eight.
pub(crate) type Block = [i16; 64];

/// Size of the decoded image relative to the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The stored size.
    Full,
    /// Half the width and height, rounded up.
    Half,
    /// A quarter of the width and height, rounded up.
    Quarter,
    /// An eighth of the width and height, rounded up.
    Eighth,
}

impl Scale {
    /// Side of a decoded block in samples; a full one has 8 × 8.
    pub(crate) fn side(self) -> usize {
        match self {
            Self::Full => 8,
            Self::Half => 4,
            Self::Quarter => 2,
            Self::Eighth => 1,
        }
    }

    /// Length of a side at this scale, for a side of `pixels` in the stored image.
    pub fn scaled(self, pixels: u32) -> u32 {
        pixels.div_ceil(8 / self.side() as u32)
    }
}

/// A component of the image with its sizes, its quantization table and its coefficients.
#[derive(Debug)]
pub(crate) struct Component {
    /// Sampling factors.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// Index of its quantization table.
    table: u8,
    /// Quantization steps, set by the first scan of the component.
    pub(crate) quant: Option<Quant>,
    /// Side of a decoded block in samples: 8, 4, 2 or 1.
    pub(crate) side: usize,
    /// Columns and rows of blocks that contain pixels.
    pub(crate) blocks: (usize, usize),
    /// Columns of blocks, including those that only pad the last MCU.
    pub(crate) stride_blocks: usize,
    /// Width and height in samples.
    pub(crate) samples: (usize, usize),
    /// Coefficients of the whole image; empty when a file is decoded one MCU row at a time.
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
    /// Width and height of the decoded image.
    pub(crate) output: (usize, usize),
}

/// Computes the sizes of the image and of its components.
pub(crate) fn measure(frame: &Frame, scale: Scale) -> (Geometry, Vec<Component>) {
    let max_of = |factor: fn(&FrameComponent) -> usize| {
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

/// Side of a component's decoded blocks: doubled, up to 8, while the component stays no larger than
/// the decoded image. A component that a larger inverse DCT enlarges needs no interpolation.
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

/// Checks a scan, and stores in its components the quantization tables that apply from now on.
pub(crate) fn start_scan(
    scan: &Scan,
    tables: &Tables<'_>,
    components: &mut [Component],
) -> Result<(), Error> {
    let blocks = scan.components.iter().map(|c| components[c.index].h * components[c.index].v);
    if scan.components.len() > 1 && blocks.sum::<usize>() > MAX_BLOCKS {
        return Err(Error::damaged("a JPEG scan has more than 10 blocks in an MCU"));
    }
    for part in &scan.components {
        let component = &mut components[part.index];
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
