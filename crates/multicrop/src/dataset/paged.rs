//! [`Paged`]: a data set in which each page of a file is an image.

use std::sync::Arc;

use rayon::prelude::*;

use super::left_out::{LeftOut, Part};
use super::{Dataset, Sample};
use crate::decode::page_count;
use crate::error::SampleError;

/// The pages of the images of another data set, in order. Pages have the label of their file.
pub struct Paged {
    files: Arc<dyn Dataset>,
    /// The file and the page of each image.
    pages: Vec<(u32, u32)>,
}

impl Paged {
    /// Counts the pages of all files, which reads each file once. A file that cannot be read counts as
    /// one image, whose error comes when it is read.
    pub fn new(files: Arc<dyn Dataset>) -> Self {
        let count = |index: usize| match files.read(index) {
            Ok(Sample::Encoded(bytes)) => page_count(&bytes),
            _ => 1,
        };
        let counts: Vec<usize> = (0..files.len()).into_par_iter().map(count).collect();
        let pages = counts.into_iter().enumerate();
        let pages =
            pages.flat_map(|(file, pages)| (0..pages).map(move |page| (file as u32, page as u32)));
        let pages = pages.collect();
        Self { files, pages }
    }

    fn file(&self, index: usize) -> usize {
        self.pages[index].0 as usize
    }
}

impl Dataset for Paged {
    fn len(&self) -> usize {
        self.pages.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        Ok(match self.files.read(self.file(index))? {
            Sample::Encoded(bytes) => Sample::Page { bytes, page: self.pages[index].1 as usize },
            other => other,
        })
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.files.label(self.file(index))
    }

    fn classes(&self) -> &[String] {
        self.files.classes()
    }

    fn left_out(&self) -> &[LeftOut] {
        self.files.left_out()
    }

    fn parts(&self) -> &[Part] {
        self.files.parts()
    }

    /// The name of the file, and of its page from 1 if it is not the first.
    fn name(&self, index: usize) -> String {
        let name = self.files.name(self.file(index));
        match self.pages[index].1 {
            0 => name,
            page => format!("{name}, page {}", page + 1),
        }
    }

    fn describe(&self) -> String {
        format!("the pages of {}", self.files.describe())
    }
}
