//! The compressions of TIFF, by the values of their tag.

use super::unsupported;
use crate::error::SampleError;

/// Values of the compression tag.
pub(super) const NONE: u64 = 1;
pub(super) const FAX_RLE: u64 = 2;
pub(super) const FAX_3: u64 = 3;
pub(super) const FAX_4: u64 = 4;
pub(super) const LZW: u64 = 5;
pub(super) const JPEG: u64 = 7;
pub(super) const DEFLATE: u64 = 8;
pub(super) const DEFLATE_OLD: u64 = 32946;
pub(super) const PACK_BITS: u64 = 32773;
pub(super) const ZSTD: u64 = 50000;
pub(super) const WEBP: u64 = 50001;

/// Refuses an unsupported compression with an error that names it.
pub(super) fn check_compression(compression: u64) -> Result<(), SampleError> {
    let name = match compression {
        NONE | FAX_RLE | FAX_3 | FAX_4 | LZW | JPEG | DEFLATE | DEFLATE_OLD | PACK_BITS | ZSTD
        | WEBP => return Ok(()),
        6 => "old-style JPEG compression",
        32766 => "NeXT compression",
        32771 => "word-aligned CCITT RLE compression",
        32809 => "ThunderScan compression",
        33003 | 33005 => "JPEG 2000 compression",
        34676 | 34677 => "LogLuv compression",
        34887 => "LERC compression",
        34892 => "lossy JPEG compression of DNG",
        34925 => "LZMA compression",
        50002 | 52546 => "JPEG XL compression",
        other => return Err(unsupported(format!("TIFF with compression {other}"))),
    };
    Err(unsupported(format!("TIFF with {name}")))
}

/// True for compressions whose samples may be stored as differences; others ignore the predictor
/// tag.
pub(super) fn has_predictor(compression: u64) -> bool {
    matches!(compression, LZW | DEFLATE | DEFLATE_OLD | ZSTD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_compressions_are_named() {
        let error = check_compression(34925).unwrap_err().to_string();
        assert_eq!(error, "not yet supported: TIFF with LZMA compression");
        assert!(check_compression(4).is_ok());
    }
}
