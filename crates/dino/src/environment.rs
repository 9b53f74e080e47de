//! The environment variables with settings, and a check of their values at the start of a program.
//!
//! | variable | value | replaces |
//! | --- | --- | --- |
//! | `DINO_VMF_MEMORY` | GiB, or `off` | the free memory that the system reports |
//! | `DINO_VMF_DISK` | GiB, or `off` | the same for the free space of a disk |
//! | `DINO_VMF_SIMD` | `baseline`, `avx2`, `avx512`, `amx` | the best instructions of this CPU, if these are lower |
//!
//! An empty value is none. `DINO_VMF_CACHE` and `TMPDIR` name folders; what is wrong with a folder is said
//! where it is used.

use std::env;
use std::ffi::OsStr;

use crate::error::{Error, Result};
use crate::memory::GIB;

/// Environment variable that overrides the free memory: a number of GiB, or `off`.
pub(crate) const MEMORY: &str = "DINO_VMF_MEMORY";
/// The same for free space on a disk: for file systems that report another number than a user may write.
pub(crate) const DISK: &str = "DINO_VMF_DISK";

/// Refuses values that would have no effect.
///
/// # Errors
/// [`Error::Environment`] names the variable, its value and what is expected.
pub fn check() -> Result<()> {
    let size = |text: &OsStr| Size::of(text).is_some();
    let level = |text: &OsStr| text.to_str().is_some_and(|text| dispatch::named(text).is_some());
    for variable in [MEMORY, DISK] {
        refuse(variable, "a number of GiB, such as 16 or 0.5, or `off`", size)?;
    }
    refuse(dispatch::VARIABLE, "`baseline`, `avx2`, `avx512` or `amx`", level)
}

fn refuse(
    variable: &'static str,
    expected: &'static str,
    is_known: impl Fn(&OsStr) -> bool,
) -> Result<()> {
    match env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(value) if !is_known(&value) => {
            let value = value.to_string_lossy().into_owned();
            Err(Error::Environment { variable, value, expected })
        }
        _ => Ok(()),
    }
}

/// What a variable says about memory or disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Size {
    /// Nothing is compared.
    Off,
    /// So many GiB are free.
    Gib(f64),
}

impl Size {
    /// Bytes; `None` if nothing is compared.
    pub(crate) fn bytes(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Gib(gib) => Some(gib * GIB),
        }
    }

    /// What the environment says; `None` if it says nothing.
    pub(crate) fn named(variable: &str) -> Option<Self> {
        Self::of(&env::var_os(variable)?)
    }

    fn of(text: &OsStr) -> Option<Self> {
        let text = text.to_str()?.trim();
        if text.eq_ignore_ascii_case("off") {
            return Some(Self::Off);
        }
        let gib: f64 = text.parse().ok()?;
        (gib.is_finite() && gib >= 0.0).then_some(Self::Gib(gib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_or_off() {
        let of = |text: &str| Size::of(text.as_ref());
        assert_eq!(of(" 1.5 "), Some(Size::Gib(1.5)));
        assert_eq!(of("0"), Some(Size::Gib(0.0)));
        assert_eq!(of("OFF"), Some(Size::Off));
        for text in ["", "abc", "16GB", "-1", "nan", "inf"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
