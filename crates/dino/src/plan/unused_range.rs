//! A warning for images of more than 8 bits whose values fill a small part of the range of their type.

use multicrop::Dataset;
use multicrop::values::ValueSample;

use super::image_warnings::Seen;
use crate::config::{Config, Warning, percentiles};

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

/// The warning for a data set without `data.range`, if some of the images that were looked at have more than
/// 8 bits. Reads up to 256 images of such a source.
pub(super) fn warning(config: &Config, dataset: &dyn Dataset, seen: &[Seen]) -> Option<Warning> {
    if config.data.range.is_some() || !seen.iter().any(|image| image.is_deep) {
        return None;
    }
    FilledRange::of(&config.data.sample(dataset).ok()?).warning()
}
