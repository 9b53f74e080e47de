//! Rotates and mirrors an image according to its EXIF orientation.

use ::image::metadata::Orientation;

use crate::image::Raster;

/// Side of the square tiles in which pixels are moved, so that columns and rows stay in the cache.
const TILE: usize = 32;

/// The image upright, as Pillow's `ImageOps.exif_transpose` returns it.
pub(super) fn apply<T: Copy + Default>(image: Raster<T>, orientation: Orientation) -> Raster<T> {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let source = Source::new(width as usize, height as usize, orientation);
    let (out_width, out_height) = if source.turned { (height, width) } else { (width, height) };
    let size = (out_width as usize, out_height as usize);
    let values = match channels {
        1 => moved::<T, 1>(image.pixels(), size, &source),
        3 => moved::<T, 3>(image.pixels(), size, &source),
        4 => moved::<T, 4>(image.pixels(), size, &source),
        _ => moved_bands(image.pixels(), channels, size, &source),
    };
    Raster::with_channels(out_width, out_height, channels, values)
        .expect("the number of pixels does not change")
}

/// The map from pixels of the result to stored pixels.
struct Source {
    /// Size of the stored image.
    width: usize,
    height: usize,
    /// Whether rows become columns. The two fields below mirror the stored image.
    turned: bool,
    from_right: bool,
    from_bottom: bool,
}

impl Source {
    fn new(width: usize, height: usize, orientation: Orientation) -> Self {
        use Orientation::{
            FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180,
            Rotate270, Rotate270FlipH,
        };
        let (turned, from_right, from_bottom) = match orientation {
            NoTransforms => (false, false, false),
            FlipHorizontal => (false, true, false),
            Rotate180 => (false, true, true),
            FlipVertical => (false, false, true),
            Rotate90FlipH => (true, false, false),
            Rotate90 => (true, false, true),
            Rotate270FlipH => (true, true, true),
            Rotate270 => (true, true, false),
        };
        Self { width, height, turned, from_right, from_bottom }
    }

    /// Index of the stored pixel for column `x` and row `y` of the result.
    fn index(&self, x: usize, y: usize) -> usize {
        let (x, y) = if self.turned { (y, x) } else { (x, y) };
        let x = if self.from_right { self.width - 1 - x } else { x };
        let y = if self.from_bottom { self.height - 1 - y } else { y };
        y * self.width + x
    }
}

fn moved<T: Copy + Default, const N: usize>(
    pixels: &[T],
    (width, height): (usize, usize),
    source: &Source,
) -> Vec<T> {
    let pixels = pixels.as_chunks::<N>().0;
    let mut out = vec![[T::default(); N]; width * height];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..height.min(top + TILE) {
                let right = width.min(left + TILE);
                for (x, pixel) in (left..right).zip(&mut out[y * width..][left..right]) {
                    *pixel = pixels[source.index(x, y)];
                }
            }
        }
    }
    out.into_flattened()
}

fn moved_bands<T: Copy>(
    pixels: &[T],
    channels: usize,
    (width, height): (usize, usize),
    source: &Source,
) -> Vec<T> {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    places
        .flat_map(|(x, y)| &pixels[source.index(x, y) * channels..][..channels])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;

    /// Pillow 13.0's result for the 3 x 2 image 0 1 2 / 3 4 5 and orientations 1 to 8.
    const UPRIGHT: [(u32, [u8; 6]); 8] = [
        (3, [0, 1, 2, 3, 4, 5]),
        (3, [2, 1, 0, 5, 4, 3]),
        (3, [5, 4, 3, 2, 1, 0]),
        (3, [3, 4, 5, 0, 1, 2]),
        (2, [0, 3, 1, 4, 2, 5]),
        (2, [3, 0, 4, 1, 5, 2]),
        (2, [5, 2, 4, 1, 3, 0]),
        (2, [2, 5, 1, 4, 0, 3]),
    ];

    #[test]
    fn all_orientations_are_those_of_pillow() {
        for (tag, (width, upright)) in (1..).zip(UPRIGHT) {
            let orientation = Orientation::from_exif(tag).unwrap();
            for channels in [1, 3, 4, 5] {
                let repeat = |values: [u8; 6]| -> Vec<u8> {
                    values.into_iter().flat_map(|value| vec![value; channels]).collect()
                };
                let stored = repeat([0, 1, 2, 3, 4, 5]);
                let image = Image8::with_channels(3, 2, channels, stored).unwrap();
                let image = apply(image, orientation);
                assert_eq!(image.width(), width, "tag {tag}, {channels} channels");
                assert_eq!(image.pixels(), repeat(upright), "tag {tag}, {channels} channels");
            }
        }
    }

    #[test]
    fn four_quarter_turns_are_none() {
        let image = Image8::new(70, 41, (0..70 * 41 * 3).map(|i| (i % 251) as u8).collect());
        let image = image.unwrap();
        let turn = |image| apply(image, Orientation::Rotate90);
        assert_eq!(turn(turn(turn(turn(image.clone())))), image);
        assert_eq!(turn(turn(image.clone())), apply(image, Orientation::Rotate180));
    }
}
