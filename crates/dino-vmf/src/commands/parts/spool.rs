//! A [`Spool`] holds tokens of any number of images on the disk.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::slice::ChunksExact;

use anyhow::{Context, Result};

/// Tokens of images, one after the other, in a file that vanishes with the program.
pub(super) struct Spool {
    file: BufWriter<File>,
    folder: PathBuf,
    width: usize,
}

impl Spool {
    /// An empty file in `folder`, for tokens of this width.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn create(folder: &Path, width: usize) -> Result<Self> {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let file = tempfile::tempfile_in(here);
        let file = file.with_context(|| format!("cannot write into `{}`", here.display()))?;
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), folder: here.to_owned(), width })
    }

    /// Appends the tokens of an image.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn push(&mut self, tokens: &[f32]) -> Result<()> {
        let mut write = || tokens.iter().try_for_each(|x| self.file.write_all(&x.to_le_bytes()));
        let folder = self.folder.display();
        write().with_context(|| format!("cannot keep the tokens of all images in `{folder}`"))
    }

    /// Visits the tokens of all images in order; `patches` says how many each image has.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn for_each(
        &mut self,
        patches: impl Iterator<Item = usize>,
        visit: &mut dyn FnMut(usize, ChunksExact<'_, f32>),
    ) -> Result<()> {
        let read = || -> std::io::Result<()> {
            self.file.flush()?;
            let file = self.file.get_mut();
            file.seek(SeekFrom::Start(0))?;
            let mut file = BufReader::with_capacity(1 << 20, file);
            for (image, patches) in patches.enumerate() {
                let mut bytes = vec![0; 4 * patches * self.width];
                file.read_exact(&mut bytes)?;
                let values = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                visit(image, values.collect::<Vec<f32>>().chunks_exact(self.width));
            }
            Ok(())
        };
        let folder = self.folder.display();
        read().with_context(|| format!("cannot read the tokens of all images in `{folder}` again"))
    }
}
