//! The formats of a file of features, and what all of them say about an image.

mod npy;
mod parquet;
mod safetensors;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, at};
use crate::export::Export;
use crate::spool::Rows;

/// A format of a file of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One NumPy array, `[images, d]` or `[images, patches, d]`.
    Npy,
    /// A tensor for each column, and the labels.
    Safetensors,
    /// A row for each image: name, label, class, and a list for each column.
    Parquet,
}

/// What is known of the image of a row.
struct ImageInfo<'a> {
    name: String,
    label: Option<u32>,
    class: Option<&'a str>,
}

impl Format {
    /// The format that the extension of `path` says, for so many columns.
    ///
    /// # Errors
    /// An extension that says none; several columns for a NumPy array.
    pub fn of(path: &Path, columns: usize) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "npy" if columns == 1 => Ok(Self::Npy),
            "npy" => Err(Error::OneArray { found: columns }),
            "safetensors" => Ok(Self::Safetensors),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Error::UnknownFormat { path: path.to_owned() }),
        }
    }

    /// The file `out`, and the table of names and labels if the format has no place for them.
    pub(crate) fn files(self, out: &Path) -> Vec<PathBuf> {
        match self {
            Self::Parquet => vec![out.to_owned()],
            Self::Npy | Self::Safetensors => vec![out.to_owned(), out.with_extension("csv")],
        }
    }

    /// Writes the file; returns its path, and that of the table of names if there is one.
    pub(crate) fn write(self, export: &Export<'_>, rows: &Rows) -> Result<Vec<PathBuf>> {
        let (out, files) = (export.out, self.files(export.out));
        let written = atomic_file::write_with(out, |file| match self {
            Self::Npy => npy::write(rows, file),
            Self::Safetensors => safetensors::write(export, rows, file),
            Self::Parquet => parquet::write(export, rows, file),
        });
        written.map_err(at(out))?;
        if let Some(table) = files.get(1) {
            let written =
                atomic_file::write_with(table, |file| write_table(export, &rows.images, file));
            written.map_err(at(table))?;
        }
        Ok(files)
    }
}

impl Export<'_> {
    /// Name, label and class of the image at this place of the source.
    fn info(&self, place: usize) -> ImageInfo<'_> {
        let dataset = self.images.dataset();
        let (label, class) = (dataset.label(place), dataset.class(place));
        ImageInfo { name: dataset.name(place), label, class }
    }

    /// Whether a file is the table of these images, perhaps without some that could not be read.
    pub(crate) fn is_table(&self, path: &Path) -> bool {
        let mut all = Vec::new();
        let written = write_table(self, self.images.indices(), &mut all).is_ok();
        let Ok(found) = fs::read(path) else { return false };
        let mut rows = all.split(|byte| *byte == b'\n');
        written && found.split(|byte| *byte == b'\n').all(|line| rows.any(|row| row == line))
    }
}

/// A table with name, label and class of the images at these places, in CSV.
fn write_table(export: &Export<'_>, places: &[usize], file: &mut dyn Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(file);
    table.write_record(["name", "label", "class"])?;
    for &place in places {
        let ImageInfo { name, label, class } = export.info(place);
        let label = label.map(|label| label.to_string()).unwrap_or_default();
        table.write_record([&name, &label, class.unwrap_or_default()])?;
    }
    table.flush()
}
