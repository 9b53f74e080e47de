//! Unpacks gzip and brotli pages with a limit, because `parquet` 60 has none.
//!
//! For snappy, LZ4 and zstd, `parquet` unpacks no more than the size that a page declares. For gzip
//! and brotli it unpacks everything, and a page of a few kilobytes can hold terabytes.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::map_pages::{MapPages, PageMap};
use super::pages::MAX_PAGE;

/// Buffer size of the brotli decoder.
const BROTLI_BUFFER: usize = 1 << 16;

/// The codecs that this module unpacks.
#[derive(Debug, Clone, Copy)]
enum Codec {
    Gzip,
    Brotli,
}

/// Unpacks gzip and brotli pages; returns other pages unchanged.
pub(super) struct PageUnpacker {
    codec: Option<Codec>,
    /// Capacity for an unpacked page: the declared size of the column.
    expected: usize,
}

/// The unpacked pages of a column. `read` opens its page reader. For gzip and brotli the column is
/// marked as uncompressed first, so that the reader returns packed pages.
pub(super) fn column_pages<P>(
    column: &ColumnChunkMetaData,
    read: impl FnOnce(&ColumnChunkMetaData) -> Result<P>,
) -> Result<MapPages<P, PageUnpacker>> {
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
    Ok(MapPages { pages, map: PageUnpacker { codec, expected } })
}

impl PageMap for PageUnpacker {
    fn map_page(&self, mut page: Page) -> Result<Page> {
        let Some(codec) = self.codec else { return Ok(page) };
        // levels are never packed in version 2
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
            // untouched capacity takes no physical memory
            let mut out = Vec::with_capacity(levels.len() + self.expected);
            out.extend_from_slice(levels);
            unpack(codec, packed, MAX_PAGE, &mut out)?;
            *buf = out.into();
        }
        Ok(page)
    }
}

/// Unpacks at most `limit` bytes of `packed` and appends them to `out`.
fn unpack(codec: Codec, packed: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<()> {
    let before = out.len();
    match codec {
        Codec::Gzip => MultiGzDecoder::new(packed).take(limit + 1).read_to_end(out),
        Codec::Brotli => brotli_decompressor::Decompressor::new(packed, BROTLI_BUFFER)
            .take(limit + 1)
            .read_to_end(out),
    }?;
    if (out.len() - before) as u64 > limit {
        return Err(ParquetError::General(format!("a page unpacks to more than {limit} bytes")));
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
