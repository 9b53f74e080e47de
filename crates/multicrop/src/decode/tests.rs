use super::*;
use ::image::codecs::gif::GifEncoder;
use ::image::{Frame, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn photo() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]))
}

#[test]
fn lossless_formats_come_back_as_they_were() {
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        let image = decode(&encode(photo(), format), &Options::default()).unwrap();
        assert_eq!((image.width(), image.height()), (40, 30), "{format:?}");
        assert_eq!(image.pixels(), photo().as_raw(), "{format:?}");
    }
    assert!(decode(&encode(photo(), ImageFormat::Jpeg), &Options::default()).is_ok());
    assert!(decode(&encode(photo(), ImageFormat::Gif), &Options::default()).is_ok());
}

#[test]
fn gray_is_repeated_and_alpha_dropped() {
    let gray = GrayImage::from_pixel(2, 2, Luma([9]));
    assert_eq!(
        decode(&encode(gray, ImageFormat::Png), &Options::default()).unwrap().pixels(),
        [9; 12]
    );
    let clear = RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 0]));
    assert_eq!(
        decode(&encode(clear, ImageFormat::Png), &Options::default()).unwrap().pixels(),
        [1, 2, 3]
    );
}

#[test]
fn nothing_and_text_are_no_images() {
    assert_eq!(decode(&[], &Options::default()), Err(SampleError::Empty));
    assert_eq!(decode(b"hello, this is text", &Options::default()), Err(SampleError::NotAnImage));
}

#[test]
fn a_file_cut_off_anywhere_is_damaged() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        let bytes = encode(photo(), format);
        for len in 1..bytes.len() - 1 {
            let result = decode(&bytes[..len], &Options::default());
            // the last 12 bytes of a PNG hold no pixels
            let complete = format == ImageFormat::Png && len + 20 > bytes.len();
            assert!(result.is_err() || complete, "{format:?} cut at {len} of {}", bytes.len());
        }
    }
}

#[test]
fn sixteen_bits_and_animations_are_named() {
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::new(3, 3);
    let error = decode(&encode(deep, ImageFormat::Png), &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "not yet supported: more than 8 bits per channel");
    let mut bytes = Vec::new();
    let frame = || Frame::new(RgbaImage::new(4, 4));
    GifEncoder::new(&mut bytes).encode_frames([frame(), frame()]).unwrap();
    assert_eq!(
        decode(&bytes, &Options::default()).unwrap_err().to_string(),
        "not yet supported: animation"
    );
}

#[test]
fn a_frame_of_four_channels_is_cmyk() {
    let mut bytes = encode(photo(), ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 9] = 4;
    assert_eq!(decode(&bytes, &Options::default()), Err(unsupported("CMYK")));
}

#[test]
fn a_bomb_is_refused_by_its_size() {
    // a bitmap's header says how many pixels follow
    let mut bytes = encode(photo(), ImageFormat::Bmp);
    bytes[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    assert!(matches!(
        decode(&bytes, &Options::default()),
        Err(SampleError::TooLarge { width: 60_000, .. })
    ));
}
