//! Writes small sources of every kind. The classes of the images differ in color.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, RgbImage};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Training images: a little more than one batch of the default preset.
pub const TRAIN_IMAGES: usize = 72;
/// Test images, in sources with parts.
pub const TEST_IMAGES: usize = 24;

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Folder,
    List,
    Tar,
    TarGz,
    WebDataset,
    Parquet,
    Cifar,
    Idx,
}

/// The labels and parts of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    Classes,
    None,
    /// Classes, and a part for training and one for testing.
    Parts,
}

/// A source on disk.
pub struct Source {
    /// Path relative to the folder that it was written to.
    pub path: String,
    pub kind: Kind,
    pub labels: Labels,
    /// Number of classes.
    pub classes: usize,
}

/// Writes a source below `home`.
pub fn write(home: &Path, kind: Kind, labels: Labels) -> Source {
    let path = match kind {
        Kind::Folder => folder(home, labels),
        Kind::List => list(home, labels),
        Kind::Tar => tar(home, labels),
        Kind::TarGz => tar_gz(home, labels),
        Kind::WebDataset => webdataset(home, labels),
        Kind::Parquet => parquet(home, labels),
        Kind::Cifar => cifar(home, labels),
        Kind::Idx => idx(home, labels),
    };
    let classes = match (labels, kind) {
        (Labels::None, _) => 0,
        (_, Kind::Cifar) => 10,
        _ => 2,
    };
    Source { path: path.to_owned(), kind, labels, classes }
}

/// An image: its number and its class, 0 or 1.
struct Photo {
    number: usize,
    class: usize,
}

impl Photo {
    /// `count` images whose classes alternate.
    fn some(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(|number| Self { number, class: number % 2 })
    }

    fn class_name(&self) -> &'static str {
        ["cat", "dog"][self.class]
    }

    /// Stripes, reddish for one class and bluish for the other.
    fn pixels(&self, width: u32, height: u32) -> RgbImage {
        let (number, class) = (self.number as u32, self.class);
        RgbImage::from_fn(width, height, |x, y| {
            let stripe = (40 + (x * (3 + number % 5) + y * (number % 7)) % 90) as u8;
            let bright = 150 + (number * 13 % 80) as u8;
            image::Rgb(if class == 0 { [bright, stripe, 30] } else { [30, stripe, bright] })
        })
    }

    /// A JPEG or PNG file. Sizes vary with the number.
    fn encoded(&self) -> Vec<u8> {
        let (width, height) = (36 + self.number as u32 % 11, 33 + self.number as u32 % 7);
        let format =
            if self.number.is_multiple_of(5) { ImageFormat::Png } else { ImageFormat::Jpeg };
        let mut bytes = Cursor::new(Vec::new());
        self.pixels(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn file_name(&self) -> String {
        let extension = if self.number.is_multiple_of(5) { "png" } else { "jpg" };
        format!("{:03}.{extension}", self.number)
    }
}

/// Paths and bytes of all files of a tree of images.
fn tree(labels: Labels) -> Vec<(String, Vec<u8>)> {
    let part = |prefix: &'static str, count| {
        Photo::some(count).map(move |photo| {
            let class = match labels {
                Labels::None => String::new(),
                Labels::Classes | Labels::Parts => format!("{}/", photo.class_name()),
            };
            (format!("{prefix}{class}{}", photo.file_name()), photo.encoded())
        })
    };
    match labels {
        Labels::Parts => part("train/", TRAIN_IMAGES).chain(part("val/", TEST_IMAGES)).collect(),
        Labels::Classes | Labels::None => part("", TRAIN_IMAGES).collect(),
    }
}

fn folder(home: &Path, labels: Labels) -> &'static str {
    for (name, bytes) in tree(labels) {
        put(&home.join("photos").join(name), &bytes);
    }
    "photos"
}

fn list(home: &Path, labels: Labels) -> &'static str {
    folder(home, Labels::None);
    let (name, head) = match labels {
        Labels::None => ("photos.txt", ""),
        Labels::Classes => ("photos.csv", "path,label\n"),
        Labels::Parts => ("photos.csv", "path,label,split\n"),
    };
    let mut text = head.to_owned();
    let mut add = |photo: Photo, part: &str| {
        let (name, class) = (photo.file_name(), photo.class_name());
        text += &match labels {
            Labels::None => format!("photos/{name}\n"),
            Labels::Classes => format!("photos/{name},{class}\n"),
            Labels::Parts => format!("photos/{name},{class},{part}\n"),
        };
    };
    Photo::some(TRAIN_IMAGES).for_each(|photo| add(photo, "train"));
    if labels == Labels::Parts {
        Photo::some(TEST_IMAGES).for_each(|photo| add(photo, "test"));
    }
    put(&home.join(name), text.as_bytes());
    name
}

fn tar(home: &Path, labels: Labels) -> &'static str {
    put(&home.join("photos.tar"), &archive(&tree(labels)));
    "photos.tar"
}

fn tar_gz(home: &Path, labels: Labels) -> &'static str {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&archive(&tree(labels))).unwrap();
    put(&home.join("photos.tar.gz"), &packer.finish().unwrap());
    "photos.tar.gz"
}

/// Two shards of training images, and one of test images if the source has parts.
fn webdataset(home: &Path, labels: Labels) -> &'static str {
    let shard = |name: &str, photos: &mut dyn Iterator<Item = Photo>| {
        let mut files = Vec::new();
        for photo in photos {
            let name = photo.file_name();
            let key = name.split('.').next().unwrap().to_owned();
            files.push((name, photo.encoded()));
            if labels != Labels::None {
                files.push((format!("{key}.cls"), photo.class.to_string().into_bytes()));
            }
        }
        put(&home.join("shards").join(name), &archive(&files));
    };
    let half = TRAIN_IMAGES / 2;
    shard("train-000.tar", &mut Photo::some(half));
    shard("train-001.tar", &mut Photo::some(TRAIN_IMAGES).skip(half));
    if labels == Labels::Parts {
        shard("val-000.tar", &mut Photo::some(TEST_IMAGES));
    }
    "shards"
}

fn parquet(home: &Path, labels: Labels) -> &'static str {
    let file = |name: &str, count| {
        let path = home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_parquet(&path, &Photo::some(count).collect::<Vec<_>>(), labels != Labels::None);
    };
    if labels != Labels::Parts {
        file("photos.parquet", TRAIN_IMAGES);
        return "photos.parquet";
    }
    file("data/train-00000-of-00001.parquet", TRAIN_IMAGES);
    file("data/test-00000-of-00001.parquet", TEST_IMAGES);
    "data"
}

fn write_parquet(path: &Path, photos: &[Photo], labelled: bool) {
    let label = if labelled { "required int64 label;" } else { "" };
    let schema = format!("message photos {{ required binary image; {label} }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<_> = photos.iter().map(|photo| ByteArray::from(photo.encoded())).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    column.close().unwrap();
    if labelled {
        let classes: Vec<_> = photos.iter().map(|photo| photo.class as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&classes, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// Writes sources with two kinds of images (40 and 20 pixels wide) or two columns of labels.
pub fn write_choices(home: &Path) {
    let png = |photo: &Photo, side| {
        let mut bytes = Cursor::new(Vec::new());
        photo.pixels(side, side).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let photos: Vec<_> = Photo::some(12).collect();
    let (mut files, mut list) = (Vec::new(), "path,label,kind\n".to_owned());
    for photo in &photos {
        let (number, image) = (photo.number, png(photo, 40));
        put(&home.join(format!("choices/{number}.png")), &image);
        list += &format!("choices/{number}.png,{},kind{}\n", photo.class_name(), number % 3);
        files.push((format!("{number:03}.cls"), photo.class.to_string().into_bytes()));
        files.push((format!("{number:03}.jpg"), image));
        files.push((format!("{number:03}.seg.png"), png(photo, 20)));
    }
    put(&home.join("choices.csv"), list.as_bytes());
    put(&home.join("choices.tar"), &archive(&files));
    let schema = "message choices { required binary mask; required binary photo; }";
    let column = |side| photos.iter().map(|photo| ByteArray::from(png(photo, side))).collect();
    write_columns(&home.join("choices.parquet"), schema, &[column(20), column(40)]);
}

/// A parquet file with columns of bytes.
fn write_columns(path: &Path, schema: &str, columns: &[Vec<ByteArray>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for values in columns {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// CIFAR-10 binaries: a byte for the class, then 1,024 red, green and blue values.
fn cifar(home: &Path, labels: Labels) -> &'static str {
    let batch = |count| -> Vec<u8> {
        let record = |photo: Photo| {
            let pixels = photo.pixels(32, 32);
            let plane = |channel: usize| pixels.pixels().map(move |pixel| pixel[channel]);
            let values = (0..3).flat_map(plane).collect::<Vec<_>>();
            [vec![photo.class as u8], values].concat()
        };
        Photo::some(count).flat_map(record).collect()
    };
    if labels != Labels::Parts {
        put(&home.join("data_batch_1.bin"), &batch(TRAIN_IMAGES));
        return "data_batch_1.bin";
    }
    put(&home.join("cifar/data_batch_1.bin"), &batch(TRAIN_IMAGES));
    put(&home.join("cifar/test_batch.bin"), &batch(TEST_IMAGES));
    "cifar"
}

/// IDX files, as MNIST has them: gray images, and labels in another file.
fn idx(home: &Path, labels: Labels) -> &'static str {
    let file = |name: &str, count: usize| {
        let values = |photo: Photo| {
            let pixels = photo.pixels(28, 28);
            pixels.pixels().map(|pixel| pixel[0]).collect::<Vec<_>>()
        };
        let head = [&[0, 0, 8, 3], &be(count)[..], &be(28), &be(28)].concat();
        let images: Vec<_> = head.into_iter().chain(Photo::some(count).flat_map(values)).collect();
        put(&home.join(format!("{name}-images-idx3-ubyte")), &images);
        if labels != Labels::None {
            let classes = Photo::some(count).map(|photo| photo.class as u8);
            let head = [&[0, 0, 8, 1], &be(count)[..]].concat();
            let labels: Vec<_> = head.into_iter().chain(classes).collect();
            put(&home.join(format!("{name}-labels-idx1-ubyte")), &labels);
        }
    };
    if labels != Labels::Parts {
        file("train", TRAIN_IMAGES);
        return "train-images-idx3-ubyte";
    }
    file("mnist/train", TRAIN_IMAGES);
    file("mnist/t10k", TEST_IMAGES);
    "mnist"
}

fn be(number: usize) -> [u8; 4] {
    (number as u32).to_be_bytes()
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
