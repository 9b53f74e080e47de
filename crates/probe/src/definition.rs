//! What a probe is, what it gets and what it returns.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::Result;
use crate::matrix::Matrix;
use crate::progress::Progress;
use crate::source::Wanted;

/// Features of images, with labels.
#[derive(Debug, Default, PartialEq)]
pub struct Features {
    /// The features, one row for each image (or one for each view or patch of it).
    pub rows: Matrix,
    /// The class of each image; empty if the images were not chosen by their labels.
    pub labels: Vec<u32>,
}

impl Features {
    /// Some of the rows with their labels, in this order, stored as these are.
    ///
    /// # Errors
    /// As [`Matrix::select`].
    ///
    /// # Panics
    /// If there is no such row.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        Ok(Self { rows: self.rows.select(rows)?, labels })
    }

    /// The same features again, stored as these are.
    ///
    /// # Errors
    /// As [`Matrix::stored`].
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { rows: self.rows.try_clone()?, labels: self.labels.clone() })
    }

    /// Number of classes: one more than the largest label of both sets.
    pub fn classes(train: &Self, test: &Self) -> usize {
        let labels = train.labels.iter().chain(&test.labels);
        labels.max().map_or(0, |&label| label as usize + 1)
    }
}

/// How much a probe has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Values in a feature.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A judge of frozen features.
pub trait Probe: Send + Sync {
    /// Key of its scores in `metrics.jsonl` and with `--json`, such as `knn`.
    fn name(&self) -> &'static str;

    /// Its name in messages and tables, such as `k-NN`.
    fn title(&self) -> &'static str;

    /// The features that it judges.
    fn wants(&self) -> Wanted;

    /// Settings that do not fit `train` labelled training images, one sentence each.
    fn warnings(&self, _train: usize) -> Vec<String> {
        Vec::new()
    }

    /// Whether raw pixels are worth judging, as a baseline. They are hundreds of times as wide as features, which
    /// is too much for what is fitted.
    fn judges_pixels(&self) -> bool {
        true
    }

    /// Bytes at most that [`score`](Self::score) needs beside the features.
    fn bytes(&self, _size: Size) -> usize {
        0
    }

    /// Floating-point operations of [`score`](Self::score), about.
    fn flops(&self, size: Size) -> f64;

    /// Scores of features of test images, by those of training images.
    ///
    /// # Errors
    /// If `progress` wants to stop; if copies of features on disk have no room there.
    fn score(
        &self,
        train: &Features,
        test: &Features,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Scores>>;

    /// A judge that gets training rows as they are computed, so that nobody holds them. `None` for a probe that needs
    /// them all at once. Its scores are those of [`score`](Self::score).
    fn stream<'a>(&'a self, _test: &'a Features) -> Option<Box<dyn Stream + 'a>> {
        None
    }

    /// The scores that a summary shows, of those that [`score`](Self::score) returned. Their first value
    /// is the one number.
    fn headline<'a>(&self, scores: &'a [Scores]) -> Option<&'a Scores> {
        scores.first()
    }
}

/// Judges features of test images while those of training images come by.
pub trait Stream {
    /// The next training rows.
    fn add(&mut self, train: &Matrix);

    /// The scores, once all training rows have come. These are their labels.
    fn finish(self: Box<Self>, train: &[u32]) -> Vec<Scores>;
}

/// What a probe measured with one of its settings, such as `k = 20`.
///
/// As JSON it is one flat object: `{"k":20,"top1":61.5,"top5":92.0}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Name and value of the setting; none for a probe without settings.
    pub setting: Option<(&'static str, usize)>,
    /// The scores, the most important first.
    pub values: Vec<Score>,
}

/// One number that a probe reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Its key in JSON, such as `top1`.
    pub name: &'static str,
    /// Its name in tables, such as `top-1`.
    pub title: &'static str,
    /// The number, in `unit`.
    pub value: f64,
    /// Its unit, such as `percent`.
    pub unit: &'static str,
}

impl Score {
    /// A number in percent.
    pub fn percent(name: &'static str, title: &'static str, value: f64) -> Self {
        Self { name, title, value, unit: "percent" }
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((name, value)) = self.setting {
            map.serialize_entry(name, &value)?;
        }
        for Score { name, value, .. } in &self.values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_one_flat_object() {
        let top1 = Score { name: "top1", title: "top-1", value: 61.5, unit: "percent" };
        let mut scores = Scores { setting: Some(("k", 20)), values: vec![top1] };
        assert_eq!(serde_json::to_string(&scores).unwrap(), r#"{"k":20,"top1":61.5}"#);
        scores.setting = None;
        assert_eq!(serde_json::to_string(&scores).unwrap(), r#"{"top1":61.5}"#);
    }
}
