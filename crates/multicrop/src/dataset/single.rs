//! [`SingleImage`] is a data set of one image file.

use std::path::{Path, PathBuf};

use super::bytes::{read_file, read_start};
use super::{Dataset, Sample};
use crate::decode;
use crate::error::{Error, SampleError};

/// One image file, without a label. [`open`](super::open) refuses such files: nothing is learned from one image.
/// Commands that only look at images take them.
pub struct SingleImage {
    path: PathBuf,
}

impl SingleImage {
    /// The image in the file `path`; `None` if it is something else.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let is_image = path.is_file() && decode::format(&read_start(path)?.0).is_some();
        Ok(is_image.then(|| Self { path: path.to_owned() }))
    }
}

impl Dataset for SingleImage {
    fn len(&self) -> usize {
        1
    }

    fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
        read_file(&self.path)
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, _: usize) -> String {
        self.path.display().to_string()
    }

    fn describe(&self) -> String {
        format!("image `{}`", self.path.display())
    }
}
