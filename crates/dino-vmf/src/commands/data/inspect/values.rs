//! What `data inspect` says about the values of the images: their type, their range by channel, and
//! the settings that fit them.

use dino::config::{Data, Range, percentiles};
use dino::plan::FilledRange;
use multicrop::values::{Moments, ValueSample};
use serde::Serialize;

use crate::console::Console;

/// Channels that the text lists. JSON lists all.
const LISTED: usize = 16;

/// Values of a sample of the images.
#[derive(Debug, Serialize)]
pub(super) struct Values {
    /// Number of images in the sample.
    images: usize,
    /// Types of the values, each with its number of images.
    types: Vec<(String, usize)>,
    /// Images with values that are NaN or infinite, and the number of such values.
    non_finite: (usize, usize),
    /// The setting `data.range`.
    range: Option<Range>,
    channels: Vec<Channel>,
    /// Part of the range in which 99.8 % of the values lie.
    filled: f64,
    /// The percentile range of all channels together, in whole numbers if the values are large.
    advised: [f64; 2],
}

/// Values of a channel in the units of the files; mean and standard deviation are for \[0, 1\].
#[derive(Debug, Serialize)]
struct Channel {
    smallest: f32,
    percentiles: [f64; 2],
    largest: f32,
    mean: f64,
    std: f64,
}

impl Values {
    /// Measures a sample of the images; `data` may say which range they have.
    pub(super) fn of(sample: &ValueSample, data: &Data) -> Self {
        let full = sample.types.first().map_or([0.0, 255.0], |(kind, _)| kind.full.map(f64::from));
        let ranges = match &data.range {
            None => vec![full],
            Some(range) => range.values().unwrap_or_else(|| percentiles(sample)),
        };
        let percentiles = percentiles(sample);
        let channel = |channel: usize| {
            let Moments { mean, std } = sample.moments(channel, ranges[channel % ranges.len()]);
            let at = |fraction| sample.percentile(channel, fraction).unwrap_or(f32::NAN);
            let percentiles = percentiles[channel];
            Channel { smallest: at(0.0), percentiles, largest: at(1.0), mean, std }
        };
        let FilledRange { filled, range: advised } = FilledRange::of(sample);
        let types = sample.types.iter().map(|(kind, images)| (kind.to_string(), *images));
        Self {
            images: sample.images,
            types: types.collect(),
            non_finite: sample.non_finite,
            range: data.range.clone(),
            channels: (0..sample.channels()).map(channel).collect(),
            filled,
            advised,
        }
    }

    pub(super) fn print(&self, console: &mut Console) {
        let types: Vec<_> =
            self.types.iter().map(|(kind, images)| format!("{kind} ({images})")).collect();
        console.text(format!("values (images of a sample): {}", types.join(", ")));
        console.text(format!(
            "  {:>7}  {:>11}  {:>11}  {:>11}  {:>11}  {:>8}  {:>8}",
            "channel", "smallest", "0.1 %", "99.9 %", "largest", "mean", "std"
        ));
        for (place, channel) in self.channels.iter().take(LISTED).enumerate() {
            let Channel { smallest, percentiles: [low, high], largest, mean, std } = channel;
            console.text(format!(
                "  {:>7}  {smallest:>11}  {low:>11}  {high:>11}  {largest:>11}  {mean:>8.4}  {std:>8.4}",
                place + 1
            ));
        }
        if self.channels.len() > LISTED {
            console.text(format!("  {:>7}  more channels", self.channels.len() - LISTED));
        }
        console.text("  mean and standard deviation of values in [0, 1]; as settings:");
        console.text(format!("  --set 'data.mean={}'", self.list(|channel| channel.mean)));
        console
            .text(format!("  --set 'data.std={}'", self.list(|channel| channel.std.max(0.0001))));
        if let (images @ 1.., values) = self.non_finite {
            console.text(format!(
                "  NaN or infinite: {values} values in {images} of {} images; NaN becomes 0, infinities \
                 are cut off at the range",
                self.images
            ));
        }
        if let Some(warning) = self.warning() {
            console.warn(warning);
        }
    }

    fn list(&self, value: impl Fn(&Channel) -> f64) -> String {
        let values: Vec<_> =
            self.channels.iter().map(|channel| format!("{:.4}", value(channel))).collect();
        format!("[{}]", values.join(", "))
    }

    /// What to do if the values fill a small part of the range, and none is set.
    fn warning(&self) -> Option<String> {
        let Self { filled, advised: range, .. } = *self;
        self.range.is_none().then(|| FilledRange { filled, range }.warning())?
    }
}
