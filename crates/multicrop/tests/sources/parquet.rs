//! Parquet files that pyarrow wrote (`golden/parquet.py`).

use super::*;

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet")
}

/// A folder with these of the golden files.
fn copy(names: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    for name in names {
        write(
            root.path(),
            name,
            &fs::read(golden().join(Path::new(name).file_name().unwrap())).unwrap(),
        );
    }
    root
}

const TRAIN: [&str; 2] = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"];
const TEST: &str = "data/test-00000-of-00001.parquet";

#[test]
fn hugging_face_data_sets_are_read_with_parts_and_class_names() {
    let root = copy(&[TRAIN[0], TRAIN[1], TEST]);
    write(root.path(), "README.md", b"---\n");
    for folder in ["", "data"] {
        let train = open_at(root.path(), folder).unwrap();
        assert_eq!(train.classes(), ["cat", "dog", "owl"]);
        assert_eq!((train.len(), labels(&*train)), (7, vec![2, 0, 2, 1, 1, 0, 0]));
        // in an order that goes back and forth between the row groups
        for index in [6, 0, 5, 3, 1, 2] {
            let value = train.load(index, &Options::default()).unwrap().pixels()[0];
            assert_eq!(usize::from(value), index + 1, "a value is one more than its index");
        }
        let null = train.load(4, &Options::default()).unwrap_err();
        assert_eq!(null.kind(), "empty");
        assert!(
            train.name(6).ends_with("train-00001-of-00002.parquet, row 1"),
            "{}",
            train.name(6)
        );
        let test = open_at(root.path(), &format!("{folder}:test")).unwrap();
        assert_eq!((values(&*test), test.classes().len()), (vec![8], 0), "-1 means no label");
    }
    let pattern = open_at(root.path(), "data/train-0000{0..1}-of-00002.parquet").unwrap();
    assert_eq!(pattern.len(), 7);
    let one = open_at(root.path(), TRAIN[1]).unwrap();
    assert_eq!((values(&*one), labels(&*one)), (vec![6, 7], vec![0, 0]));
}

#[test]
fn plain_binary_columns_and_labels_of_text_are_read() {
    for name in ["plain-gzip.parquet", "plain-lz4.parquet", "plain-delta.parquet"] {
        let data = open_at(&golden(), name).unwrap();
        assert_eq!((values(&*data), labels(&*data)), (vec![1, 2, 3], vec![0, 1, 0]));
        assert_eq!(data.classes(), ["cat", "owl"]);
    }
}

#[test]
fn parquet_files_without_images_are_refused_in_one_sentence() {
    let error = message(open_at(&golden(), "no-image.parquet"));
    assert!(
        error.contains("no-image.parquet` has no image column (found `x`, `text`, `many"),
        "{error}"
    );
    assert!(error.contains("struct<bytes: binary, path: string>"), "{error}");
    assert!(message(open_at(&golden(), "no-rows.parquet")).contains("holds no images"));
    assert!(message(open_at(&golden(), "no-rows.parquet:test")).contains("without parts"));
    let root = copy(&TRAIN);
    let error = message(open_at(root.path(), ":test"));
    assert!(error.contains("no file in it has `test` in its name"), "{error}");
}

#[test]
fn damaged_parquet_files_are_refused_or_have_bad_images() {
    let whole = fs::read(golden().join("plain-gzip.parquet")).unwrap();
    let root = tempdir().unwrap();
    for len in [4, 100, whole.len() - 1] {
        write(root.path(), "cut.parquet", &whole[..len]);
        let error = message(open_at(root.path(), "cut.parquet"));
        assert!(error.contains("is a damaged parquet file"), "{error}");
    }
    // each byte once: an error, a bad image or another image, and never a panic
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        write(root.path(), "bad.parquet", &bytes);
        if let Ok(data) = open_at(root.path(), "bad.parquet") {
            (0..data.len()).for_each(|index| drop(data.load(index, &Options::default())));
        }
    }
}

#[test]
fn a_parquet_file_that_vanishes_has_bad_images() {
    let root = copy(&["plain-lz4.parquet"]);
    let data = open_at(root.path(), "plain-lz4.parquet").unwrap();
    fs::remove_file(root.path().join("plain-lz4.parquet")).unwrap();
    assert_eq!(data.load(0, &Options::default()).unwrap_err().kind(), "unreadable");
}
