//! JPEG to pixels: the pixels of libjpeg-turbo, bit for bit, in safe Rust.
//!
//! A [`Decoder`] reads the headers of a file and decodes it, whole or at a half, a quarter or an
//! eighth of its size. It does what Pillow does with libjpeg-turbo 3.1 on x86-64 and its default
//! settings: the "islow" inverse DCT, "fancy" upsampling, smoothing of coarse progressive images, and
//! the repair of broken data.
//!
//! | read | refused by name |
//! | --- | --- |
//! | Huffman and arithmetic coding | lossless and hierarchical processes |
//! | baseline, extended sequential, progressive | more than 8 bits per sample |
//! | scans of one or several components, restart markers | a height behind the first scan (DNL) |
//! | 1, 3 or 4 components, sampling factors that divide each other | other numbers of components |
//!
//! | module | what it does | in T.81 |
//! | --- | --- | --- |
//! | `source`, `header` | markers and segments | B |
//! | `bits`, `huffman`, `sequential`, `progressive` | Huffman-coded coefficients | C, F.2.2, G.2 |
//! | `arithmetic` | arithmetic-coded coefficients | D, F.2.4, G.1.3 |
//! | `scan`, `frame` | MCUs, restart intervals, sizes | A.1, A.2, E.2 |
//! | `idct`, `strip` | coefficients to samples | A.3 |
//! | `smooth` | estimates of coefficients that are missing | K.8 |
//! | `upsample`, `color`, `output` | samples to pixels | JFIF |
//!
//! Bad bytes are an [`Error`] and never a panic. Memory is taken only after [`Decoder::new`], and is
//! bounded by the size that the header declares.

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
