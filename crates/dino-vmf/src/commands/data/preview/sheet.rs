//! The layout of the sheet: a title, then a row for each image with its crops.

use std::ops::Range;

use image::RgbImage;
use multicrop::Image8;
use multicrop::image::Rect;
use multicrop::loader::Batch;
use multicrop::recipe::{GLOBAL_CROPS, Recipe};
use multicrop::resize::crop_resize;

use super::sample::{CropRecord, Sample};
use crate::commands::drawing::canvas::{
    Area, BLACK, CAPTION, CHAR, Canvas, GAP, GRAY, LINE, shortened, wrap,
};

/// Width of a frame. All sizes here are in pixels of the sheet.
const FRAME: u32 = 2;
/// Smallest width of a cell. The box of a crop of a photograph mostly fits on a line of this width.
const CELL: u32 = 15 * CHAR;
/// Smallest side of a global crop. Smaller crops are enlarged by a whole factor.
const VISIBLE: u32 = 128;
/// Smallest height of the area for the original image.
const ORIGINAL: u32 = 224;

/// Explanation of the text below a crop.
const LEGEND: &str = "below a crop: its box as width x height +left+top, then the augmentations in \
                      order (b brightness, c contrast, s saturation, h hue; blur in pixels)";

/// Colors of the boxes and frames. The crops cycle through them.
const COLORS: [[u8; 3]; 10] = [
    [214, 39, 40],
    [31, 90, 220],
    [255, 150, 0],
    [30, 160, 60],
    [150, 60, 200],
    [0, 190, 200],
    [240, 80, 180],
    [140, 90, 40],
    [160, 190, 0],
    [90, 90, 120],
];

/// The sizes that all rows of a sheet share.
pub(super) struct Sheet<'a> {
    recipe: &'a Recipe,
    /// Enlargement of crops.
    zoom: u32,
    /// Width and height of the area for the original image.
    original: (u32, u32),
    /// Widths of the cells of global and local crops.
    global: u32,
    local: u32,
    /// Local crops side by side.
    columns: u32,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(recipe: &'a Recipe, columns: u32, images: &[Sample]) -> Self {
        let global = recipe.first_global.size;
        let zoom = (VISIBLE / global).max(1);
        let height = (global * zoom).max(ORIGINAL);
        // Most photographs are 3 : 2. Wider images are scaled to the same width.
        let widest = images.iter().map(|image| scaled(image, (3 * height / 2, height)).0).max();
        Self {
            recipe,
            zoom,
            original: (widest.unwrap_or(height), height),
            global: (global * zoom + 2 * FRAME).max(CELL),
            local: (recipe.locals.size * zoom + 2 * FRAME).max(CELL),
            columns: columns.min(recipe.locals.count).max(1),
        }
    }

    /// Draws the sheet.
    pub(super) fn draw(&self, title: &str, images: &[Sample], batch: &Batch) -> RgbImage {
        let heights: Vec<_> = images.iter().map(|image| self.row_height(image)).collect();
        let width = self.width();
        let text = |text: &str| wrap(text.split(' '), width - 2 * GAP);
        let (title, legend) = (text(title), text(LEGEND));
        let mut y = 2 * GAP + (title.len() + legend.len()) as u32 * LINE;
        let height = y + heights.iter().map(|height| height + GAP).sum::<u32>();
        let mut canvas = Canvas::new(width, height);
        let title = title.iter().map(|line| (line, BLACK));
        for (place, (line, color)) in (0..).zip(title.chain(legend.iter().map(|l| (l, GRAY)))) {
            canvas.text(line, (GAP, GAP + place * LINE), color);
        }
        for (place, (image, height)) in images.iter().zip(heights).enumerate() {
            self.draw_original(&mut canvas, image, y);
            for crop in 0..image.crops.len() {
                let at = self.place(image, crop, y);
                self.draw_crop(
                    &mut canvas,
                    image,
                    crop,
                    &crop_picture(self.recipe, batch, (place, crop)),
                    at,
                );
            }
            y += height + GAP;
        }
        canvas.into_image()
    }

    /// Size of the sheet in bytes, without its title. Computed in `f64`, because large values of
    /// `--images` and `--columns` would overflow integers.
    pub(super) fn bytes(&self, images: &[Sample]) -> f64 {
        let rows = images.iter().map(|image| f64::from(self.row_height(image) + GAP));
        3.0 * f64::from(self.width()) * rows.sum::<f64>()
    }

    fn width(&self) -> u32 {
        let locals = self.columns.min(self.recipe.locals.count) * (self.local + GAP);
        self.first_global() + GLOBAL_CROPS as u32 * (self.global + GAP) + locals
    }

    fn first_global(&self) -> u32 {
        GAP + self.original.0 + GAP
    }

    fn row_height(&self, image: &Sample) -> u32 {
        let globals = self.cell_height(image, 0..GLOBAL_CROPS);
        let rows = self.recipe.locals.count.div_ceil(self.columns);
        let original = self.original.1 + CAPTION + 2 * LINE;
        globals.max(self.height_of_rows(image, rows).saturating_sub(GAP)).max(original)
    }

    /// Height of the first `rows` rows of local crops.
    fn height_of_rows(&self, image: &Sample, rows: u32) -> u32 {
        let columns = self.columns as usize;
        let row = |row: u32| {
            let first = GLOBAL_CROPS + row as usize * columns;
            self.cell_height(image, first..(first + columns).min(image.crops.len())) + GAP
        };
        (0..rows).map(row).sum()
    }

    /// Largest height of some crops with their text.
    fn cell_height(&self, image: &Sample, crops: Range<usize>) -> u32 {
        let height = |crop: usize| {
            let lines = self.lines(image, crop).len() as u32;
            image.crops[crop].size * self.zoom + 2 * FRAME + CAPTION + lines * LINE
        };
        crops.map(height).max().unwrap_or(0)
    }

    fn lines(&self, image: &Sample, crop: usize) -> Vec<String> {
        let width = if crop < GLOBAL_CROPS { self.global } else { self.local };
        wrap(image.crops[crop].words().iter().map(String::as_str), width)
    }

    /// Top left corner of a crop's cell.
    fn place(&self, image: &Sample, crop: usize, y: u32) -> (u32, u32) {
        let globals = |count: usize| self.first_global() + count as u32 * (self.global + GAP);
        let Some(local) = crop.checked_sub(GLOBAL_CROPS) else { return (globals(crop), y) };
        let (row, column) = (local as u32 / self.columns, local as u32 % self.columns);
        (globals(GLOBAL_CROPS) + column * (self.local + GAP), y + self.height_of_rows(image, row))
    }

    /// Draws the original image with the boxes of its crops, its name and its size.
    fn draw_original(&self, canvas: &mut Canvas, image: &Sample, y: u32) {
        let (width, height) = scaled(image, self.original);
        let whole = Rect::whole(&image.image);
        canvas.paste(&crop_resize(&image.image, whole, width, height), (GAP, y), 1);
        let scale = |length: u32, scaled: u32, original: u32| {
            (f64::from(length) * f64::from(scaled) / f64::from(original)).round() as u32
        };
        // Backwards, so that the boxes of the global crops, the first ones, lie on top.
        for (crop, record) in image.crops.iter().enumerate().rev() {
            let CropRecord { left, top, .. } = *record;
            let across = |length| scale(length, width, image.width);
            let down = |length| scale(length, height, image.height);
            let area = Area {
                x: GAP + across(left),
                y: y + down(top),
                width: across(left + record.width) - across(left),
                height: down(top + record.height) - down(top),
            };
            canvas.frame(area, FRAME, color(crop));
        }
        let below = y + height + CAPTION;
        canvas.text(&shortened(&image.name, self.original.0), (GAP, below), BLACK);
        let shown = match image.image.channels() {
            1 | 3 => String::new(),
            2 => ", channel 1 of 2".to_owned(),
            channels => format!(", channels 1 2 3 of {channels}"),
        };
        let size = format!("{} x {}{shown}", image.width, image.height);
        canvas.text(&size, (GAP, below + LINE), GRAY);
    }

    fn draw_crop(
        &self,
        canvas: &mut Canvas,
        image: &Sample,
        crop: usize,
        pixels: &Image8,
        (x, y): (u32, u32),
    ) {
        let side = image.crops[crop].size * self.zoom + 2 * FRAME;
        canvas.frame(Area { x, y, width: side, height: side }, FRAME, color(crop));
        canvas.paste(pixels, (x + FRAME, y + FRAME), self.zoom);
        for (line, text) in (0..).zip(self.lines(image, crop)) {
            canvas.text(&text, (x, y + side + CAPTION + line * LINE), BLACK);
        }
    }
}

/// A crop of an image of a batch as a picture, with the normalization of its values undone.
pub(crate) fn crop_picture(
    recipe: &Recipe,
    batch: &Batch,
    (image, crop): (usize, usize),
) -> Image8 {
    let values = match crop.checked_sub(GLOBAL_CROPS) {
        None => batch.globals.crop(crop, image),
        Some(local) => batch.locals.crop(local, image),
    };
    let Recipe { mean, std, .. } = recipe;
    let size = recipe.kind(crop).size;
    let plane = size as usize * size as usize;
    let channels = values.len() / plane;
    let byte = |pixel: usize, channel: usize| {
        let value = values[channel * plane + pixel] * std[channel] + mean[channel];
        (255.0 * value).round() as u8 // `as` clamps to 0..=255
    };
    let pixels = (0..plane).flat_map(|pixel| (0..channels).map(move |c| (pixel, c)));
    let pixels = pixels.map(|(pixel, channel)| byte(pixel, channel)).collect();
    Image8::with_channels(size, size, channels, pixels)
        .expect("a crop has as many values as pixels times channels")
}

fn color(crop: usize) -> [u8; 3] {
    COLORS[crop % COLORS.len()]
}

/// Width and height of an image scaled to fit into a box, at least one pixel each.
fn scaled(image: &Sample, (width, height): (u32, u32)) -> (u32, u32) {
    let across = f64::from(width) / f64::from(image.width);
    let scale = across.min(f64::from(height) / f64::from(image.height));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    (side(image.width), side(image.height))
}
