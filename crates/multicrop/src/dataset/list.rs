//! [`List`] reads the images that a text file lists: a path, `path,label` or a JSON object in each
//! line.

use std::path::{Path, PathBuf};

use super::bytes::read_file;
use super::labels::Labels;
use super::left_out::{LeftOut, Tally};
use super::names::{Kind, Names, kind_of, to_path};
use super::row_parts::RowParts;
use super::{Dataset, OpenOptions, Sample};
use crate::error::{Error, SampleError};

mod format;
mod rows;

use format::Format;

/// The images that a text file lists, in its order.
///
/// Paths are relative to the folder of the file. Columns are separated by tabs, commas or semicolons
/// (quoted as in CSV), or by the last space; the first line may be a header. The fields of JSON
/// objects are columns too, as in `metadata.jsonl` of Hugging Face's `imagefolder`. Empty lines and
/// lines that start with `#` are skipped. A path that does not exist is a bad image.
///
/// With a header, labels come from the chosen column, or else from a column such as `label` or
/// `class`. A column `text` holds captions, not classes. Without a header, labels are in the column
/// after the paths. With a header, a column such as `split` names the part of each image.
pub struct List {
    path: PathBuf,
    folder: PathBuf,
    files: Names,
    labels: Labels,
    left_out: Vec<LeftOut>,
}

impl List {
    /// Reads a list, and the part of each image.
    ///
    /// # Errors
    /// If it cannot be read, none of its first 100 paths exists, or it lacks the chosen column.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<(Self, RowParts), Error> {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let format = Format::detect(path, &folder, options)?;
        let (mut files, mut labels) = (Names::default(), Names::default());
        let mut parts: Vec<_> =
            format.parts.iter().map(|(name, _)| RowParts::of_column(name)).collect();
        let (mut left_out, mut number) = (Tally::default(), 0);
        rows::for_each(path, &format.syntax, usize::MAX, |line, row| {
            number += 1;
            if format.header == Some(number - 1) {
                return Ok(());
            }
            let field = row.get(format.path).copied().unwrap_or_default();
            let at = format!("line {line}");
            if field.is_empty() {
                left_out.add("lines without a path", at.as_bytes());
            } else if is_comment(row) && !folder.join(to_path(field)).exists() {
                if kind_of(field) == Kind::Image {
                    left_out.add("images in lines that start with `#`", at.as_bytes());
                }
            } else {
                files.push(field);
                let label = format.label.and_then(|column| row.get(column));
                labels.push(label.copied().unwrap_or_default());
                for (parts, (_, column)) in parts.iter_mut().zip(&format.parts) {
                    parts.push(row.get(*column).copied().unwrap_or_default());
                }
            }
            Ok(())
        })?;
        if files.is_empty() {
            return Err(Error::NoImages { path: path.into() });
        }
        files.shrink();
        let labels = Labels::from_texts(labels.iter().map(Some));
        let left_out = left_out.finish();
        Ok((
            Self { path: path.into(), folder, files, labels, left_out },
            RowParts::first_with_parts(parts),
        ))
    }

    fn file(&self, index: usize) -> PathBuf {
        self.folder.join(to_path(self.files.get(index)))
    }
}

/// Whether a line starts with `#`.
fn is_comment(row: &[&[u8]]) -> bool {
    row.first().is_some_and(|field| field.starts_with(b"#"))
}

impl Dataset for List {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        read_file(&self.file(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn name(&self, index: usize) -> String {
        self.file(index).to_string_lossy().into_owned()
    }

    fn file_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.file(index))
    }

    fn container_of(&self, _: usize) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn describe(&self) -> String {
        format!("list `{}`", self.path.display())
    }
}
