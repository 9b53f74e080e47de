//! Maps of patches as pictures: heat, heat over the image, and a mask over the image.

use multicrop::Image8;

/// Colors of heat, from 0 to 1 in equal steps; between them colors are mixed. Their brightness rises.
const HEAT: [[u8; 3]; 7] = [
    [4, 4, 12],
    [48, 14, 92],
    [122, 26, 108],
    [192, 50, 78],
    [238, 102, 36],
    [250, 176, 36],
    [252, 252, 176],
];
/// Color of a mask.
const MASKED: [u8; 3] = [255, 60, 30];
/// How much of the image's brightness is left where a map is 0.
const DARK: f64 = 0.45;

/// A value for each patch of an image, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PatchMap<'a, T> {
    pub(crate) values: &'a [T],
    /// Patches in a row.
    pub(crate) columns: usize,
    /// Side of a patch in pixels.
    pub(crate) patch_size: u32,
}

impl<T: Copy> PatchMap<'_, T> {
    /// A picture whose pixels are made from those of `picture` and from the values of their patches.
    pub(crate) fn paint(&self, picture: &Image8, color: impl Fn([u8; 3], T) -> [u8; 3]) -> Image8 {
        let pixels = (0..picture.height()).flat_map(|y| {
            let row = (y / self.patch_size) as usize * self.columns;
            let pixels = (0..).zip(picture.row(y).chunks_exact(picture.channels()));
            let color = &color;
            pixels.flat_map(move |(x, pixel): (u32, _)| {
                color(rgb(pixel), self.values[row + (x / self.patch_size) as usize])
            })
        });
        Image8::new(picture.width(), picture.height(), pixels.collect())
            .expect("a painted picture has the size of the picture")
    }
}

/// Red, green and blue of a pixel: its first three channels, or its first one as gray.
pub(crate) fn rgb(pixel: &[u8]) -> [u8; 3] {
    pixel.first_chunk().copied().unwrap_or([pixel[0]; 3])
}

/// The color of a value from 0 to 1.
pub(crate) fn heat(value: f64) -> [u8; 3] {
    let place = value.clamp(0.0, 1.0) * (HEAT.len() - 1) as f64;
    let first = (place as usize).min(HEAT.len() - 2);
    mix(HEAT[first], HEAT[first + 1], place - first as f64)
}

/// A pixel with heat over it.
pub(crate) fn heat_over(pixel: [u8; 3], value: f64) -> [u8; 3] {
    let darkened = mix([0; 3], pixel, DARK + (1.0 - DARK) * value.clamp(0.0, 1.0));
    mix(darkened, heat(value), 0.75 * value.clamp(0.0, 1.0).sqrt())
}

/// A pixel inside or outside of a mask.
pub(crate) fn mask_over(pixel: [u8; 3], inside: bool) -> [u8; 3] {
    if inside { mix(pixel, MASKED, 0.5) } else { mix([0; 3], pixel, DARK) }
}

/// `a` with the share `share` of `b`.
pub(crate) fn mix(a: [u8; 3], b: [u8; 3], share: f64) -> [u8; 3] {
    std::array::from_fn(|i| {
        (f64::from(a[i]) + share * (f64::from(b[i]) - f64::from(a[i]))).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pixel_has_the_value_of_its_patch() {
        let picture = Image8::filled(6, 4, &[10]);
        let map = PatchMap { values: &[0.0, 0.5, 1.0, 0.2, 0.3, 0.4], columns: 3, patch_size: 2 };
        let painted = map.paint(&picture, |pixel, value| [pixel[0], (100.0 * value) as u8, 0]);
        assert_eq!(painted.row(0)[..9], [10, 0, 0, 10, 0, 0, 10, 50, 0]);
        assert_eq!(painted.row(3)[9..], [10, 30, 0, 10, 40, 0, 10, 40, 0]);
    }

    #[test]
    fn heat_gets_brighter() {
        let brightness = |i: u8| heat(f64::from(i) / 100.0).iter().map(|x| u32::from(*x)).sum();
        let all: Vec<u32> = (0..=100).map(brightness).collect();
        assert!(all.is_sorted() && (heat(-1.0), heat(2.0)) == (HEAT[0], HEAT[6]), "{all:?}");
        assert_eq!(heat_over([100, 120, 140], 0.0), mix([0; 3], [100, 120, 140], DARK));
    }
}
