//! A [`Canvas`] draws rectangles, images and text on a white background.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_7X13;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{
    DrawTarget, Drawable, OriginDimensions, Pixel, Point, RgbColor, Size,
};
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};
use multicrop::Image8;

/// All text is in this font. It has the letters of Western Europe.
const FONT: &MonoFont<'static> = &FONT_7X13;
/// Width of a character in pixels.
pub(crate) const CHAR: u32 = FONT.character_size.width;
/// Height of a line of text.
pub(crate) const LINE: u32 = FONT.character_size.height + 1;
/// Space between two pictures, and around a sheet.
pub(crate) const GAP: u32 = 16;
/// Space between a picture and the text below it.
pub(crate) const CAPTION: u32 = 5;

/// Colors of text.
pub(crate) const BLACK: [u8; 3] = [40; 3];
pub(crate) const GRAY: [u8; 3] = [90; 3];

/// An image to draw on. Pixels outside of it are ignored.
pub(crate) struct Canvas(RgbImage);

/// Left, top, width and height in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Canvas {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb([255; 3])))
    }

    pub(crate) fn into_image(self) -> RgbImage {
        self.0
    }

    fn set(&mut self, x: u32, y: u32, color: [u8; 3]) {
        if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
            *pixel = Rgb(color);
        }
    }

    fn fill(&mut self, area: Area, color: [u8; 3]) {
        for y in area.y..area.y + area.height {
            for x in area.x..area.x + area.width {
                self.set(x, y, color);
            }
        }
    }

    /// Draws a border of `thick` pixels along the inside of an area.
    pub(crate) fn frame(&mut self, area: Area, thick: u32, color: [u8; 3]) {
        let Area { x, y, width, height } = area;
        let (across, down) = (thick.min(height), thick.min(width));
        self.fill(Area { height: across, ..area }, color);
        self.fill(Area { y: y + height - across, height: across, ..area }, color);
        self.fill(Area { width: down, ..area }, color);
        self.fill(Area { x: x + width - down, width: down, ..area }, color);
    }

    /// Draws an image: its first three channels as red, green and blue, or its first channel in gray if it
    /// has fewer. Each of its pixels becomes a square with a side of `zoom` pixels.
    pub(crate) fn paste(&mut self, image: &Image8, (x, y): (u32, u32), zoom: u32) {
        for row in 0..image.height() {
            for (column, pixel) in (0..).zip(image.row(row).chunks_exact(image.channels())) {
                let color = pixel.first_chunk().copied().unwrap_or([pixel[0]; 3]);
                let (x, y) = (x + column * zoom, y + row * zoom);
                self.fill(Area { x, y, width: zoom, height: zoom }, color);
            }
        }
    }

    /// Draws one line of text. Characters that the font does not have, and line breaks, become question marks.
    pub(crate) fn text(&mut self, text: &str, (x, y): (u32, u32), [r, g, b]: [u8; 3]) {
        let text = text.replace(char::is_control, "?");
        let style = MonoTextStyle::new(FONT, Rgb888::new(r, g, b));
        let top_left = Point::new(x as i32, y as i32);
        let Ok(_) = Text::with_baseline(&text, top_left, style, Baseline::Top).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, color) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                self.set(x, y, [color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

/// Wraps words into lines of at most `width` pixels. A longer word gets a line of its own.
pub(crate) fn wrap<'a>(words: impl Iterator<Item = &'a str>, width: u32) -> Vec<String> {
    let most = (width / CHAR) as usize;
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines
            .last_mut()
            .filter(|line| line.chars().count() + 1 + word.chars().count() <= most)
        {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Shortens a path to `width` pixels: to the name of the file, or the end of it.
pub(crate) fn shortened(text: &str, width: u32) -> String {
    let most = (width / CHAR) as usize;
    let name = text.rsplit('/').next().unwrap_or(text);
    for text in [text, name] {
        if text.chars().count() <= most {
            return text.to_owned();
        }
    }
    let (text, len) = (name, name.chars().count());
    let rest = text.chars().skip(len - most.saturating_sub(2));
    "..".chars().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_up_to_the_width() {
        let words = ["ab", "cde", "f", "ghijklm", "n"];
        assert_eq!(wrap(words.into_iter(), 6 * CHAR), ["ab cde", "f", "ghijklm", "n"]);
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(shortened("photos/cat.jpg", 14 * CHAR), "photos/cat.jpg");
        assert_eq!(shortened("photos/cat.jpg", 10 * CHAR), "cat.jpg");
        assert_eq!(shortened("photos/black-cat.jpg", 10 * CHAR), "..-cat.jpg");
        assert_eq!(shortened("cat.jpg", 10 * CHAR), "cat.jpg");
    }

    #[test]
    fn letters_of_western_europe_are_drawn() {
        let drawn = |text| {
            let mut canvas = Canvas::new(CHAR, LINE);
            canvas.text(text, (0, 0), BLACK);
            canvas.into_image()
        };
        assert_ne!(drawn("é"), drawn("?"));
        assert_ne!(drawn("é"), drawn("e"));
        assert_eq!(drawn("漢"), drawn("?"));
        assert_eq!(drawn("\n"), drawn("?"));
    }

    #[test]
    fn accents_do_not_shorten_lines() {
        assert_eq!(wrap(["éé", "èè"].into_iter(), 5 * CHAR), ["éé èè"]);
    }
}
