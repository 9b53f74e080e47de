//! Compares image files of every kind with Pillow's pixels (`tests/decode/make_files.py`), and
//! decodes the same files truncated and damaged everywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use multicrop::decode::{MAX_PIXELS, Options, decode};
use multicrop::{Image8, SampleError};
use proptest::prelude::*;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/decode")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn expected() -> Vec<Value> {
    let json = fs::read(folder().join("expected.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn options(channels: usize) -> Options {
    Options { channels, ..Options::default() }
}

/// Asserts that an image has this size and, within a tolerance, these values.
fn assert_is(image: &Image8, size: &Value, values: &Value, tolerance: u8, what: &str) {
    assert_eq!((u64::from(image.width()), u64::from(image.height())), {
        (size["width"].as_u64().unwrap(), size["height"].as_u64().unwrap())
    });
    let digits = values.as_str().unwrap().as_bytes().as_chunks::<2>().0;
    let values = digits
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    let values: Vec<u8> = values.collect();
    assert_eq!(image.pixels().len(), values.len(), "{what}");
    let differences = image.pixels().iter().zip(&values).map(|(a, b)| a.abs_diff(*b));
    let largest = differences.max().unwrap();
    assert!(largest <= tolerance, "{what} is off by {largest}");
}

#[test]
fn every_file_has_pillows_pixels() {
    for entry in expected() {
        let name = entry["file"].as_str().unwrap();
        let tolerance = entry["tolerance"].as_u64().unwrap() as u8;
        let bytes = file(name);
        if let Some(n) = entry["n"].as_u64() {
            let image = decode(&bytes, &options(n as usize)).unwrap();
            assert_is(&image, &entry, &entry["bands"], 0, name);
            continue;
        }
        for (channels, key) in [(1, "l"), (3, "rgb"), (4, "rgba")] {
            let what = format!("{name} as {key}");
            let image =
                decode(&bytes, &options(channels)).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_is(&image, &entry, &entry[key], tolerance, &what);
        }
        let stored = Options { orientation: false, ..Options::default() };
        let size = entry.get("stored").unwrap_or(&entry);
        assert_is(&decode(&bytes, &stored).unwrap(), size, &size["rgb"], tolerance, name);
    }
}

#[test]
fn every_file_has_an_expectation() {
    let expected = expected();
    let named: BTreeSet<_> = expected.iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let image = !name.ends_with(".py") && !name.ends_with(".json");
        assert_eq!(image, named.contains(name.as_str()), "{name}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_whole() {
    for entry in expected() {
        let name = entry["file"].as_str().unwrap();
        let bytes = file(name);
        let channels = entry["n"].as_u64().unwrap_or(3) as usize;
        let whole = decode(&bytes, &options(channels)).unwrap();
        for len in 0..bytes.len() {
            // data after the pixels may be missing: checksums, further frames, orientation
            match decode(&bytes[..len], &options(channels)) {
                Err(error) => assert!(!error.to_string().is_empty()),
                Ok(image) if name.ends_with("jpg") => panic!("{name} cut at {len}: {image:?}"),
                Ok(image) => assert_eq!(image.channels(), whole.channels(), "{name} cut at {len}"),
            }
        }
    }
}

#[test]
fn other_numbers_of_channels_need_exactly_as_many_samples() {
    let error = decode(&file("bands_5.tif"), &options(3)).unwrap_err();
    assert_eq!(error, SampleError::Channels { found: 5, wanted: 3, pages: 1 });
    assert_eq!(
        error.to_string(),
        "5 samples per pixel, but 3 channels are required: only gray and color images can be \
         converted, to 1, 3 or 4 channels; `--channels 5` (`data.channels`) takes the samples as they are"
    );
    assert!(decode(&file("rgb_8.png"), &options(5)).is_err());
    assert!(decode(&file("rgb_8.png"), &options(0)).is_err());
    assert_eq!(decode(&file("gray_alpha.png"), &options(2)).unwrap().channels(), 2);
}

/// The first position of `pattern`.
fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).unwrap()
}

#[test]
fn bombs_are_refused_by_their_size() {
    let mut png = file("rgb_8.png");
    png[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    // the checksum of the header
    png[29..33].copy_from_slice(&[0x39, 0x67, 0x4E, 0x07]);
    let mut jpg = file("baseline.jpg");
    let frame = find(&jpg, &[0xFF, 0xC0]);
    jpg[frame + 5..frame + 9].fill(0xFF);
    let mut gif = file("plain.gif");
    gif[6..10].fill(0xFF);
    let mut bmp = file("24.bmp");
    bmp[18..26].copy_from_slice(&[0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0]);
    for (name, bytes) in [("png", png), ("jpg", jpg), ("gif", gif), ("bmp", bmp)] {
        let error = decode(&bytes, &Options::default()).unwrap_err();
        assert!(
            matches!(error, SampleError::TooLarge { limit, .. } if limit <= MAX_PIXELS),
            "{name}: {error}"
        );
    }
}

/// Found by the fuzz target: a file declared 1.4 GiB of EXIF, and they were allocated.
#[test]
fn a_chunk_that_declares_a_huge_size_is_not_allocated() {
    let mut webp = file("turned.webp");
    let chunk = find(&webp, b"EXIF");
    webp[chunk + 4..chunk + 8].copy_from_slice(&[0xF0, 0xFF, 0xFF, 0x7F]);
    let image = decode(&webp, &Options::default()).unwrap();
    assert_eq!((image.width(), image.height()), (7, 5), "not rotated: there is no EXIF");
}

#[test]
fn a_jpeg_inside_a_tiff_is_no_larger_than_its_strip() {
    let mut tif = file("jpeg.tif");
    let frame = find(&tif, &[0xFF, 0xC0]);
    tif[frame + 5..frame + 9].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
    let error = decode(&tif, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("a JPEG of 16383 x 16383 pixels in a strip"), "{error}");
}

#[test]
fn a_small_file_does_not_hold_a_large_photograph() {
    let mut jpg = file("progressive.jpg");
    let frame = find(&jpg, &[0xFF, 0xC2]);
    jpg[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x1F, 0xFF]);
    let error = decode(&jpg, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("bytes for 8191 x 8192 pixels"), "{error}");
}

proptest! {
    /// Any change of a file gives an image with the requested channels, or an error.
    #[test]
    fn changed_bytes_never_panic(
        choice in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        channels in 0_usize..6,
        orientation in any::<bool>(),
        reduced_for in prop::option::of(0_u32..5),
    ) {
        let expected = expected();
        let mut bytes = file(choice.get(&expected)["file"].as_str().unwrap());
        for (place, value) in changes {
            *place.get_mut(&mut bytes) = value;
        }
        if let Ok(image) = decode(&bytes, &Options { channels, orientation, reduced_for, ..Options::default() }) {
            prop_assert_eq!(image.channels(), channels);
        }
    }

    /// The first bytes of an image, followed by random bytes.
    #[test]
    fn garbage_after_a_signature_never_panics(
        choice in any::<prop::sample::Index>(),
        start in 4_usize..40,
        garbage in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let expected = expected();
        let mut bytes = file(choice.get(&expected)["file"].as_str().unwrap());
        bytes.truncate(start);
        bytes.extend(garbage);
        let _ = decode(&bytes, &Options::default());
    }
}
