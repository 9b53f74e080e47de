//! Pages that are unpacked here, because `parquet` 60 unpacks them without a limit.
//!
//! Of snappy, LZ4 and zstd no more than a page announces is unpacked. Gzip and brotli go on to the end,
//! and a page of a few kilobytes can hold terabytes.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::each_page::{EachPage, OnPage};
use super::pages::MAX_PAGE;

/// Bytes of brotli data that are looked at together.
const BROTLI_BUFFER: usize = 1 << 16;

/// The codecs of which this module unpacks the pages.
#[derive(Debug, Clone, Copy)]
enum Codec {
    Gzip,
    Brotli,
}

/// Unpacks pages.
pub(super) struct Unpack {
    codec: Option<Codec>,
    /// Bytes that a page unpacks to at most, if its column is as large as it says.
    expected: usize,
}

/// What `parquet` reads the pages of, and what unpacks them if it does not.
pub(super) fn of_column<P>(
    column: &ColumnChunkMetaData,
    read: impl FnOnce(&ColumnChunkMetaData) -> Result<P>,
) -> Result<EachPage<P, Unpack>> {
    let codec = match column.compression() {
        Compression::GZIP(_) => Some(Codec::Gzip),
        Compression::BROTLI(_) => Some(Codec::Brotli),
        _ => None,
    };
    let expected = u64::try_from(column.uncompressed_size()).unwrap_or(0).min(MAX_PAGE) as usize;
    let pages = if codec.is_some() {
        let builder = column.clone().into_builder();
        read(&builder.set_compression(Compression::UNCOMPRESSED).build()?)?
    } else {
        read(column)?
    };
    Ok(EachPage { pages, each: Unpack { codec, expected } })
}

impl OnPage for Unpack {
    fn on_page(&self, mut page: Page) -> Result<Page> {
        let Some(codec) = self.codec else { return Ok(page) };
        // levels of the second version are never packed
        let plain = match &page {
            Page::DataPageV2 { is_compressed: false, .. } => return Ok(page),
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
            }
            _ => 0,
        };
        let (Page::DataPage { buf, .. }
        | Page::DataPageV2 { buf, .. }
        | Page::DictionaryPage { buf, .. }) = &mut page;
        let levels = usize::try_from(plain).ok().and_then(|plain| buf.split_at_checked(plain));
        let (levels, packed) =
            levels.ok_or_else(|| ParquetError::EOF("a page is shorter than its levels".into()))?;
        // a page of nulls has no values
        if !packed.is_empty() {
            // what is not touched of it takes no memory
            let mut out = Vec::with_capacity(levels.len() + self.expected);
            out.extend_from_slice(levels);
            unpack(codec, packed, MAX_PAGE, &mut out)?;
            *buf = out.into();
        }
        Ok(page)
    }
}

/// Appends to `out` what `packed` unpacks to, at most `most` bytes.
fn unpack(codec: Codec, packed: &[u8], most: u64, out: &mut Vec<u8>) -> Result<()> {
    let before = out.len();
    match codec {
        Codec::Gzip => MultiGzDecoder::new(packed).take(most + 1).read_to_end(out),
        Codec::Brotli => brotli_decompressor::Decompressor::new(packed, BROTLI_BUFFER)
            .take(most + 1)
            .read_to_end(out),
    }?;
    if (out.len() - before) as u64 > most {
        return Err(ParquetError::General(format!("a page unpacks to more than {most} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_unpacks_to_no_more_than_is_allowed() {
        use std::io::Write;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; 1 << 20]).expect("written");
        let packed = packer.finish().expect("packed");
        assert!(packed.len() < 2000);
        let mut out = b"levels".to_vec();
        unpack(Codec::Gzip, &packed, 1 << 20, &mut out).expect("unpacked");
        assert_eq!((out.len(), &out[..6]), ((1 << 20) + 6, &b"levels"[..]));
        let error = unpack(Codec::Gzip, &packed, (1 << 20) - 1, &mut out).unwrap_err();
        assert!(error.to_string().contains("more than 1048575 bytes"), "{error}");
    }
}
