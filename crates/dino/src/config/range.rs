//! `data.range`: which values of the images become 0 and 1.

use multicrop::values::ValueSample;
use multicrop::{Dataset, decode};
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::data::Data;
use super::error::Result;

/// The fractions of the values of a channel that lie below the percentile range.
const PERCENTILES: [f64; 2] = [0.001, 0.999];

/// The values that become 0 and 1, in the units of the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[serde(
    expecting = "expected `percentile`, `[low, high]` or a list of one `[low, high]` for each channel"
)]
pub enum Range {
    /// Measured once, from the images.
    Measured(Measured),
    /// One range for all channels.
    All([f64; 2]),
    /// One range for each channel.
    Each(Vec<[f64; 2]>),
}

/// How a range is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// The percentiles 0.1 and 99.9 of each channel.
    Percentile,
}

impl Range {
    /// One range for all channels, or one for each; `None` if it is not measured yet.
    pub fn values(&self) -> Option<Vec<[f64; 2]>> {
        match self {
            Self::Measured(Measured::Percentile) => None,
            Self::All(range) => Some(vec![*range]),
            Self::Each(ranges) => Some(ranges.clone()),
        }
    }

    pub(super) fn check(&self, check: &Check<'_>, channels: usize) -> Result<()> {
        let Some(ranges) = self.values() else { return Ok(()) };
        let key = "data.range";
        for range in &ranges {
            let [low, high] = *range;
            let rises = low.is_finite() && high.is_finite() && low < high;
            let needed = "rise from `low` to `high`, both finite";
            check.require(rises, key, format!("{range:?}"), needed)?;
        }
        let fits = matches!(self, Self::All(_)) || ranges.len() == channels;
        let needed = format!(
            "be `[low, high]`, or have such a pair for each of the `data.channels`, {channels} in all"
        );
        check.require(fits, key, format!("{ranges:?}"), needed)
    }
}

impl Data {
    /// Replaces `data.range = "percentile"` by the percentiles 0.1 and 99.9 of each channel of
    /// `dataset`, of a [fixed sample](ValueSample). Other settings stay as they are.
    ///
    /// # Errors
    /// If no image of the sample can be read.
    pub fn measure_range(
        &mut self,
        dataset: &dyn Dataset,
    ) -> std::result::Result<(), multicrop::Error> {
        if self.range != Some(Range::Measured(Measured::Percentile)) {
            return Ok(());
        }
        self.take_range(&self.sample(dataset)?);
        Ok(())
    }

    /// A sample of the values of `dataset` in the units of its files.
    ///
    /// # Errors
    /// If no image of the sample can be read.
    pub fn sample(
        &self,
        dataset: &dyn Dataset,
    ) -> std::result::Result<ValueSample, multicrop::Error> {
        ValueSample::of(dataset, &decode::Options { range: None, ..self.decode_options() })
    }

    /// As [`measure_range`](Self::measure_range), of a [`sample`](Self::sample) that is at hand.
    pub fn take_range(&mut self, sample: &ValueSample) {
        if self.range == Some(Range::Measured(Measured::Percentile)) {
            self.range = Some(Range::Each(percentiles(sample)));
        }
    }
}

/// The range `percentile` of each channel of a sample. The range of a channel of one value begins at it
/// and is 1 wide.
pub fn percentiles(sample: &ValueSample) -> Vec<[f64; 2]> {
    let of_channel = |channel| {
        let [low, high] = PERCENTILES.map(|fraction| {
            let value = sample.percentile(channel, fraction).unwrap_or(0.0);
            // 0.1 as `f32` is written as 0.1, not as 0.10000000149
            value.to_string().parse().unwrap_or(f64::from(value))
        });
        [low, if low < high { high } else { low + 1.0 }]
    };
    (0..sample.channels()).map(of_channel).collect()
}
