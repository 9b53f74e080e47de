//! Every kind of source, from small files that the tests write.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use multicrop::decode::Options;
use multicrop::{Dataset, Error, open, same_classes};
use tempfile::{TempDir, tempdir};

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

/// A folder with these files; each is a PNG whose color is its place in the list.
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
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
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
    (0..dataset.len()).map(|i| dataset.load(i, &Options::default()).unwrap().pixels()[0]).collect()
}

fn labels(dataset: &dyn Dataset) -> Vec<u32> {
    (0..dataset.len()).filter_map(|i| dataset.label(i)).collect()
}

#[test]
fn a_folder_is_sorted_and_its_first_folders_are_the_labels() {
    let root = folder(&["dog/b.png", "cat/deep/a.png", "dog/a.png"]);
    write(root.path(), "notes.txt", b"no image");
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.classes(), ["cat", "dog"]);
    assert_eq!((labels(&*data), values(&*data)), (vec![0, 1, 1], vec![1, 2, 0]));
    assert!(data.name(1).ends_with("dog/a.png"), "{}", data.name(1));
}

#[test]
fn an_image_in_the_root_means_no_labels_and_needs_no_extension() {
    let root = folder(&["dog/b.png", "photo", ".hidden.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert!(data.classes().is_empty() && data.label(0).is_none());
    assert_eq!(values(&*data), [0, 1]);
}

#[test]
fn parts_of_a_folder_are_chosen_by_suffix() {
    let root = folder(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/c/4.png"]);
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    // `folder/` and `:test` make `folder/:test`
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), values(&*test)), (vec![0, 1], vec![2, 3]));
    let error = same_classes(&*train, &*test).unwrap_err().to_string();
    assert!(error.contains("`b` here is `c` there"), "{error}");
    assert!(same_classes(&*train, &*train).is_ok());
    let plain = folder(&["a/1.png"]);
    let error = message(open_at(plain.path(), ":test"));
    assert!(error.contains("no folder `test` or `val`"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_in_a_loop_end() {
    let root = folder(&["a/1.png", "b/2.png"]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("b/lost.png")).unwrap();
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.len(), 3);
    assert!(data.load(2, &Options::default()).is_err(), "a link to nothing is a bad image");
}

#[test]
fn what_is_no_data_set_is_refused_in_one_sentence() {
    let root = tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        write(root.path(), name, bytes);
        message(open_at(root.path(), name))
    };
    assert!(file("a.tar", b"").contains("is an empty file, but a data set is a folder"));
    assert!(file("a.bin", b"some text").contains("in no format that is known"));
    assert!(file("photo.tar", &png([1; 3])).contains("a single image"));
    assert!(file("a.parquet", b"PAR1....").contains("parquet"));
    assert!(file("a.gz", &gz(&[1; 600])[..12]).contains("damaged gzip file"));
    let missing = message(open("/no/such/place"));
    assert!(missing.contains("neither `shapes[:train|:test]` nor an existing"), "{missing}");
    fs::create_dir(root.path().join("empty")).unwrap();
    let error = message(open_at(root.path(), "empty"));
    assert!(error.contains("empty` holds no images (looked for JPEG"), "{error}");
    assert!(!error.contains('\n'));
}

#[test]
fn cifar_batches_come_back_with_the_names_beside_them() {
    let record = |label: u8, red: u8| [&[label][..], &[red; 1024], &[7; 1024], &[9; 1024]].concat();
    let root = tempdir().unwrap();
    let names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    write(root.path(), "batches.meta.txt", names.as_bytes());
    write(root.path(), "data_batch_1.bin", &[record(3, 1), record(0, 2)].concat());
    write(root.path(), "data_batch_2.bin", &record(9, 4));
    write(root.path(), "test_batch.bin", &record(5, 8));
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), labels(&*train)), (vec![1, 2, 4], vec![3, 0, 9]));
    assert_eq!((values(&*test), labels(&*test)), (vec![8], vec![5]));
    assert_eq!(train.load(2, &Options::default()).unwrap().pixels()[..6], [4, 7, 9, 4, 7, 9]);
    assert_eq!(train.classes()[3], "d");
    assert!(train.name(2).ends_with("data_batch_2.bin, image 0"), "{}", train.name(2));
    let one = open_at(root.path(), "data_batch_1.bin").unwrap();
    assert_eq!(values(&*one), [1, 2]);
    write(root.path(), "data_batch_2.bin", &record(9, 4)[1..]);
    let error = message(open_at(root.path(), ""));
    assert!(error.contains("data_batch_2.bin` holds no whole number"), "{error}");
}

#[test]
fn cifar_100_has_the_fine_labels() {
    let root = tempdir().unwrap();
    let record = [&[2, 77][..], &[5; 3072]].concat();
    write(root.path(), "train.bin", &record.repeat(2));
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((labels(&*data), data.classes().len()), (vec![77, 77], 100));
    assert_eq!(values(&*data), [5, 5]);
    assert!(message(open_at(root.path(), ":test")).contains("has no part `:test`"));
}

/// Images of 3 × 2 pixels with these values.
fn idx_images(values: &[u8]) -> Vec<u8> {
    let head = [0, 0, 8, 3, 0, 0, 0, values.len() as u8, 0, 0, 0, 2, 0, 0, 0, 3];
    head.into_iter().chain(values.iter().flat_map(|&value| [value; 6])).collect()
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

#[test]
fn idx_files_are_read_plain_and_gzipped() {
    let root = tempdir().unwrap();
    write(root.path(), "train-images-idx3-ubyte.gz", &gz(&idx_images(&[10, 20, 30])));
    write(root.path(), "train-labels-idx1-ubyte.gz", &gz(&idx_labels(&[2, 0, 1])));
    write(root.path(), "t10k-images-idx3-ubyte", &idx_images(&[40]));
    write(root.path(), "t10k-labels-idx1-ubyte", &idx_labels(&[2]));
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), labels(&*train)), (vec![10, 20, 30], vec![2, 0, 1]));
    assert_eq!((values(&*test), labels(&*test)), (vec![40], vec![2]));
    assert_eq!(
        (
            train.load(0, &Options::default()).unwrap().width(),
            train.load(0, &Options::default()).unwrap().height()
        ),
        (3, 2)
    );
    assert!(same_classes(&*train, &*test).is_ok());
    let file = open_at(root.path(), "t10k-images-idx3-ubyte").unwrap();
    assert_eq!(labels(&*file), [2]);
    let error = message(open_at(root.path(), "t10k-labels-idx1-ubyte"));
    assert!(error.contains("an IDX file of labels"), "{error}");
}

#[test]
fn idx_files_that_contradict_themselves_are_refused() {
    let root = tempdir().unwrap();
    let bytes = idx_images(&[1, 2]);
    write(root.path(), "x-images-idx3", &bytes[..bytes.len() - 1]);
    let error = message(open_at(root.path(), "x-images-idx3"));
    assert!(error.contains("has 11 bytes behind its header, but [2, 2, 3] needs 12"), "{error}");
    write(root.path(), "x-images-idx3", &bytes);
    write(root.path(), "x-labels-idx1", &idx_labels(&[1]));
    let error = message(open_at(root.path(), "x-images-idx3"));
    assert!(error.contains("has 1 labels, but there are 2 images"), "{error}");
}

#[test]
fn tar_archives_are_read_plain_and_gzipped() {
    let files = [
        ("./data/dog/1.png", png([1; 3])),
        ("./data/cat/2.png", png([2; 3])),
        ("./data/cat/._2.png", b"from a Mac".to_vec()),
        ("./data/readme", b"no image".to_vec()),
    ];
    let root = tempdir().unwrap();
    write(root.path(), "plain", &tar(&files));
    write(root.path(), "packed", &gz(&tar(&files)));
    for name in ["plain", "packed"] {
        let data = open_at(root.path(), name).unwrap();
        assert_eq!(data.classes(), ["cat", "dog"]);
        assert_eq!((values(&*data), labels(&*data)), (vec![2, 1], vec![0, 1]));
        assert!(data.name(0).ends_with(": cat/2.png"), "{}", data.name(0));
    }
    let whole = tar(&files);
    // inside of the first image, and inside of the second header
    for len in [580, 1300] {
        write(root.path(), "cut", &whole[..len]);
        assert!(message(open_at(root.path(), "cut")).contains("copy"), "cut at {len}");
    }
    write(root.path(), "text", &tar(&[("a.txt", b"text".to_vec())]));
    assert!(message(open_at(root.path(), "text")).contains("holds no images"));
}

#[test]
fn tar_archives_have_parts_and_web_dataset_labels() {
    let root = tempdir().unwrap();
    let parts = [("train/a/1.png", png([1; 3])), ("test/a/2.png", png([2; 3]))];
    write(root.path(), "parts.tar", &tar(&parts));
    assert_eq!(values(&*open_at(root.path(), "parts.tar").unwrap()), [1]);
    assert_eq!(values(&*open_at(root.path(), "parts.tar:test").unwrap()), [2]);
    let keyed = |class: &str| {
        tar(&[
            ("x/0001.png", png([1; 3])),
            ("x/0001.cls", class.into()),
            ("x/0002.seg.png", png([2; 3])),
            ("x/0002.cls", b"0".to_vec()),
        ])
    };
    write(root.path(), "keyed.tar", &keyed("2\n"));
    let data = open_at(root.path(), "keyed.tar").unwrap();
    assert_eq!((labels(&*data), data.classes().len()), (vec![2, 0], 3));
    write(root.path(), "keyed.tar", &keyed("dog"));
    let error = message(open_at(root.path(), "keyed.tar"));
    assert!(error.contains("has no class number"), "{error}");
}

#[test]
fn shapes_is_built_in() {
    assert_eq!(open("shapes").unwrap().len(), 10_000);
    assert_eq!(open("shapes:test").unwrap().describe(), "shapes:test");
}
