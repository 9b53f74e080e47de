//! The sheet: sections below each other, rows of pictures in them, a line or two of text below each picture.

use image::RgbImage;

use super::{Board, Picture, Row};
use crate::commands::drawing::canvas::{
    Area, BLACK, CAPTION, Canvas, GAP, GRAY, LINE, shortened, wrap,
};

/// Side of the area for a picture. All sizes here are in pixels of the sheet.
const SIDE: u32 = 112;
/// Height of the text below a picture.
const TEXT: u32 = CAPTION + 2 * LINE;
/// Pictures side by side; more go into a line below.
const COLUMNS: usize = 10;
/// Width of a frame.
const FRAME: u32 = 3;

/// Color of the frame.
const MARK: [u8; 3] = [214, 110, 20];

/// Draws a board.
pub(super) fn draw(board: &Board) -> RgbImage {
    let columns = |row: &Row| row.pictures.len().min(COLUMNS);
    let rows = || board.sections.iter().flat_map(|section| &section.rows);
    let columns = rows().map(columns).max().unwrap_or(0).max(4) as u32;
    let width = GAP + columns * (SIDE + GAP);
    let mut height = 0;
    Layout { canvas: None, width, y: GAP }.board(board, &mut height);
    let mut drawn = Layout { canvas: Some(Canvas::new(width, height)), width, y: GAP };
    drawn.board(board, &mut height);
    drawn.canvas.map_or_else(|| RgbImage::new(1, 1), Canvas::into_image)
}

/// Places everything, from top to bottom, and draws it if there is a canvas.
struct Layout {
    canvas: Option<Canvas>,
    width: u32,
    y: u32,
}

impl Layout {
    fn board(&mut self, board: &Board, height: &mut u32) {
        self.text(&board.title, BLACK);
        self.text(&board.subtitle, GRAY);
        for section in &board.sections {
            self.y += GAP;
            self.text(&section.title, BLACK);
            self.text(&section.note, GRAY);
            for row in &section.rows {
                self.row(row);
            }
        }
        *height = self.y + GAP;
    }

    fn text(&mut self, text: &str, color: [u8; 3]) {
        let plain = text.replace('`', "");
        for line in wrap(plain.split(' ').filter(|word| !word.is_empty()), self.width - 2 * GAP) {
            if let Some(canvas) = &mut self.canvas {
                canvas.text(&shortened(&line, self.width - 2 * GAP), (GAP, self.y), color);
            }
            self.y += LINE;
        }
    }

    fn row(&mut self, row: &Row) {
        self.y += GAP / 2;
        self.text(&row.heading, BLACK);
        for line in row.pictures.chunks(COLUMNS) {
            for (column, picture) in (0..).zip(line) {
                self.picture(picture, GAP + column * (SIDE + GAP));
            }
            self.y += SIDE + TEXT + GAP / 2;
        }
    }

    fn picture(&mut self, picture: &Picture, x: u32) {
        let y = self.y;
        let Some(canvas) = &mut self.canvas else { return };
        let Picture { image, caption, name, marked } = picture;
        let zoom = (SIDE / image.width().max(image.height()).max(1)).max(1);
        let (width, height) = (image.width() * zoom, image.height() * zoom);
        canvas.paste(image, (x + (SIDE - width) / 2, y + (SIDE - height) / 2), zoom);
        if *marked {
            canvas.frame(Area { x, y, width: SIDE, height: SIDE }, FRAME, MARK);
        }
        canvas.text(&shortened(caption, SIDE), (x, y + SIDE + CAPTION), BLACK);
        canvas.text(&shortened(name, SIDE), (x, y + SIDE + CAPTION + LINE), GRAY);
    }
}
