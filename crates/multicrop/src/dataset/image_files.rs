//! [`ImageFiles`] is a data set of image files that somebody named.

use std::path::{Path, PathBuf};

use super::bytes::{read_file, read_start};
use super::{Dataset, Sample};
use crate::decode;
use crate::error::{Error, SampleError};

/// Image files, without labels. [`open`](super::open) refuses such files: nothing is learned from one image.
/// Commands that only look at images take them.
pub struct ImageFiles {
    paths: Vec<PathBuf>,
}

impl ImageFiles {
    /// The images in these files, in this order.
    ///
    /// # Errors
    /// The first path that is no image file.
    pub fn new(paths: Vec<PathBuf>) -> Result<Self, PathBuf> {
        match paths.iter().find(|path| !Self::is_image(path).unwrap_or(false)) {
            Some(other) => Err(other.clone()),
            None => Ok(Self { paths }),
        }
    }

    /// The image in the file `path`; `None` if it is something else.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        Ok(Self::is_image(path)?.then(|| Self { paths: vec![path.to_owned()] }))
    }

    fn is_image(path: &Path) -> Result<bool, Error> {
        Ok(path.is_file() && decode::format(&read_start(path)?.0).is_some())
    }
}

impl Dataset for ImageFiles {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        read_file(&self.paths[index])
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        self.paths[index].display().to_string()
    }

    fn file_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.paths[index].clone())
    }

    fn describe(&self) -> String {
        match &self.paths[..] {
            [path] => format!("image `{}`", path.display()),
            paths => format!("{} image files", paths.len()),
        }
    }
}
