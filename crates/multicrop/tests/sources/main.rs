//! Tests of every kind of source, on small files that the tests write.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use multicrop::dataset::{LeftOut, OpenOptions, open_with};
use multicrop::decode::Options;
use multicrop::{Dataset, Error, open, same_classes};
use tempfile::{TempDir, tempdir};

mod binary;
mod folder;
mod list;
mod parquet;
mod tar;
mod web_dataset;

/// A 5 × 4 PNG of one color.
fn png(color: [u8; 3]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_pixel(5, 4, image::Rgb(color));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A folder with these files; each is a PNG whose color is its index in the list.
fn folder(names: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    for (i, name) in names.iter().enumerate() {
        write(root.path(), name, &png([i as u8; 3]));
    }
    root
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn open_at(root: &Path, name: &str) -> Result<std::sync::Arc<dyn Dataset>, Error> {
    open(root.join(name).to_str().unwrap())
}

fn message(result: Result<std::sync::Arc<dyn Dataset>, Error>) -> String {
    result.err().expect("the source is refused").to_string()
}

/// The first byte of each image.
fn values(dataset: &dyn Dataset) -> Vec<u8> {
    (0..dataset.len())
        .map(|i| dataset.load(i, &Options::default()).unwrap().into_8_bits().pixels()[0])
        .collect()
}

fn labels(dataset: &dyn Dataset) -> Vec<u32> {
    (0..dataset.len()).filter_map(|i| dataset.label(i)).collect()
}

/// What is left out: count, what, and the example.
fn left_out(dataset: &dyn Dataset) -> Vec<String> {
    let text = |left: &LeftOut| format!("{} {} ({})", left.count, left.what, left.example);
    dataset.left_out().iter().map(text).collect()
}

/// The label of each image.
fn label_of_each(dataset: &dyn Dataset) -> Vec<Option<u32>> {
    (0..dataset.len()).map(|i| dataset.label(i)).collect()
}

#[test]
fn what_is_no_data_set_is_refused_in_one_sentence() {
    let root = tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        write(root.path(), name, bytes);
        message(open_at(root.path(), name))
    };
    assert!(file("a.tar", b"").contains("is an empty file, but a data set is a folder"));
    assert!(file("a.bin", b"\x01\x02").contains("in an unknown format"));
    assert!(file("photo.tar", &png([1; 3])).contains("a single image"));
    assert!(file("a.parquet", b"PAR1....").contains("damaged parquet file"));
    assert!(file("a.gz", &gz(&[1; 600])[..12]).contains("damaged gzip file"));
    assert!(file("a.tar.zst", b"\x28\xB5\x2F\xFD....").contains("compressed with zstd"));
    assert!(file("a.txt", b"\xFF\xFEa\0").contains("text in UTF-16"));
    let missing = message(open("/no/such/place"));
    assert!(missing.contains("neither `shapes[:train|:test]` nor an existing"), "{missing}");
    fs::create_dir(root.path().join("empty")).unwrap();
    let error = message(open_at(root.path(), "empty"));
    assert!(error.contains("empty` holds no images (looked for JPEG"), "{error}");
    assert!(!error.contains('\n'));
}

#[test]
fn shapes_is_built_in() {
    assert_eq!(open("shapes").unwrap().len(), 10_000);
    assert_eq!(open("shapes:test").unwrap().describe(), "shapes:test");
}
