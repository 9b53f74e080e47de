//! Parquet files that pyarrow wrote (`golden/parquet.py`).

use super::*;

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet")
}

/// A folder with some of the golden files.
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
        // in an order that alternates between row groups
        for index in [6, 0, 5, 3, 1, 2] {
            let value = train.load(index, &Options::default()).unwrap().into_8_bits().pixels()[0];
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
    assert!(message(open_at(&golden(), "no-rows.parquet:test")).contains("holds no images"));
    let root = copy(&TRAIN);
    let error = message(open_at(root.path(), ":test"));
    assert!(error.contains("neither the name of a file nor a column `split`"), "{error}");
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
    // changing any byte gives an error, a bad image or another image, never a panic
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

/// Columns of a file that a test writes: its schema, and the values of each binary leaf in order.
type Leaf = Vec<Option<Vec<u8>>>;

/// Writes optional binary leaves, which may be within optional groups, and a `huggingface` entry.
fn write_table(path: &Path, schema: &str, leaves: &[Leaf], features: Option<&str>) {
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::{ByteArray, ByteArrayType};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    let schema = parse_message_type(&format!("message m {{ {schema} }}")).unwrap();
    let entry = features.map(|features| {
        let value = format!("{{\"info\": {{\"features\": {features}}}}}");
        vec![KeyValue::new("huggingface".into(), value)]
    });
    let properties = WriterProperties::builder().set_key_value_metadata(entry).build();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema.into(), properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for leaf in leaves {
        let mut column = group.next_column().unwrap().unwrap();
        // as deep as the last leaf's groups: all are optional
        let depth = |column: &::parquet::schema::types::ColumnDescriptor| column.max_def_level();
        let levels = |depth: i16| -> Vec<i16> {
            leaf.iter().map(|value| if value.is_some() { depth } else { depth - 1 }).collect()
        };
        if let ColumnWriter::Int64ColumnWriter(writer) = column.untyped() {
            let levels = levels(depth(writer.get_descriptor()));
            let values: Vec<i64> = leaf.iter().flatten().map(|value| value[0].into()).collect();
            writer.write_batch(&values, Some(&levels), None).unwrap();
        } else {
            let writer = column.typed::<ByteArrayType>();
            let levels = levels(depth(writer.get_descriptor()));
            let values = leaf.iter().flatten().cloned().map(ByteArray::from);
            let values: Vec<ByteArray> = values.collect();
            writer.write_batch(&values, Some(&levels), None).unwrap();
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn leaf<T: AsRef<[u8]>>(values: &[T]) -> Leaf {
    values.iter().map(|value| Some(value.as_ref().to_vec())).collect()
}

fn images(values: std::ops::Range<u8>) -> Leaf {
    values.map(|value| Some(png([value; 3]))).collect()
}

const IMAGE: &str = "optional group image { optional binary bytes; optional binary path (UTF8); }";

fn open_choosing(root: &Path, options: &OpenOptions) -> Result<std::sync::Arc<dyn Dataset>, Error> {
    open_with(root.join("a.parquet").to_str().unwrap(), options)
}

#[test]
fn the_column_is_chosen_whose_first_values_are_images() {
    let root = tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let riff = leaf(&[b"RIFF", b"RIFF"]);
    let hashes = leaf(&[[7_u8; 32], [9; 32]]);
    let audio = "optional group audio { optional binary bytes; } optional binary image;";
    write_table(&path, audio, &[riff, images(1..3)], None);
    assert_eq!(values(&*open_at(root.path(), "a.parquet").unwrap()), [1, 2]);
    // nulls are skipped
    let late = vec![None, Some(png([4; 3]))];
    write_table(&path, "optional binary image; optional binary jpeg_data;", &[hashes, late], None);
    let data = open_at(root.path(), "a.parquet").unwrap();
    assert_eq!(data.load(1, &Options::default()).unwrap().into_8_bits().pixels()[0], 4);
    // a usual name wins, and among these the column with Hugging Face's feature `Image`
    let two = "optional binary left; optional binary image;";
    write_table(&path, two, &[images(1..3), images(5..7)], None);
    let data = open_at(root.path(), "a.parquet").unwrap();
    assert_eq!(values(&*data), [5, 6]);
    let left_out = data.left_out()[0].to_string();
    assert!(left_out.starts_with("1 further columns of images besides `image`"), "{left_out}");
    let features = Some("{\"left\": {\"_type\": \"Image\"}}");
    write_table(&path, two, &[images(1..3), images(5..7)], features);
    assert_eq!(values(&*open_at(root.path(), "a.parquet").unwrap()), [1, 2]);
    write_table(&path, "optional binary sha;", &[leaf(&[[7; 32]])], None);
    let error = message(open_at(root.path(), "a.parquet"));
    assert!(error.contains("the first values of `sha` are not images"), "{error}");
}

#[test]
fn columns_are_chosen_by_their_names() {
    let root = tempdir().unwrap();
    let schema = "optional binary image; optional binary mask; optional binary label (UTF8); \
                  optional binary kind (UTF8); optional group many (LIST) { repeated group list { \
                  optional int32 element; } }";
    let schema = schema.split(" optional group").next().unwrap();
    let leaves = [images(1..3), images(5..7), leaf(&["a", "b"]), leaf(&["x", "x"])];
    write_table(&root.path().join("a.parquet"), schema, &leaves, None);
    let choose = |image: Option<&str>, label: Option<&str>| {
        let (image_column, label_column) = (image.map(String::from), label.map(String::from));
        let options = OpenOptions { image_column, label_column, ..OpenOptions::default() };
        open_choosing(root.path(), &options)
    };
    let data = choose(Some("mask"), Some("kind")).unwrap();
    assert_eq!((values(&*data), data.classes()), (vec![5, 6], &["x".to_owned()][..]));
    assert_eq!(choose(None, None).unwrap().classes(), ["a", "b"]);
    let error = message(choose(Some("masks"), None));
    assert!(error.contains("has no column `masks`; set `data.image_column` to"), "{error}");
    assert!(error.ends_with("`image`, `mask`, `label`, `kind`"), "{error}");
    let error = message(choose(None, Some("kinds")));
    assert!(error.contains("has no column `kinds`; set `data.label_column` to"), "{error}");
}

#[test]
fn images_without_bytes_are_read_from_their_paths() {
    let root = tempdir().unwrap();
    (0..3).for_each(|i| write(root.path(), &format!("pics/{i}.png"), &png([i; 3])));
    let absolute = root.path().join("pics/2.png").to_str().unwrap().to_owned();
    let paths = leaf(&["pics/1.png", "own.png", &absolute, "pics/9.png", "https://a.b/c.png"]);
    let bytes = vec![None, Some(png([7; 3])), None, None, None];
    write_table(&root.path().join("a.parquet"), IMAGE, &[bytes, paths], None);
    let data = open_at(root.path(), "a.parquet").unwrap();
    let load = |index| data.load(index, &Options::default());
    let pixels: Vec<_> =
        (0..3).map(|index| load(index).unwrap().into_8_bits().pixels()[0]).collect();
    assert_eq!(pixels, [1, 7, 2]);
    let missing = load(3).unwrap_err();
    assert_eq!(missing.kind(), "unreadable");
    assert!(missing.to_string().contains("pics/9.png"), "{missing}");
    let url = load(4).unwrap_err().to_string();
    assert!(url.contains("not yet supported: an image at a URL"), "{url}");
    // a plain column of text
    let names = leaf(&["pics/0.png", "pics/2.png"]);
    let schema = "optional binary caption (UTF8); optional binary file_name (UTF8);";
    let captions = leaf(&["a cat", "two dogs"]);
    write_table(&root.path().join("a.parquet"), schema, &[captions, names.clone()], None);
    assert_eq!(values(&*open_at(root.path(), "a.parquet").unwrap()), [0, 2]);
    let schema = "optional binary one (UTF8); optional binary two (UTF8);";
    write_table(&root.path().join("a.parquet"), schema, &[names.clone(), names], None);
    let error = message(open_at(root.path(), "a.parquet"));
    assert!(error.contains("in the columns `one` and `two`; choose one with"), "{error}");
}

#[test]
fn paths_that_lead_nowhere_urls_and_base64_are_refused_by_name() {
    let root = tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let refused = |text: &str| {
        write_table(&path, IMAGE, &[vec![None], leaf(&[text])], None);
        message(open_at(root.path(), "a.parquet"))
    };
    let error = refused("/no/such/0.png");
    assert!(error.contains("paths in the column `image`, but `/no/such/0.png` is not"), "{error}");
    assert!(refused("https://a.b/0.png").contains("has URLs of images in the column `image`"));
    write_table(&path, "optional binary image (UTF8);", &[leaf(&["iVBORw0KGgoAAAANSU"])], None);
    let error = message(open_at(root.path(), "a.parquet"));
    assert!(error.contains("has images as base64 text in the column `image`"), "{error}");
}

#[test]
fn class_names_in_another_order_are_matched_by_name() {
    let names =
        |names: &str| format!("{{\"label\": {{\"_type\": \"ClassLabel\", \"names\": [{names}]}}}}");
    let root = tempdir().unwrap();
    for (file, order) in [("0", "\"cat\", \"dog\""), ("1", "\"dog\", \"cat\"")] {
        let path = root.path().join(format!("{file}.parquet"));
        let schema = "optional binary image; optional binary label (DECIMAL(2, 0));";
        let leaves = [images(1..4), leaf(&[[0], [1], [0xFF]])];
        write_table(&path, schema, &leaves, Some(&names(order)));
    }
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.classes(), ["cat", "dog"]);
    let labels: Vec<_> = (0..6).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some(0), Some(1), None, Some(1), Some(0), None]);
}

#[test]
fn files_without_rows_are_counted_and_partitions_have_labels() {
    let root = tempdir().unwrap();
    for (folder, rows) in [("label=cat", 2), ("label=a%2Fb", 1), ("label=ox", 0)] {
        let path = root.path().join(folder).join("part-0.parquet");
        write_table(&path, "optional binary image;", &[images(0..rows)], None);
    }
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(
        (data.classes(), labels(&*data)),
        (&["a/b".into(), "cat".into()][..], vec![0, 1, 1])
    );
    let left_out = data.left_out()[0].to_string();
    assert!(left_out.starts_with("1 parquet files without rows"), "{left_out}");
}

#[test]
fn brotli_is_read_and_lists_and_encryption_are_refused_by_name() {
    let data = open_at(&golden(), "brotli.parquet").unwrap();
    assert_eq!((values(&*data), labels(&*data)), (vec![1, 2, 3], vec![0, 1, 0]));
    let refused = [
        ("list.parquet", "has several images in each row of the column `images`"),
        ("pixels.parquet", "has a list of values in each row of the column `image`"),
        ("encrypted-footer.parquet", "is an encrypted parquet file, which is not read"),
        ("encrypted-columns.parquet", "is an encrypted parquet file, which is not read"),
    ];
    for (name, reason) in refused {
        let error = message(open_at(&golden(), name));
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_column_of_parts_chooses_the_rows() {
    let root = tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let schema =
        "optional binary image; optional binary Split (UTF8); optional binary label (UTF8);";
    let parts = leaf(&["train", "test", "extra", "Train", "test", "validation"]);
    let classes = leaf(&["cat", "dog", "dog", "cat", "dog", "cat"]);
    write_table(&path, schema, &[images(1..7), parts, classes], None);
    let open = |part: &str| open_at(root.path(), &format!("a.parquet{part}")).unwrap();
    let train = open("");
    assert_eq!((values(&*train), labels(&*train)), (vec![1, 4], vec![0, 0]));
    assert!(train.describe().ends_with("(train part)"), "{}", train.describe());
    assert_eq!(train.shards().unwrap().ends, [2]);
    assert!(train.name(1).ends_with("row 3"), "{}", train.name(1));
    let left = train.left_out()[0].to_string();
    assert!(left.starts_with("1 images outside the parts") && left.contains("row 2"), "{left}");
    let counts: Vec<_> = train.parts().iter().map(|p| (&p.name[..], p.count, p.read)).collect();
    let expected =
        [("train", 1, true), ("test", 2, false), ("Train", 1, true), ("validation", 1, false)];
    assert_eq!(counts, expected);
    // labels of all parts agree, though no cat is in this one
    let test = open(":test");
    assert_eq!((values(&*test), labels(&*test)), (vec![2, 5], vec![1, 1]));
    assert_eq!(test.classes(), train.classes());
    assert_eq!(values(&*open(":val")), [6]);
}

#[test]
fn rows_of_several_files_belong_to_parts() {
    let root = tempdir().unwrap();
    let schema = "optional binary image; optional binary split (UTF8);";
    let table = |name: &str, first: u8, parts: &[&str]| {
        let path = root.path().join(name);
        let images = images(first..first + parts.len() as u8);
        write_table(&path, schema, &[images, leaf(parts)], None);
    };
    table("0.parquet", 1, &["test", "test"]);
    table("1.parquet", 3, &["train", "test", "train"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.shards().unwrap().ends), (vec![3, 5], vec![0, 2]));
    assert_eq!(values(&*open_at(root.path(), ":test").unwrap()), [1, 2, 4]);
    let error = message(open_at(root.path(), ":val"));
    assert!(error.ends_with("its column `split` has `test`, `train`"), "{error}");
}

#[test]
fn a_column_that_names_one_part_chooses_nothing() {
    let root = tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let schema = "optional binary image; optional binary split (UTF8);";
    write_table(&path, schema, &[images(1..3), leaf(&["train", "other"])], None);
    let data = open_at(root.path(), "a.parquet").unwrap();
    assert_eq!((values(&*data), data.parts().len()), (vec![1, 2], 0));
    let error = message(open_at(root.path(), "a.parquet:test"));
    assert!(error.ends_with("its column `split` has `train`"), "{error}");
    assert_eq!(values(&*open_at(root.path(), "a.parquet:train").unwrap()), [1]);
}

#[test]
fn arrow_lance_and_json_are_refused_by_name() {
    let root = tempdir().unwrap();
    write(root.path(), "saved/state.json", b"{\"a\": 1}");
    write(root.path(), "saved/data-00000-of-00001.arrow", b"\xFF\xFF\xFF\xFF\x78\x01\x00\x00");
    write(root.path(), "both/train/data.arrow", b"\xFF\xFF\xFF\xFF\x78\x01\x00\x00");
    write(root.path(), "a.feather", b"ARROW1\0\0");
    for source in ["saved", "both", "saved/data-00000-of-00001.arrow", "a.feather"] {
        let error = message(open_at(root.path(), source));
        assert!(error.contains("is an Arrow or Feather file, which is not read"), "{error}");
    }
    write(root.path(), "x.lance/_versions/1.manifest", b"x");
    assert!(message(open_at(root.path(), "x.lance")).contains("is a Lance data set"));
    write(root.path(), "a.jsonl", b"{\"image\": \"a.png\"}\n");
    assert!(message(open_at(root.path(), "a.jsonl")).contains("is a JSON file"));
}

#[test]
fn rows_belong_to_the_part_that_their_column_names_rather_than_the_file() {
    let root = tempdir().unwrap();
    let path = root.path().join("train-0.parquet");
    let schema = "optional binary image; optional binary split (UTF8);";
    write_table(&path, schema, &[images(1..4), leaf(&["train", "test", "train"])], None);
    for source in ["", ":train", "train-0.parquet"] {
        let data = open_at(root.path(), source).unwrap();
        assert_eq!(values(&*data), [1, 3], "{source}");
        assert_eq!(data.describe().matches("train part").count(), 1, "{}", data.describe());
    }
    assert_eq!(values(&*open_at(root.path(), ":test").unwrap()), [2]);
}

#[test]
fn class_labels_of_hugging_face_name_parts() {
    let root = tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let schema = "optional binary image; optional int64 split; optional binary label (UTF8);";
    let split = vec![Some(vec![1]), Some(vec![0]), None, Some(vec![1]), Some(vec![7])];
    let labels = leaf(&["cat", "dog", "cat", "dog", "cat"]);
    let features = r#"{"split": {"_type": "ClassLabel", "names": ["test", "train"]}}"#;
    write_table(&path, schema, &[images(1..6), split, labels], Some(features));
    let data = open_at(root.path(), "a.parquet").unwrap();
    assert_eq!((values(&*data), labels_of_text(&*data)), (vec![1, 4], "cat dog".to_owned()));
    assert_eq!(values(&*open_at(root.path(), "a.parquet:test").unwrap()), [2]);
    assert!(data.left_out()[0].to_string().starts_with("2 images outside the parts"));
}

/// The class of each image.
fn labels_of_text(data: &dyn Dataset) -> String {
    (0..data.len()).filter_map(|index| data.class(index)).collect::<Vec<_>>().join(" ")
}
