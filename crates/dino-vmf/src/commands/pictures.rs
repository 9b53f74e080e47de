//! Pictures in rows, with a caption each: as a page, and as one image file.

mod page;
mod sheet;
pub(crate) mod thumbnail;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueHint};
use image::ImageFormat;
use multicrop::{Dataset, Image8};
use report::page::{Figure, Tile};

use super::drawing::file::{format_of, save};
use super::output_file::{check_file, refuse_source, warn_among_images};
use super::page_file::{check_page, write_file};
use crate::console::Console;

/// Files with pictures that a command can write.
#[derive(Debug, Args)]
pub(crate) struct PictureFiles {
    /// Write a page with the pictures to this file; it needs no other file and no network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// Write the pictures as one image; .png, .jpg, .webp, .bmp or .tiff says the format
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sheet: Option<PathBuf>,
}

/// What a page or a sheet shows.
pub(crate) struct Board {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) sections: Vec<Section>,
}

/// Rows of pictures with a title.
pub(crate) struct Section {
    pub(crate) title: String,
    /// What the rows are, in a sentence.
    pub(crate) note: String,
    pub(crate) rows: Vec<Row>,
}

/// Pictures side by side.
pub(crate) struct Row {
    /// Empty if the pictures speak for themselves.
    pub(crate) heading: String,
    pub(crate) pictures: Vec<Picture>,
}

/// A small image with a text.
pub(crate) struct Picture {
    pub(crate) image: Image8,
    /// A few letters, such as a cosine.
    pub(crate) caption: String,
    /// Name of the image.
    pub(crate) name: String,
    /// Whether it stands out, such as a query or the image that is kept.
    pub(crate) marked: bool,
}

impl PictureFiles {
    /// Whether pictures are wanted.
    pub(crate) fn any(&self) -> bool {
        self.html.is_some() || self.sheet.is_some()
    }

    /// Checks that the files can be written, before anything is computed.
    ///
    /// # Errors
    /// If one cannot, or has no format.
    pub(crate) fn check(&self) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_page)?;
        let Some(sheet) = &self.sheet else { return Ok(()) };
        format_of(sheet, "--sheet")?;
        check_file(sheet)
    }

    /// Warns if pictures are written into the folder of images `source`.
    pub(crate) fn warn_among_images(&self, source: &str, console: &mut Console) {
        warn_among_images(self.sheet.as_deref(), source, console);
    }

    /// Refuses files that are read, also those of `others`: flags with their values.
    ///
    /// # Errors
    /// A file is the source or one of its images.
    pub(crate) fn refuse_source(
        &self,
        others: &[(&'static str, Option<&Path>)],
        dataset: &dyn Dataset,
    ) -> Result<()> {
        let outputs = [("--html", self.html.as_deref()), ("--sheet", self.sheet.as_deref())];
        refuse_source(&[others, &outputs[..]].concat(), dataset)
    }

    /// Writes the files that are wanted.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(crate) fn write(&self, board: Board, console: &mut Console) -> Result<()> {
        if let Some(path) = &self.sheet {
            let format = format_of(path, "--sheet")?.unwrap_or(ImageFormat::Png);
            save(&sheet::draw(&board), path, format)?;
            console.note(format!("sheet: {}", path.display()));
        }
        match &self.html {
            Some(path) => write_file(path, &page::new(board)?, console),
            None => Ok(()),
        }
    }
}
