//! A JPEG decoder in safe Rust whose pixels are those of libjpeg-turbo, bit for bit.
//!
//! ```text
//! bytes ─▶ headers ─▶ entropy decoder ─▶ inverse DCT ─▶ upsampling ─▶ color conversion ─▶ Image
//! ```
//!
//! A [`Decoder`] reads the headers of a file and decodes it at full, half, quarter or eighth size.
//! It does what Pillow does with libjpeg-turbo 3.1 on x86-64 and default settings: the "islow"
//! inverse DCT, "fancy" upsampling, smoothing of coarse progressive images, and the repair of
//! broken data.
//!
//! ```
//! use jpeg::{Color, Decoder, Scale};
//!
//! let bytes = std::fs::read("tests/golden/golden-0.jpg")?;
//! let decoder = Decoder::new(&bytes)?;
//! assert_eq!((decoder.width(), decoder.height()), (19, 13));
//! let image = decoder.decode(Scale::Half)?;
//! assert_eq!((image.width, image.height, image.color), (10, 7, Color::Rgb));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | supported | refused with an error that names it |
//! | --- | --- |
//! | Huffman and arithmetic coding | lossless and hierarchical processes |
//! | baseline, extended sequential, progressive | more than 8 bits per sample |
//! | scans of one or several components, restart markers | a height after the first scan (DNL) |
//! | 1, 3 or 4 components, sampling factors that divide each other | other numbers of components |
//!
//! | module | what it does | section of T.81 |
//! | --- | --- | --- |
//! | `source`, `header` | markers and segments | B |
//! | `bits`, `huffman`, `sequential`, `progressive` | Huffman-coded coefficients | C, F.2.2, G.2 |
//! | `arithmetic` | arithmetic-coded coefficients | D, F.2.4, G.1.3 |
//! | `scan`, `frame` | MCUs, restart intervals, sizes | A.1, A.2, E.2 |
//! | `idct`, `strip` | coefficients to samples | A.3 |
//! | `smooth` | estimates of missing coefficients | K.8 |
//! | `upsample`, `color`, `output` | samples to pixels | JFIF |
//!
//! Bad bytes give an [`Error`], never a panic. [`Decoder::new`] allocates next to nothing; decoding
//! allocates an amount that is bounded by the size in the header.

#![forbid(unsafe_code)]

mod arithmetic;
mod bits;
mod color;
mod decoder;
mod error;
mod frame;
mod header;
mod huffman;
mod idct;
mod output;
mod progressive;
mod scan;
mod sequential;
mod smooth;
mod source;
mod strip;
mod upsample;

pub use decoder::Decoder;
pub use error::Error;
pub use frame::Scale;
pub use header::frame_size;
pub use output::{Color, Image};
