//! Compares JPEG XL files with libjxl's pixels (`tests/jpeg_xl/make_files.py`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;

use multicrop::decode::{Options, decode};

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/jpeg_xl");
    fs::read(folder.join(name)).unwrap()
}

/// The largest difference from libjxl's pixels.
fn difference(name: &str, channels: usize) -> u8 {
    let options = Options { channels, ..Options::default() };
    let found = decode(&file(&format!("{name}.jxl")), &options).unwrap();
    let expected = decode(&file(&format!("{name}.png")), &options).unwrap();
    assert_eq!((found.width(), found.height()), (expected.width(), expected.height()));
    let pairs = found.pixels().iter().zip(expected.pixels());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn lossless_files_have_the_pixels_of_libjxl() {
    for name in ["gray", "gray_alpha", "rgb", "rgba", "container"] {
        for channels in [1, 3, 4] {
            assert_eq!(difference(name, channels), 0, "{name} with {channels} channels");
        }
    }
}

#[test]
fn lossy_files_differ_by_rounding() {
    let largest = difference("lossy", 3);
    assert!(largest <= 1, "{largest}");
}

#[test]
fn files_that_end_early_are_refused_and_broken_ones_never_panic() {
    let whole = file("lossy.jxl");
    for len in 0..whole.len() {
        assert!(decode(&whole[..len], &Options::default()).is_err(), "{len} of {}", whole.len());
    }
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x41;
        drop(decode(&bytes, &Options::default()));
    }
}

#[test]
fn more_pixels_than_allowed_are_refused() {
    let options = Options { max_pixels: 1000, ..Options::default() };
    let error = decode(&file("rgb.jxl"), &options).unwrap_err();
    assert_eq!(error.kind(), "too large");
}
