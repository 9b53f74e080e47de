//! Where an evaluation keeps features: in memory, or in a temporary file if they do not fit.

use std::path::Path;

use probe::{Evaluated, Storage};

use super::{
    Bytes, F32, FEWER_IMAGES, PROGRAM, available, evaluation, free_disk, looking, require_bytes,
};
use crate::config::Config;
use crate::error::{Error, Result};

/// Bytes that an evaluation needs beside the features of its images.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Beside {
    /// Copies of features, kept where these are.
    pub copies: usize,
    /// What is fitted, and its temporary values: always in memory.
    pub fitted: usize,
    /// Memory that is needed at least to read features on disk out of order: that of a batch.
    pub batch: usize,
}

impl Beside {
    /// The most of both, for tasks that do not run together.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            copies: self.copies.max(other.copies),
            fitted: self.fitted.max(other.fitted),
            batch: self.batch.max(other.batch),
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
    let Beside { copies, fitted, batch } = beside;
    let without = Evaluated { held: 0, ..evaluated };
    let features = F32 * values as f64 * evaluated.held as f64 + copies as f64;
    let rest = PROGRAM + evaluation(config, without, values) + fitted as f64;
    let free = available().map_or(f64::INFINITY, |free| free as f64);
    if rest + features <= free {
        return Ok(Kept { storage: Storage::Memory, note: None });
    }
    require_bytes(looking(evaluated), rest - PROGRAM + batch as f64, FEWER_IMAGES)?;
    let (images, folder) = (evaluated.held, on_disk::folder());
    let [needs, has] = [features, free].map(|bytes| Bytes(bytes).to_string());
    if let Some(reason) = refusal(&folder, features) {
        return Err(Error::TooLittleRoom { images, needs, has, folder, reason });
    }
    // The other half is for the system, which keeps what it has read.
    let buffer = ((free - rest) / 2.0).min(features).max(batch as f64) as usize;
    let folder = folder.display();
    let note = format!(
        "the features of {images} images ({needs}) do not fit into the free memory ({has}) beside everything else: they \
         are kept in a temporary file in `{folder}` (`TMPDIR` names another folder)"
    );
    Ok(Kept { storage: Storage::Disk { buffer }, note: Some(note) })
}

/// Why this many bytes cannot be kept in a folder, if they cannot.
fn refusal(folder: &Path, bytes: f64) -> Option<String> {
    if on_disk::is_in_memory(folder) {
        return Some("it is kept in memory as well".to_owned());
    }
    if let Err(error) = on_disk::file() {
        return Some(format!("no file can be made there: {error}"));
    }
    let has = free_disk(folder).filter(|has| bytes > *has)?;
    Some(format!("{} are free there", Bytes(has)))
}
