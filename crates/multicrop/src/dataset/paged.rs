//! [`Paged`]: a data set in which each page of a file is an image.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::left_out::{LeftOut, Part};
use super::{Dataset, Sample, Shards};
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

    /// Those of the files, with all of their pages.
    fn shards(&self) -> Option<Shards> {
        let mut shards = self.files.shards()?;
        for end in &mut shards.ends {
            *end = self.pages.partition_point(|&(file, _)| (file as usize) < *end);
        }
        Some(shards)
    }

    fn prepare(&self, shard: usize) {
        self.files.prepare(shard);
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

    fn container_of(&self, index: usize) -> Option<PathBuf> {
        let file = self.file(index);
        self.files.file_of(file).or_else(|| self.files.container_of(file))
    }

    fn remarks(&self) -> &[String] {
        self.files.remarks()
    }

    fn describe(&self) -> String {
        format!("the pages of {}", self.files.describe())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Four files in shards of three and one. Counts how often a shard is loaded ahead.
    #[derive(Default)]
    struct InShards(AtomicUsize);

    impl Dataset for InShards {
        fn len(&self) -> usize {
            4
        }
        fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
            Err(SampleError::Empty)
        }
        fn label(&self, _: usize) -> Option<u32> {
            None
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn shards(&self) -> Option<Shards> {
            Some(Shards { ends: vec![3, 4], window: 2, slow: true })
        }
        fn prepare(&self, shard: usize) {
            self.0.fetch_add(10 + shard, Ordering::Relaxed);
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn describe(&self) -> String {
            "four files".to_owned()
        }
    }

    #[test]
    fn a_shard_holds_all_pages_of_its_files() {
        let files = Arc::new(InShards::default());
        let pages = vec![(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)];
        let paged = Paged { files: files.clone(), pages };
        let shards = Shards { ends: vec![5, 8], window: 2, slow: true };
        assert_eq!(paged.shards(), Some(shards));
        paged.prepare(1);
        assert_eq!(files.0.load(Ordering::Relaxed), 11);
        assert_eq!(paged.name(7), "3, page 3");
    }
}
