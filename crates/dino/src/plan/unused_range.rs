//! A warning for images of more than 8 bits whose values fill a small part of the range of their type.

use multicrop::dataset::spread;
use multicrop::decode;
use multicrop::values::ValueSample;
use multicrop::{Dataset, Image};

use crate::config::{Config, Warning, percentiles};

/// Images whose depth is looked at, spread evenly.
const SAMPLES: usize = 16;
/// Smallest part of the range that values should fill.
const FILLED: f64 = 0.3;

/// Which part of the range of their type the values of images fill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilledRange {
    /// Part of the range in which 99.8 % of the values of all channels lie.
    pub filled: f64,
    /// These values, in whole numbers if they are large.
    pub range: [f64; 2],
}

impl FilledRange {
    /// That of a sample.
    pub fn of(sample: &ValueSample) -> Self {
        let full = sample.types.first().map_or([0.0, 255.0], |(kind, _)| kind.full.map(f64::from));
        let percentiles = percentiles(sample);
        let low = percentiles.iter().map(|[low, _]| *low).fold(f64::INFINITY, f64::min);
        let high = percentiles.iter().map(|[_, high]| *high).fold(f64::NEG_INFINITY, f64::max);
        Self {
            filled: ((high - low) / (full[1] - full[0])).min(1.0),
            range: if high - low > 50.0 { [low.floor(), high.ceil()] } else { [low, high] },
        }
    }

    /// What to do if the values fill a small part of the range.
    pub fn warning(&self) -> Option<Warning> {
        let Self { filled, range: [low, high] } = *self;
        (filled < FILLED).then(|| {
            format!(
                "99 % of the values lie between {low} and {high}, which is {:.2} % of the range of their \
                 type, so images are nearly flat: set `data.range`, with \
                 `--set 'data.range=[{low}, {high}]'` or `--set data.range=percentile`",
                100.0 * filled
            )
        })
    }
}

/// The warning for a data set without `data.range`, if it has images of more than 8 bits. Reads 16 images,
/// and up to 256 if there are such images.
pub fn unused_range(config: &Config, dataset: &dyn Dataset) -> Option<Warning> {
    let options = decode::Options { range: None, ..config.data.decode_options() };
    let is_deep = |index| {
        let stored = dataset.read(index).and_then(|image| image.decode_stored(&options));
        stored.is_ok_and(|stored| matches!(stored.pixels, Image::F32(_)))
    };
    if config.data.range.is_some() || !spread(dataset.len(), SAMPLES).any(is_deep) {
        return None;
    }
    FilledRange::of(&config.data.sample(dataset).ok()?).warning()
}
