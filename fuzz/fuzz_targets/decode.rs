//! Decodes any bytes as an image file: must give an image or an error, without a panic, a hang or
//! much memory.
//!
//! The last byte chooses the options. It stays part of the file, so that every image is a valid
//! seed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use multicrop::Image;
use multicrop::decode::{Options, decode_stored};

mod panics;

fuzz_target!(init: panics::abort_on_ours(), |bytes: &[u8]| {
    let knob = bytes.last().copied().unwrap_or(0);
    let options = Options {
        channels: usize::from(knob & 7),
        orientation: knob & 8 == 0,
        reduced_for: (knob & 16 != 0).then_some(u32::from(knob >> 5)),
        ..Options::default()
    };
    let image = decode_stored(bytes, &options).and_then(|stored| stored.into_image(&options));
    if let Ok(image) = image {
        assert_eq!(image.channels(), options.channels);
        let values = image.width() as usize * image.height() as usize * image.channels();
        let found = match &image {
            Image::U8(image) => image.pixels().len(),
            Image::F32(image) => image.pixels().len(),
        };
        assert_eq!(found, values);
    }
});
