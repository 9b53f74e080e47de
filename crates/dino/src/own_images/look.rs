//! A [`Look`] at a source: how many images, how large, with how many channels.

use std::fmt;

use multicrop::dataset::spread;
use multicrop::decode::{self, Stored};
use multicrop::{Dataset, Image, SampleError};
use rayon::prelude::*;
use report::number::counted;

use crate::config::Data;

/// Images that are decoded. A median of 16 sizes is good enough to choose a crop, and 16 large photographs
/// are decoded in a second or two.
const LOOKED_AT: usize = 16;
/// Channels of a photograph.
const COLORS: usize = 3;
/// Side that is assumed if no image can be read; the loader will say why it cannot.
const UNKNOWN_SIDE: usize = 256;

/// What the rules know about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Number of images.
    pub images: usize,
    /// Median of the shorter sides, in pixels.
    pub side: usize,
    /// Channels as stored, if all images that were looked at have the same number.
    pub channels: Option<usize>,
    /// Whether an image has more than 8 bits.
    pub is_deep: bool,
}

impl Look {
    /// Looks at images that are spread evenly over the source, always the same ones.
    pub fn at(dataset: &dyn Dataset, data: &Data) -> Self {
        let indices: Vec<_> = spread(dataset.len(), LOOKED_AT).collect();
        let found: Vec<_> =
            indices.into_par_iter().filter_map(|index| read(dataset, index, data)).collect();
        let side = |stored: &Stored| stored.pixels.width().min(stored.pixels.height()) as usize;
        let mut sides: Vec<_> = found.iter().map(side).collect();
        sides.sort_unstable();
        let first = found.first().map(|stored| stored.channels);
        let same = first.filter(|first| found.iter().all(|stored| stored.channels == *first));
        Self {
            images: dataset.len(),
            side: sides.get(sides.len() / 2).copied().unwrap_or(UNKNOWN_SIDE),
            channels: same,
            is_deep: found.iter().any(|stored| matches!(stored.pixels, Image::F32(_))),
        }
    }

    /// Whether colors are those of a photograph: red, green and blue, perhaps with alpha. A mixture of
    /// gray and color counts as color, and more than 8 bits as the work of an instrument.
    pub fn is_photographic(&self) -> bool {
        !self.is_deep && matches!(self.channels, None | Some(COLORS | 4))
    }

    /// Channels that the network should see; `None` leaves it at three.
    pub(super) fn channels_to_train(&self) -> Option<usize> {
        // Two channels are gray with alpha, four are color with alpha: nobody needs alpha.
        match self.channels {
            Some(1 | 2) => Some(1),
            Some(many) if many > 4 => Some(many),
            _ => None,
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of about {} pixels", counted(self.images, "image"), self.side)?;
        match self.channels {
            Some(1) => f.write_str(" in gray")?,
            Some(channels) if channels != COLORS => write!(f, " with {channels} channels")?,
            _ => {}
        }
        if self.is_deep { f.write_str(" of more than 8 bits") } else { Ok(()) }
    }
}

/// An image as it is stored; `None` if it cannot be read.
fn read(dataset: &dyn Dataset, index: usize, data: &Data) -> Option<Stored> {
    let read = |channels| {
        let options = decode::Options { channels, ..data.decode_options() };
        dataset.read(index)?.decode_stored(&options)
    };
    match read(COLORS) {
        // Bands without colors are only decoded if all are asked for.
        Err(SampleError::Channels { found, .. }) => read(found).ok(),
        stored => stored.ok(),
    }
}
