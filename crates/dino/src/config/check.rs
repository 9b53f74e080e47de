//! Refuses configurations with which nothing can be trained, one sentence each.

use std::fmt::Display;

use super::{Centering, Config};
use crate::error::{Error, Result};

/// Most epochs and steps: far more than any run has, and few enough that no product overflows.
pub(super) const MAX_EPOCHS: f64 = 1e9;
pub(super) const MAX_STEPS: u64 = 1_000_000_000_000;

/// Checks keys of one configuration, and knows who wrote them.
pub(super) struct Check<'a>(pub(super) &'a Config);

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
        let (key, origin) = (key.to_owned(), self.0.origin(key));
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

    /// `value` lies above 0, and between `least` and `most`.
    pub(super) fn positive(&self, key: &str, value: f64, [least, most]: [f64; 2]) -> Result<()> {
        self.require(value > 0.0, key, value, "be above 0")?;
        let needed = format!("lie in [{least}, {most}]");
        self.require((least..=most).contains(&value), key, value, needed)
    }

    /// `value` lies between 0 and `most`.
    pub(super) fn not_negative(&self, key: &str, value: f64, most: f64) -> Result<()> {
        self.require(value >= 0.0, key, value, "be 0 or more")?;
        self.require(value <= most, key, value, format!("be at most {most}"))
    }

    /// `value` lies in [0, 1].
    pub(super) fn fraction(&self, key: &str, value: f64) -> Result<()> {
        self.require((0.0..=1.0).contains(&value), key, value, "lie in [0, 1]")
    }

    /// `value` lies in [0, 1).
    pub(super) fn below_one(&self, key: &str, value: f64) -> Result<()> {
        self.require((0.0..1.0).contains(&value), key, value, "lie in [0, 1)")
    }

    /// `0 < low <= high`, both between `least` and `most`.
    pub(super) fn range(
        &self,
        key: &str,
        [low, high]: [f64; 2],
        [least, most]: [f64; 2],
    ) -> Result<()> {
        let found = format!("[{low}, {high}]");
        self.require(low > 0.0 && low <= high, key, &found, "rise from a number above 0")?;
        let needed = format!("lie within [{least}, {most}]");
        self.require(low >= least && high <= most, key, &found, needed)
    }
}

impl Config {
    /// Refuses what cannot be trained. [`Config::resolve`] has called it; call it after a change.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first key, in the order of the sections.
    pub fn validate(&self) -> Result<()> {
        let check = Check(self);
        check.at_most("seed", self.seed, i64::MAX as u64)?;
        self.model.check(&check)?;
        self.data.check(&check, self.model.patch_size)?;
        self.model.check_image_size(&check)?;
        self.objective.check(&check)?;
        let whole = self.objective.centering != Centering::Sinkhorn || self.optim.accumulate == 1;
        let needed = "be 1 with `objective.centering` = `sinkhorn`, which balances a whole batch";
        check.require(whole, "optim.accumulate", self.optim.accumulate, needed)?;
        let enough = self.objective.centering != Centering::Sinkhorn || self.model.prototypes >= 2;
        let needed =
            "be 2 or more where `objective.centering` = `sinkhorn` shares a batch among them";
        check.require(enough, "model.prototypes", self.model.prototypes, needed)?;
        let enough = self.objective.lambda_koleo == 0.0 || self.model.prototypes >= 2;
        let needed = "be 2 or more where `objective.lambda_koleo` asks for distances between them";
        check.require(enough, "model.prototypes", self.model.prototypes, needed)?;
        self.masking.check_values(&check)?;
        if self.objective.method.masks() {
            self.masking.check(&check, &self.model, &self.data)?;
        }
        self.optim.check(&check)?;
        self.eval.check(&check, self.model.patch_size)?;
        self.run.check(&check)
    }
}
