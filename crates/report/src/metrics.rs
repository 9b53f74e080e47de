//! A [`Metrics`] holds the scalar results of one training step, and a [`Metric`] is the name of one of them.
//!
//! A value is added once, where it is computed. Everything that shows or judges it reads it by name:
//! `metrics.jsonl`, TensorBoard, the progress line and the monitor.
//!
//! ```
//! use report::metrics::{Metric, Metrics};
//!
//! let mut metrics = Metrics::default();
//! for loss in [5.0, 3.0] {
//!     metrics.add(Metric::Loss, 0.5 * loss); // two micro-batches, each with half of the images
//! }
//! assert_eq!(metrics.get(Metric::Loss), Some(4.0));
//! assert_eq!(metrics.get(Metric::PatchLoss), None);
//! ```

mod table;

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

pub use table::Metric;

use crate::tensorboard::Scalar;

/// How the contributions to one metric become one value.
///
/// Contributions come from the micro-batches of a step, which [`Metrics::add`] reduces. Values of several
/// processes have to be reduced by the same rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Mean over the images. Each micro-batch adds its value times its share of the images, so the sum
    /// over micro-batches is the mean. Over processes with equal numbers of images it is the plain mean.
    Mean,
    /// Sum.
    Sum,
    /// Maximum.
    Max,
    /// The last value. For values of the whole step that are the same in every process.
    Last,
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A dimensionless value.
    None,
    /// A number of things. It is written as an integer.
    Count,
    /// Natural units of entropy.
    Nats,
    /// Images per second.
    ImagesPerSecond,
    /// 2²⁰ bytes.
    Mib,
}

impl Unit {
    /// The unit in words; empty for dimensionless values.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Count => "count",
            Self::Nats => "nats",
            Self::ImagesPerSecond => "images/s",
            Self::Mib => "MiB",
        }
    }
}

/// A group of charts in TensorBoard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// How training goes.
    Train,
    /// How fast images come and go, and what that needs.
    Data,
}

impl Group {
    /// The first part of its tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Data => "data",
        }
    }
}

/// The values of the metrics of one step. It serializes to a map in the order of [`Metric::ALL`]; metrics
/// without a value are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(BTreeMap<Metric, f64>);

impl Metrics {
    /// Adds a value and reduces it with the values added before, as the metric's [`Reduce`] says. With
    /// [`Reduce::Mean`] the caller multiplies `value` by its share of the images.
    pub fn add(&mut self, metric: Metric, value: f64) {
        match metric.reduce() {
            Reduce::Mean | Reduce::Sum => *self.0.entry(metric).or_insert(0.0) += value,
            Reduce::Max => {
                let max = self.0.entry(metric).or_insert(value);
                *max = max.max(value);
            }
            Reduce::Last => {
                self.0.insert(metric, value);
            }
        }
    }

    /// The value of a metric; nothing if this step has none.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.get(&metric).copied()
    }

    /// The values for TensorBoard, each under `group/key`.
    pub fn scalars(&self) -> Vec<Scalar> {
        let scalar = |(metric, value): (&Metric, &f64)| Scalar {
            tag: format!("{}/{}", metric.group().name(), metric.key()),
            value: *value,
            about: metric.meaning(),
        };
        self.0.iter().map(scalar).collect()
    }

    /// The value of a metric; NaN if this step has none, so that no comparison with it holds.
    pub fn value(&self, metric: Metric) -> f64 {
        self.get(metric).unwrap_or(f64::NAN)
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (metric, value) in &self.0 {
            match metric.unit() {
                Unit::Count => map.serialize_entry(metric.key(), &(*value as u64))?,
                _ => map.serialize_entry(metric.key(), value)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
