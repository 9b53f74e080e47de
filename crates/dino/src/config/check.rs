//! Checks of single values; each failure is one sentence with the key and who wrote it.

use std::fmt::Display;

use super::error::{Error, Result};
use super::origin::Origins;

/// Most epochs and steps: far more than any run has, and few enough that no product overflows.
pub(super) const MAX_EPOCHS: f64 = 1e9;
pub(super) const MAX_STEPS: u64 = 1_000_000_000_000;
/// Longest side of a crop or an image, in pixels.
pub(super) const MAX_SIDE: usize = 8192;

/// Checks keys of one configuration, and knows who wrote them.
pub(super) struct Check<'a>(pub(super) &'a Origins);

impl Check<'_> {
    /// `holds`, or an error that says what `key` must do.
    pub(super) fn require(
        &self,
        holds: bool,
        key: &str,
        found: impl Display,
        needed: impl Into<String>,
    ) -> Result<()> {
        if holds {
            return Ok(());
        }
        let (key, origin) = (key.to_owned(), self.0.of(key));
        Err(Error::BadValue { key, origin, found: found.to_string(), needed: needed.into() })
    }

    /// `value` lies between 1 and `most`.
    pub(super) fn count(&self, key: &str, value: usize, most: usize) -> Result<()> {
        self.require(value >= 1, key, value, "be 1 or more")?;
        self.require(value <= most, key, value, format!("be at most {most}"))
    }

    /// `value` is at most `most`.
    pub(super) fn at_most(&self, key: &str, value: u64, most: u64) -> Result<()> {
        self.require(value <= most, key, value, format!("be at most {most}"))
    }

    /// `value` is above 0, and between `least` and `most`.
    pub(super) fn positive(&self, key: &str, value: f64, [least, most]: [f64; 2]) -> Result<()> {
        self.require(value > 0.0, key, value, "be above 0")?;
        let needed = format!("lie in [{}, {}]", short(least), short(most));
        self.require((least..=most).contains(&value), key, value, needed)
    }

    /// `value` lies between 0 and `most`.
    pub(super) fn not_negative(&self, key: &str, value: f64, most: f64) -> Result<()> {
        self.require(value >= 0.0, key, value, "be 0 or more")?;
        self.require(value <= most, key, value, format!("be at most {}", short(most)))
    }

    /// `value` lies in [0, 1].
    pub(super) fn fraction(&self, key: &str, value: f64) -> Result<()> {
        self.require((0.0..=1.0).contains(&value), key, value, "lie in [0, 1]")
    }

    /// `value` lies in [0, 1).
    pub(super) fn below_one(&self, key: &str, value: f64) -> Result<()> {
        self.require((0.0..1.0).contains(&value), key, value, "lie in [0, 1)")
    }

    /// `size` is a positive multiple of the patch size, and at most [`MAX_SIDE`].
    pub(super) fn multiple(&self, key: &str, size: usize, patch_size: usize) -> Result<()> {
        let holds = size > 0 && size.is_multiple_of(patch_size);
        let needed = format!("be a multiple of `model.patch_size`, which is {patch_size}");
        self.require(holds, key, size, needed)?;
        self.count(key, size, MAX_SIDE)
    }
}

/// A limit without rows of zeros.
fn short(limit: f64) -> String {
    match limit.abs() {
        1e-3..=1e6 => limit.to_string(),
        _ => format!("{limit:e}"),
    }
}
