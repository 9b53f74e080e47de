use super::*;
use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

fn encode(format: ImageFormat) -> Vec<u8> {
    let photo =
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(photo).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn empty_files_and_text_are_not_images() {
    assert_eq!(decode(&[], &Options::default()), Err(SampleError::Empty));
    assert_eq!(decode(b"hello, this is text", &Options::default()), Err(SampleError::NotAnImage));
}

#[test]
fn files_of_all_encoders_are_decoded() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Bmp, Gif, Jpeg, Png, Tiff, WebP] {
        let image = decode(&encode(format), &Options::default()).unwrap();
        assert_eq!((image.width(), image.height()), (40, 30), "{format:?}");
    }
}

#[test]
fn unsupported_variants_are_named() {
    let mut bytes = encode(ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 4] = 12;
    assert_eq!(
        decode(&bytes, &Options::default()).unwrap_err().to_string(),
        "not yet supported: JPEG with more than 8 bits per sample"
    );
    bytes[frame + 4..frame + 10].copy_from_slice(&[8, 0, 30, 0, 40, 2]);
    assert_eq!(
        decode(&bytes, &Options::default()).unwrap_err().to_string(),
        "not yet supported: JPEG with other than 1, 3 or 4 components"
    );
}

#[test]
fn the_limit_is_lower_for_wide_pixels() {
    let options = Options { max_pixels: 64 << 20, ..Options::default() };
    assert!(options.check_size(8192, 8192, 3).is_ok());
    assert!(options.check_size(8192, 8192, 8).is_ok());
    assert!(options.check_size(8192, 8193, 1).is_err());
    let error = SampleError::TooLarge { width: 8192, height: 8192, limit: 32 << 20 };
    assert_eq!(options.check_size(8192, 8192, 16), Err(error));
}

#[test]
fn the_limit_is_an_option_and_pillows_by_default() {
    assert!(Options::default().check_size(13_377, 13_377, 3).is_ok());
    assert!(Options::default().check_size(13_378, 13_378, 3).is_err());
    let options = Options { max_pixels: 1199, ..Options::default() };
    let error = decode(&encode(ImageFormat::Png), &options).unwrap_err().to_string(); // 40 x 30
    assert!(error.contains("40 x 30 pixels are more than the limit of 1199"), "{error}");
    assert!(error.contains("data.max_pixels"), "{error}");
}

#[test]
fn the_smallest_limit_is_named_in_every_format() {
    let options = Options { max_pixels: 1, ..Options::default() };
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Png, Jpeg, Bmp, Gif, Tiff, WebP] {
        let error = decode(&encode(format), &options).unwrap_err();
        let expected = SampleError::TooLarge { width: 40, height: 30, limit: 1 };
        assert_eq!(error, expected, "{format:?}");
    }
}

#[test]
fn a_photograph_counts_with_the_pixels_that_it_is_reduced_to() {
    let bytes = encode(ImageFormat::Jpeg); // 40 x 30
    let options = Options { max_pixels: 300, ..Options::default() };
    assert!(matches!(decode(&bytes, &options), Err(SampleError::TooLarge { limit: 300, .. })));
    let half = Options { reduced_for: Some(15), ..options };
    assert_eq!(decode(&bytes, &half).unwrap().width(), 20);
}

#[test]
fn other_image_formats_are_refused_by_their_name() {
    let error = decode(b"8BPS\0\x01\0\0", &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "not yet supported: PSD (Photoshop)");
    let error = decode(b"\0\0\0\x1Cftypavif\0\0\0\0", &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "not yet supported: AVIF");
}

#[test]
fn the_channels_of_the_file_are_returned_with_the_pixels() {
    let bytes = encode(ImageFormat::Png);
    let gray = Options { channels: 1, ..Options::default() };
    let stored = decode_stored(&bytes, &gray).unwrap();
    assert_eq!((stored.pixels.channels(), stored.channels, stored.pages), (1, 3, 1));
    assert_eq!(stored.value_type, ValueType::BYTES);
}

#[test]
fn pixels_that_need_no_decoder_are_converted_too() {
    let gray = Image8::with_channels(2, 1, 1, vec![3, 4]).unwrap();
    let wanted = |channels| Options { channels, ..Options::default() };
    let pixels = |channels| convert(gray.clone(), &wanted(channels)).unwrap().pixels.into_8_bits();
    assert_eq!(pixels(3).pixels(), [3, 3, 3, 4, 4, 4]);
    assert_eq!(pixels(1), gray);
    let bands = Image8::with_channels(1, 1, 7, vec![0; 7]).unwrap();
    assert!(convert(bands, &wanted(3)).is_err());
}

#[test]
fn a_reduced_jpeg_keeps_the_side_that_was_asked_for() {
    let bytes = encode(ImageFormat::Jpeg); // 40 x 30
    let size = |side| {
        let options = Options { reduced_for: Some(side), ..Options::default() };
        let image = decode(&bytes, &options).unwrap();
        (image.width(), image.height())
    };
    let sizes =
        [(0, (5, 4)), (4, (5, 4)), (5, (10, 8)), (8, (10, 8)), (9, (20, 15)), (15, (20, 15))];
    for (side, expected) in sizes {
        assert_eq!(size(side), expected, "shorter side {side}");
    }
    assert_eq!((size(16), size(u32::MAX)), ((40, 30), (40, 30)));
}

/// A reduced inverse DCT keeps the mean of each block.
#[test]
fn a_reduced_jpeg_is_nearly_the_mean_of_its_blocks() {
    let bytes = encode(ImageFormat::Jpeg);
    let full = decode(&bytes, &Options::default()).unwrap();
    let half = Options { reduced_for: Some(15), ..Options::default() };
    let half = decode(&bytes, &half).unwrap();
    // green only: red and blue jump from 255 to 0 within a block
    for y in 0..15 {
        for (x, &[_, green, _]) in half.row(y).as_chunks().0.iter().enumerate() {
            let four = [(0, 0), (0, 3), (1, 0), (1, 3)];
            let sum = four.map(|(dy, dx)| f32::from(full.row(2 * y + dy)[6 * x + dx + 1]));
            let mean = sum.iter().sum::<f32>() / 4.0;
            assert!((mean - f32::from(green)).abs() < 12.0, "{x}, {y}: {green} for {mean}");
        }
    }
}
