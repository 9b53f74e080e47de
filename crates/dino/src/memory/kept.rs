//! Where an evaluation keeps features: in memory, or in a temporary file if they do not fit.

use probe::{Evaluated, Storage};

use super::{Bytes, F32, FEWER_IMAGES, evaluation, free_disk, looking, require_bytes};
use crate::config::Config;
use crate::error::{Error, Result};

/// Bytes that an evaluation needs beside the features of its images.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Beside {
    /// Copies of features, kept where these are.
    pub copies: usize,
    /// What is fitted, and its temporary values: always in memory.
    pub fitted: usize,
    /// Memory to read features from the disk, if they are there.
    pub reading: usize,
}

impl Beside {
    /// The most of both, for tasks that do not run together.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            copies: self.copies.max(other.copies),
            fitted: self.fitted.max(other.fitted),
            reading: self.reading.max(other.reading),
        }
    }
}

/// Where features are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// In memory or on disk.
    pub storage: Storage,
    /// A sentence for the user if they are on disk.
    pub note: Option<String>,
}

/// Decides where the features of an evaluation are kept. `values` are held for each image: the features of all sources
/// together ([`Pass::values_of_image`](probe::Pass::values_of_image)).
///
/// # Errors
/// [`Error::TooLittleMemory`] if there is too little memory even without them, [`Error::TooLittleRoom`] if they fit
/// neither into memory nor on the disk.
pub fn keep(config: &Config, evaluated: Evaluated, values: usize, beside: Beside) -> Result<Kept> {
    let Beside { copies, fitted, reading } = beside;
    let without = Evaluated { held: 0, ..evaluated };
    let features = F32 * values as f64 * evaluated.held as f64 + copies as f64;
    let rest = evaluation(config, without, values) + fitted as f64;
    let what = looking(evaluated);
    if require_bytes(what.clone(), rest + features, FEWER_IMAGES).is_ok() {
        return Ok(Kept { storage: Storage::Memory, note: None });
    }
    require_bytes(what, rest + reading as f64, FEWER_IMAGES)?;
    let folder = on_disk::folder();
    let (images, needs) = (evaluated.held, Bytes(features).to_string());
    match free_disk(&folder) {
        Some(has) if features > has => {
            Err(Error::TooLittleRoom { images, needs, folder, has: Bytes(has).to_string() })
        }
        _ => {
            let note = format!(
                "the features of {images} images need {needs}, which is more than the free memory: they are in a \
                 temporary file in `{}` (the folder can be set by `TMPDIR`)",
                folder.display()
            );
            Ok(Kept { storage: Storage::Disk, note: Some(note) })
        }
    }
}
