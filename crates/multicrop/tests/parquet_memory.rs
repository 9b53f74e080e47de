//! Reading parquet files takes bounded memory. A test binary of its own, because peak memory is
//! measured for the whole process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use multicrop::dataset::Sample;
use multicrop::{open, order};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Bytes of an image, images of a page (as pyarrow writes them), pages of a file.
const IMAGE: usize = 120_000;
const PAGE: usize = 1024;
const PAGES: usize = 2;

/// One row group of incompressible images.
fn write(path: &Path, seed: u32) {
    let schema = parse_message_type("message m { REQUIRED BYTE_ARRAY image; }").unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .set_write_batch_size(PAGE)
        .set_data_page_row_count_limit(PAGE)
        .set_data_page_size_limit(usize::MAX);
    let file = File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let mut state = seed;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(IMAGE + PAGE)
    .collect();
    let noise = bytes::Bytes::from(noise);
    for _ in 0..PAGES {
        let images: Vec<ByteArray> =
            (0..PAGE).map(|row| noise.slice(row..row + IMAGE).into()).collect();
        column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Peak memory of this process since the last reset.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn large_row_groups_take_little_memory_with_many_threads() {
    let root = tempfile::tempdir().unwrap();
    (0..2).for_each(|file| write(&root.path().join(format!("{file}.parquet")), file));
    // measure from here
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let data = open(root.path().to_str().unwrap()).unwrap();
    let order = order::for_dataset(data.as_ref(), 0, 0);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Sample::Encoded(bytes) = data.read(index as usize).unwrap() else {
                        panic!("pixels in a parquet file")
                    };
                    assert_eq!(bytes.len(), IMAGE);
                }
            });
        }
    });
    // a page, packed and unpacked, and the part of it that is still in memory
    let (page, peak) = ((PAGE * IMAGE) as u64 >> 20, peak_mib());
    assert!(peak < 2 * page + 150, "{peak} MiB for pages of {page} MiB");
}
