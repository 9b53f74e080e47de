//! The page of a board.

use anyhow::Result;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use report::page::{Figures, Page, Tiles};

use super::thumbnail::jpeg;
use super::{Board, Picture, Section};

/// Images with shorter sides are shown with visible pixels.
const COARSE: u32 = 64;

#[derive(Template)]
#[template(path = "pictures.html")]
pub(super) struct Content {
    tiles: Tiles,
    figures: Figures,
    sections: Vec<Shown>,
}

/// A [`Section`] in HTML.
struct Shown {
    title: String,
    note: String,
    rows: Vec<ShownRow>,
}

struct ShownRow {
    heading: String,
    pictures: Vec<ShownPicture>,
}

struct ShownPicture {
    /// JPEG in base64.
    jpeg: String,
    caption: String,
    name: String,
    /// The end of the name: that of the file.
    short_name: String,
    marked: bool,
    coarse: bool,
}

/// The page of a board.
///
/// # Errors
/// If a picture cannot be encoded.
pub(super) fn new(board: Board) -> Result<Page<Content>> {
    let Board { title, subtitle, tiles, figures, sections } = board;
    let sections = sections.into_iter().map(section).collect::<Result<_>>()?;
    let content = Content { tiles: Tiles(tiles), figures: Figures(figures), sections };
    Ok(Page { title, subtitle, content })
}

fn section(section: Section) -> Result<Shown> {
    let Section { title, note, rows } = section;
    let rows = rows.into_iter().map(|row| {
        let pictures = row.pictures.into_iter().map(picture).collect::<Result<_>>()?;
        Ok(ShownRow { heading: row.heading, pictures })
    });
    Ok(Shown { title, note, rows: rows.collect::<Result<_>>()? })
}

fn picture(picture: Picture) -> Result<ShownPicture> {
    let Picture { image, caption, name, marked } = picture;
    Ok(ShownPicture {
        jpeg: STANDARD.encode(jpeg(&image)?),
        caption,
        short_name: name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
        name,
        marked,
        coarse: image.width().max(image.height()) < COARSE,
    })
}
