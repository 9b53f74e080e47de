//! A [`Grid`]: rows of pictures with a caption each, below a heading.

use image::RgbImage;
use multicrop::Image8;

use super::canvas::{BLACK, CAPTION, CHAR, Canvas, GAP, GRAY, LINE, shortened, wrap};

/// Smallest width of a cell, so that its caption has room.
const CELL: u32 = 13 * CHAR;
/// Smallest width of a grid, so that its heading has room.
const WIDTH: u32 = 60 * CHAR;

/// A picture with a caption, or a place that stays free.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// Nothing is drawn without a picture; the place has the given width.
    picture: Result<Image8, u32>,
    caption: String,
}

impl Cell {
    pub(crate) fn new(picture: Image8, caption: impl Into<String>) -> Self {
        Self { picture: Ok(picture), caption: caption.into() }
    }

    /// A place as wide as this cell.
    pub(crate) fn blank(&self) -> Self {
        Self { picture: Err(self.width()), caption: String::new() }
    }

    fn width(&self) -> u32 {
        self.picture.as_ref().map_or_else(|width| *width, Image8::width).max(CELL)
    }

    fn height(&self) -> u32 {
        self.picture.as_ref().map_or(0, |picture| picture.height() + CAPTION + LINE)
    }
}

/// Rows of cells below a heading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    /// Words in black, then words in gray.
    pub(crate) heading: [String; 2],
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Draws the grid.
    pub(crate) fn draw(&self) -> RgbImage {
        let of_row = |row: &Vec<Cell>| row.iter().map(|cell| cell.width() + GAP).sum::<u32>();
        let width = self.rows.iter().map(of_row).max().unwrap_or(0).max(WIDTH) + GAP;
        let lines = self.heading.each_ref().map(|text| wrap(text.split(' '), width - 2 * GAP));
        let mut y = 2 * GAP + lines.iter().map(|lines| lines.len() as u32 * LINE).sum::<u32>();
        let height_of = |row: &Vec<Cell>| row.iter().map(Cell::height).max().unwrap_or(0) + GAP;
        let height = y + self.rows.iter().map(height_of).sum::<u32>();
        let mut canvas = Canvas::new(width, height);
        let colored = lines.iter().zip([BLACK, GRAY]);
        let colored = colored.flat_map(|(lines, color)| lines.iter().map(move |l| (l, color)));
        for (place, (line, color)) in (0..).zip(colored) {
            canvas.text(line, (GAP, GAP + place * LINE), color);
        }
        for row in &self.rows {
            let mut x = GAP;
            for cell in row {
                if let Ok(picture) = &cell.picture {
                    canvas.paste(picture, (x, y), 1);
                    let caption = shortened(&cell.caption, cell.width());
                    canvas.text(&caption, (x, y + picture.height() + CAPTION), BLACK);
                }
                x += cell.width() + GAP;
            }
            y += height_of(row);
        }
        canvas.into_image()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_side_by_side_above_their_captions() {
        let color = |color| Image8::filled(120, 40, &[color, 0, 0]);
        let first = Cell::new(color(9), "one");
        let rows = vec![
            vec![first.clone(), Cell::new(color(90), "two")],
            vec![first.blank(), Cell::new(color(7), "three")],
        ];
        let drawn = Grid { heading: ["title".into(), "legend".into()], rows }.draw();
        let top = 2 * GAP + 2 * LINE;
        let below = top + 40 + CAPTION + LINE + GAP;
        assert_eq!(drawn.get_pixel(GAP, top).0, [9, 0, 0]);
        assert_eq!(drawn.get_pixel(GAP + 120 + GAP, top).0, [90, 0, 0]);
        assert_eq!(drawn.get_pixel(GAP, below).0, [255; 3], "a place that stays free");
        assert_eq!(drawn.get_pixel(GAP + 120 + GAP, below).0, [7, 0, 0]);
        assert_eq!(drawn.height(), below + 40 + CAPTION + LINE + GAP);
    }
}
