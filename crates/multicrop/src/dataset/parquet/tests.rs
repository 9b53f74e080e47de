//! Memory limits. Tests of the kinds of files that people have are in `tests/sources`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ::bytes::Bytes as PageBytes;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::data_type::{ByteArray, ByteArrayType};
use ::parquet::errors::Result as PageResult;
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use tempfile::NamedTempFile;

use super::map_pages::MapPages;
use super::pages::PageCheck;
use super::*;
use crate::dataset::bytes::Bytes;

/// The bytes of a row, all equal. They are not a real image, which does not matter here.
fn image(row: usize, len: usize) -> Vec<u8> {
    vec![row as u8; len]
}

fn images(rows: usize, len: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..rows).map(move |row| image(row, len))
}

/// A file with one row group of these images, `rows_in_page` of them in each page.
fn file(
    images: impl Iterator<Item = Vec<u8>>,
    rows_in_page: usize,
    more: impl FnOnce(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
) -> NamedTempFile {
    let schema = parse_message_type("message m { REQUIRED BYTE_ARRAY image; }").unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .set_write_batch_size(rows_in_page)
        .set_data_page_row_count_limit(rows_in_page)
        .set_data_page_size_limit(usize::MAX);
    let file = NamedTempFile::new().unwrap();
    let properties = Arc::new(more(properties).build());
    let mut writer =
        SerializedFileWriter::new(file.reopen().unwrap(), Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = images.map(ByteArray::from).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

fn open(file: &NamedTempFile) -> Parquet {
    Parquet::open(&ShardFiles::one(file.path()), &OpenOptions::default()).unwrap().0
}

/// Rows of each block.
fn rows(data: &Parquet) -> Vec<usize> {
    data.blocks.iter().map(|block| block.rows).collect()
}

#[test]
fn a_large_row_group_is_read_in_pieces_that_end_where_pages_end() {
    // pages of 20 MiB
    let file = file(images(55, 2 << 20), 10, |properties| properties);
    let data = open(&file);
    assert_eq!(rows(&data), [20, 20, 15]);
    for index in [54, 0, 19, 20, 39, 40] {
        assert!(data.read(index).unwrap() == Sample::Encoded(image(index, 2 << 20).into()));
    }
}

#[test]
fn a_page_that_is_larger_than_a_piece_is_unpacked_once_to_a_temporary_file() {
    let file = file(images(60, 2 << 20), 40, |properties| properties);
    let data = open(&file);
    assert_eq!(rows(&data), [40, 20]);
    let images = data.load_block(0).unwrap();
    let in_a_file = |images: &Images| matches!(images.bytes, Bytes::File { .. });
    assert!(in_a_file(&images) && !in_a_file(&data.load_block(1).unwrap()));
    let StoredImage::Bytes(bytes) = images.get(39).unwrap() else { panic!("a path") };
    assert!(bytes == image(39, 2 << 20));
}

#[test]
fn packed_lengths_are_read() {
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        for len in [1, 300] {
            let file = file(images(300, len), 130, |properties| properties.set_encoding(encoding));
            let data = open(&file);
            for index in 0..300 {
                let read = data.read(index).unwrap();
                assert!(read == Sample::Encoded(image(index, len).into()), "{encoding} {index}");
            }
        }
    }
}

#[test]
fn an_image_that_a_dictionary_repeats_counts_against_the_limit() {
    let same = (0..100).map(|_| image(7, 4096));
    let file = file(same, 100, |properties| properties.set_dictionary_enabled(true));
    assert!(file.as_file().metadata().unwrap().len() < 4096);
    let data = open(&file);
    let (table, column) = &data.files[0];
    let read = |limit| Images::read(table, column, &data.blocks[0], limit).err();
    assert!(read(409_600).is_none());
    let error = read(409_599).unwrap().to_string();
    assert!(error.contains("100 images of more than 409599 bytes"), "{error}");
}

/// A page reader with one page.
struct OnePage(Option<Page>);

impl Iterator for OnePage {
    type Item = PageResult<Page>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageReader for OnePage {
    fn get_next_page(&mut self) -> PageResult<Option<Page>> {
        Ok(self.0.take())
    }
    fn peek_next_page(&mut self) -> PageResult<Option<PageMetadata>> {
        Ok(None)
    }
    fn skip_next_page(&mut self) -> PageResult<()> {
        Ok(())
    }
}

/// `parquet` allocates for all values that a page declares.
#[test]
fn pages_that_declare_more_values_than_they_hold_are_refused() {
    let passes = |page: Page| {
        let map = PageCheck { rows: 1000, has_levels: false };
        MapPages { pages: OnePage(Some(page)), map }.get_next_page().is_ok()
    };
    let dictionary = |num_values| Page::DictionaryPage {
        buf: PageBytes::new(),
        num_values,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    assert!(passes(dictionary(1000)) && !passes(dictionary(u32::MAX)));
    let data = |num_values, encoding, bytes: &'static [u8]| Page::DataPage {
        buf: PageBytes::from_static(bytes),
        num_values,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    assert!(passes(data(1000, Encoding::PLAIN, b"")));
    assert!(!passes(data(1001, Encoding::PLAIN, b"")));
    // blocks of 128 numbers in 4 parts; a list of one number, one of 2^35
    let lengths: [&[u8]; 2] =
        [b"\x80\x01\x04\x01\x00", b"\x80\x01\x04\x80\x80\x80\x80\x80\x01\x00"];
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        assert!(!passes(data(1000, encoding, lengths[1])));
    }
    assert!(passes(data(1000, Encoding::DELTA_LENGTH_BYTE_ARRAY, lengths[0])));
    // the second list
    let both: [&[u8]; 2] = [
        b"\x80\x01\x04\x01\x00\x80\x01\x04\x01\x00",
        b"\x80\x01\x04\x01\x00\x80\x01\x04\x80\x80\x80\x80\x80\x01\x00",
    ];
    assert!(passes(data(1000, Encoding::DELTA_BYTE_ARRAY, both[0])));
    assert!(!passes(data(1000, Encoding::DELTA_BYTE_ARRAY, both[1])));
}

#[test]
fn blocks_are_read_at_the_same_time_only_if_they_are_small() {
    let limit = ReadLimit::default();
    let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = |bytes: u64| {
        for _ in 0..50 {
            let _permit = limit.acquire(bytes);
            most.fetch_max(now.fetch_add(bytes.min(BLOCK), Ordering::SeqCst), Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(bytes.min(BLOCK), Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        for bytes in [1, BLOCK / 3, BLOCK / 2, BLOCK, 10 * BLOCK] {
            scope.spawn(move || work(bytes));
        }
    });
    assert!(most.into_inner() <= BLOCK);
}
