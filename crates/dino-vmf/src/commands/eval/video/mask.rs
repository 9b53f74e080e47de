//! PNG files whose pixels are numbers of objects, as DAVIS stores masks.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use png::{BitDepth, ColorType, Decoder, Encoder, Reader, Transformations};
use probe::segmentation::Labels;

/// Pixels that belong to nothing. The toolkit of DAVIS counts them as background, in truths and in first frames.
const VOID: u8 = 255;
/// Objects whose colors in the palette of DAVIS are not shades of gray.
const COLORED: u8 = 22;

/// The color of an object in the palette of DAVIS: bits of its number spread over the channels, then shades of gray.
pub(super) fn color(object: u8) -> [u8; 3] {
    if object >= COLORED {
        return [object; 3];
    }
    let bit = |place: u8| object >> place & 1;
    let channel = |first: u8| 128 * bit(first) + 64 * bit(first + 3);
    // The palette has 191 in place of 128 + 64.
    [0, 1, 2].map(channel).map(|value| if value == 192 { 191 } else { value })
}

/// The width and height of a mask, from the start of its file.
///
/// # Errors
/// The file is no PNG, or does not hold objects.
pub(super) fn size(path: &Path) -> Result<(u32, u32)> {
    let reader = open(path)?;
    Ok(reader.info().size())
}

/// Reads a mask. Void pixels become background.
///
/// # Errors
/// The file is no PNG or does not hold objects.
pub(super) fn read(path: &Path) -> Result<Labels> {
    let name = || format!("cannot read the mask `{}`", path.display());
    let mut reader = open(path)?;
    let (width, height) = reader.info().size();
    let (color_type, depth) = reader.output_color_type();
    let len = reader.output_buffer_size().with_context(|| name() + ": its size overflows")?;
    let mut bytes = vec![0; len];
    let line = reader.next_frame(&mut bytes).with_context(name)?.line_size;
    let lines = bytes.chunks_exact(line).take(height as usize);
    let pixels: Vec<u8> = match color_type {
        ColorType::Indexed | ColorType::Grayscale => {
            lines.flat_map(|line| numbers(line, depth).take(width as usize)).collect()
        }
        _ => {
            let objects: Result<_> = bytes.chunks_exact(color_type.samples()).map(object).collect();
            objects.with_context(|| format!("`{}` is a mask in colors", path.display()))?
        }
    };
    let pixels = pixels.into_iter().map(|pixel| if pixel == VOID { 0 } else { pixel }).collect();
    Ok(Labels { pixels, width: width as usize })
}

/// Opens a mask, and refuses what cannot be one.
fn open(path: &Path) -> Result<Reader<BufReader<File>>> {
    let name = || format!("cannot read the mask `{}`", path.display());
    let file = File::open(path).with_context(name)?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::IDENTITY);
    let reader = decoder.read_info().with_context(name)?;
    match reader.output_color_type() {
        (ColorType::Indexed | ColorType::Grayscale, BitDepth::Eight)
        | (ColorType::Indexed, _)
        | (ColorType::Rgb | ColorType::Rgba, BitDepth::Eight) => Ok(reader),
        (color_type, depth) => bail!(
            "`{}` is a {color_type:?} PNG of {} bits: a mask has 8 bits, in which 0 is the background, 1 to 254 are \
             objects and 255 is void",
            path.display(),
            depth as u8
        ),
    }
}

/// The numbers in a line, the most significant bits first. The last byte may hold more than the line has.
fn numbers(line: &[u8], depth: BitDepth) -> impl Iterator<Item = u8> {
    let bits = depth as usize;
    let of_byte = 8 / bits;
    let mask = if bits == 8 { u8::MAX } else { (1 << bits) - 1 };
    line.iter().flat_map(move |byte| (0..of_byte).map(move |i| byte >> (8 - bits * (i + 1)) & mask))
}

/// The object of a pixel in the colors of DAVIS, or in those of Pascal VOC, from which they come.
fn object(pixel: &[u8]) -> Result<u8> {
    let davis = [0, 1, 2].map(|i| if pixel[i] == 192 { 191 } else { pixel[i] });
    let found = (0..COLORED).find(|object| color(*object) == davis);
    found.with_context(|| {
        format!(
            "color {:?} is not one of the first {COLORED} of the palette of DAVIS: save the mask as an indexed PNG, \
             whose pixels are numbers of objects",
            &pixel[..3]
        )
    })
}

/// Writes a mask as an indexed PNG in the colors of DAVIS.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(labels: &Labels, path: &Path) -> Result<()> {
    let write = || -> Result<()> {
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = Encoder::new(file, labels.width as u32, labels.height() as u32);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette((0..=u8::MAX).flat_map(color).collect::<Vec<u8>>());
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&labels.pixels)?;
        Ok(writer.finish()?)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

/// The objects in a mask, ascending, without the background.
///
/// # Errors
/// There is none.
pub(super) fn objects(labels: &Labels, path: &Path) -> Result<Vec<u8>> {
    let mut seen = [false; 256];
    labels.pixels.iter().for_each(|pixel| seen[*pixel as usize] = true);
    let objects: Vec<u8> = (1..VOID).filter(|object| seen[*object as usize]).collect();
    ensure!(
        !objects.is_empty(),
        "the first mask `{}` shows no object: all its pixels are 0 (background) or 255 (void); objects have the \
         numbers 1 to 254",
        path.display()
    );
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_those_of_the_palette_of_davis() {
        let first = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]];
        assert_eq!([0, 1, 2, 3, 4].map(color), first);
        assert_eq!(
            [9, 11, 18, 21].map(color),
            [[191, 0, 0], [191, 128, 0], [0, 191, 0], [128, 64, 128]]
        );
        assert_eq!([22, 254].map(color), [[22; 3], [254; 3]]);
        assert_eq!(
            (0..COLORED).map(|i| object(&color(i)).unwrap()).collect::<Vec<_>>(),
            (0..COLORED).collect::<Vec<_>>()
        );
        assert_eq!(object(&[192, 0, 0, 255]).unwrap(), 9, "Pascal VOC");
    }

    #[test]
    fn packed_numbers_are_unpacked() {
        let found = |line: &[u8], depth| numbers(line, depth).collect::<Vec<_>>();
        assert_eq!(found(&[0b0001_1011], BitDepth::Two), [0, 1, 2, 3]);
        assert_eq!(found(&[0x1f, 0xa0], BitDepth::Four), [1, 15, 10, 0]);
        assert_eq!(found(&[0b1000_0001], BitDepth::One), [1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(found(&[7, 255], BitDepth::Eight), [7, 255]);
    }
}
