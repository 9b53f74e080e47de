//! A picture of a video: some of its frames with the objects that were found, above the true ones.

use std::path::Path;

use anyhow::Result;
use image::ImageFormat;
use multicrop::Image8;
use probe::segmentation::Labels;

use super::super::super::drawing::file::save;
use super::super::super::drawing::grid::{Cell, Grid};
use super::super::super::drawing::maps::{mix, rgb};
use super::super::super::looking::reduced;
use super::mask;

/// Frames on a strip.
const SHOWN: usize = 6;
/// Share of an object's color inside of it.
const INSIDE: f64 = 0.5;

/// Frames of a video with masks.
pub(super) struct Strip {
    /// Places of the frames that are shown.
    shown: Vec<usize>,
    found: Vec<Cell>,
    truth: Vec<Cell>,
}

impl Strip {
    /// Shows some of `frames` frames, the first and the last among them.
    pub(super) fn new(frames: usize) -> Self {
        let shown = SHOWN.min(frames);
        let shown = (0..shown).map(|i| i * (frames - 1) / (shown - 1).max(1)).collect();
        Self { shown, found: Vec::new(), truth: Vec::new() }
    }

    /// Adds a frame if it is one of those that are shown, with the masks that were found and the true ones, and with
    /// J and F in percent if it is scored.
    pub(super) fn add(
        &mut self,
        number: usize,
        picture: &Image8,
        [found, truth]: [&Labels; 2],
        scores: Option<[f64; 2]>,
    ) {
        if !self.shown.contains(&number) {
            return;
        }
        let caption = match (number, scores) {
            (0, _) => "0: given".to_owned(),
            (_, Some([j, f])) => format!("{number}: J {j:.0} F {f:.0}"),
            (_, None) => format!("{number}: unscored"),
        };
        self.found.push(Cell::new(reduced(&overlay(picture, found)), caption));
        self.truth.push(Cell::new(reduced(&overlay(picture, truth)), format!("{number}: truth")));
    }

    /// Writes the strip of the video as `VIDEO.png` into a folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn save(self, video: &str, folder: &Path) -> Result<()> {
        let legend = "numbers of frames; above: objects that were found, with the means of J and F in percent; below: \
                      true objects";
        let heading = [format!("label propagation: {video}"), legend.to_owned()];
        let grid = Grid { heading, rows: vec![self.found, self.truth] };
        save(&grid.draw(), &folder.join(format!("{video}.png")), ImageFormat::Png)
    }
}

/// A frame with its objects in color, and with their borders in brighter color.
fn overlay(picture: &Image8, labels: &Labels) -> Image8 {
    let (width, height) = (labels.width, labels.height());
    let at = |x: usize, y: usize| labels.pixels[y.min(height - 1) * width + x.min(width - 1)];
    let pixels = picture.pixels().chunks_exact(picture.channels()).enumerate();
    let colored = pixels.flat_map(|(i, pixel)| {
        let (object, (x, y)) = (labels.pixels[i], (i % width, i / width));
        let is_border =
            [at(x + 1, y), at(x.saturating_sub(1), y), at(x, y + 1), at(x, y.saturating_sub(1))]
                .iter()
                .any(|other| *other != object);
        match object {
            0 => rgb(pixel),
            _ if is_border => bright(object),
            _ => mix(rgb(pixel), bright(object), INSIDE),
        }
    });
    Image8::new(picture.width(), picture.height(), colored.collect())
        .expect("labels have the size of the picture")
}

/// The color of an object in the palette of DAVIS, twice as bright: half its colors are too dark on photographs.
fn bright(object: u8) -> [u8; 3] {
    mask::color(object).map(|value| value.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_spread_over_the_video() {
        assert_eq!(Strip::new(66).shown, [0, 13, 26, 39, 52, 65]);
        assert_eq!(Strip::new(3).shown, [0, 1, 2]);
    }

    #[test]
    fn objects_are_colored_inside_and_brighter_at_their_border() {
        let picture = Image8::filled(5, 5, &[100]);
        let inside = |x: usize, y: usize| (1..4).contains(&x) && (1..4).contains(&y);
        let pixels = (0..25).map(|i| u8::from(inside(i % 5, i / 5))).collect();
        let drawn = overlay(&picture, &Labels { pixels, width: 5 });
        let colors = drawn.colors();
        assert_eq!((colors[0], colors[6], colors[12]), ([100; 3], [255, 0, 0], [178, 50, 50]));
    }
}
