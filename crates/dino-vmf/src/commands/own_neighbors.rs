//! Images that are also among those in which their neighbors are sought: each of them finds itself.

use anyhow::{Result, bail};
use probe::Subset;
use probe::sets::Shared;

use crate::console::Console;
use crate::usage::Usage;

/// Images, and those of `--train`, in which their neighbors are sought.
pub(super) struct Sought<'a> {
    pub(super) images: &'a Subset,
    /// The source of the images, as it was written.
    pub(super) source: &'a str,
    pub(super) train: &'a Subset,
    /// What to do about images in both.
    pub(super) advice: &'a str,
}

impl Sought<'_> {
    /// Warns of images that find themselves.
    ///
    /// # Errors
    /// All of them do.
    pub(super) fn check(&self, console: &mut Console) -> Result<()> {
        let Self { images, source, train, advice } = self;
        let Some(Shared { count, first }) = Shared::of(images, train) else { return Ok(()) };
        if count == images.len() {
            bail!(own_neighbors(source, advice));
        }
        console.warn(format!(
            "{count} of {} images of `{source}` are also in `--train`, such as `{first}`, so each of them is its own \
             nearest neighbor: {advice}",
            images.len()
        ));
        Ok(())
    }
}

/// Why neighbors cannot be sought in the images themselves.
pub(super) fn own_neighbors(source: &str, advice: &str) -> Usage {
    Usage(format!(
        "all images of `{source}` are also in `--train`, so each would be its own nearest neighbor: {advice}"
    ))
}
