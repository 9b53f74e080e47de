//! Any bytes, as an image file: an image or an error, never a panic, a hang or much memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use multicrop::decode::{Options, decode};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = decode(bytes, &Options::default()) {
        assert_eq!(image.channels(), 3);
    }
});
