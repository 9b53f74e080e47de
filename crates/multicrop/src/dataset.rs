//! The [`Dataset`] trait, [`open`], which maps a source string to a data set, and one reader for
//! each kind of source.
//!
//! Folders, tar archives, WebDataset shards, lists and parquet files follow the same rules:
//!
//! - *Names* (`names.rs`): `.`, `..` and leading slashes are removed first. A name is hidden if one
//!   of its parts starts with a dot or is `__MACOSX`. Images are recognized by their extension in
//!   upper or lower case, or else by their first bytes.
//! - *Parts* (`parts.rs`, `layout.rs`): the words for training, validation and test parts in the
//!   names of folders and shards, in upper or lower case. Folders that contain everything do not
//!   count. In lists and parquet files a column such as `split` says it (`row_parts.rs`).
//! - *Labels* (`labels.rs`): numbers if all labels are numbers, or else names. If a label is
//!   missing, only its image has none.
//! - *Samples* (`archive/keys.rs`): a WebDataset key gives one image.
//! - *Left out* (`left_out.rs`): everything that is not read is counted, with one example of each
//!   kind: hidden images, images in unsupported formats or outside the parts, other images of a
//!   key, empty shards, links that lead nowhere, archives that may be cut.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode;
use crate::decode::Stored;
use crate::error::{Error, SampleError};
use crate::image::{Image, Image8};

mod archive;
mod bytes;
mod cache;
mod cifar;
mod detect;
mod folder;
mod foreign;
mod idx;
mod image_files;
mod json;
mod labels;
mod layout;
mod left_out;
mod list;
mod lru;
mod names;
mod paged;
mod parquet;
mod parts;
mod row_parts;
mod selected;
mod shapes;
mod shards;
mod signature;

pub use archive::Archive;
pub use cifar::Cifar;
pub use folder::Folder;
pub use idx::Idx;
pub use image_files::ImageFiles;
pub use left_out::{LeftOut, Part, labelled, left_out_notes, notes};
pub use list::List;
pub use paged::Paged;
pub use parquet::Parquet;
pub use selected::Selected;
pub use shapes::Shapes;
pub use shards::Shards;

/// At most `most` of `len` indices, spread evenly, always the same ones: for a look at a source.
pub fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = most.min(len);
    (0..count).map(move |i| i * len / count)
}

/// A fixed list of images, in an order that depends only on the source.
///
/// Many threads call [`read`](Dataset::read) at the same time.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True if there are no images; [`open`] refuses such sources.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads image `index` as the source stores it.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Dataset::len). The same holds for `label` and `name`.
    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError>;

    /// Reads and decodes image `index`.
    fn load(&self, index: usize, options: &decode::Options) -> Result<Image, SampleError> {
        self.read(index)?.decode(options)
    }

    /// The class of image `index`: an index into [`classes`](Dataset::classes).
    fn label(&self, index: usize) -> Option<u32>;

    /// Names of the classes; empty if the images have no labels.
    fn classes(&self) -> &[String];

    /// The name of the class of image `index`, if it has one.
    fn class(&self, index: usize) -> Option<&str> {
        self.classes().get(self.label(index)? as usize).map(String::as_str)
    }

    /// Shard layout, if random access is expensive.
    ///
    /// [`order::for_dataset`](crate::order::for_dataset) then visits the images of a shard close to
    /// each other.
    fn shards(&self) -> Option<Shards> {
        None
    }

    /// Loads shard `shard` of [`shards`](Self::shards) ahead of the first read of one of its
    /// images. Errors are returned by the later reads.
    fn prepare(&self, _shard: usize) {}

    /// Everything in the source that is not read, each kind with its count.
    fn left_out(&self) -> &[LeftOut] {
        &[]
    }

    /// The parts that the source has, if it has any.
    fn parts(&self) -> &[Part] {
        &[]
    }

    /// The name of image `index` for people: its path, or its place in a container.
    fn name(&self, index: usize) -> String;

    /// The file of image `index`, if the image is a file of its own. Unlike the name, it is right
    /// where names are not UTF-8.
    fn file_of(&self, _index: usize) -> Option<PathBuf> {
        None
    }

    /// The file of the source that holds or lists image `index`: an archive, a table, a list.
    fn container_of(&self, _index: usize) -> Option<PathBuf> {
        None
    }

    /// What a user should know of the source beside what is left out, one sentence each.
    fn remarks(&self) -> &[String] {
        &[]
    }

    /// A short description of the source, for messages and reports.
    fn describe(&self) -> String;
}

/// An image as a source stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample<'a> {
    /// The bytes of an image file.
    Encoded(Cow<'a, [u8]>),
    /// The bytes of an image file, of which one page is read.
    Page {
        /// The whole file.
        bytes: Cow<'a, [u8]>,
        /// Number of the page, from 0.
        page: usize,
    },
    /// Pixels that need no decoder.
    Pixels(Image8),
}

impl Sample<'_> {
    /// Decodes the image with these options.
    pub fn decode(self, options: &decode::Options) -> Result<Image, SampleError> {
        self.decode_stored(options)?.into_image(options)
    }

    /// Decodes the image in the units of its file.
    pub fn decode_stored(self, options: &decode::Options) -> Result<Stored, SampleError> {
        match self {
            Self::Encoded(bytes) => decode::decode_stored(&bytes, options),
            Self::Page { bytes, page } => {
                let pages = decode::Pages::One(page);
                decode::decode_stored(&bytes, &decode::Options { pages, ..options.clone() })
            }
            Self::Pixels(image) => decode::convert(image, options),
        }
    }
}

/// Options of [`open_with`], for choices that the contents of the source leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The parquet column that holds the images; `None` finds it from the first rows.
    pub image_column: Option<String>,
    /// The column of a list or parquet file that holds the labels; `None` takes a column with a
    /// usual name such as `label`.
    pub label_column: Option<String>,
    /// The extension, without its first dot, of the image to take where one WebDataset key has
    /// several, such as `jpg` or `seg.png`; `None` takes one image for each key.
    pub image_extension: Option<String>,
    /// Whether each page of a TIFF is an image. Counting them reads all files once.
    pub pages_as_images: bool,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The training part.
    Train,
    /// The test part.
    Test,
    /// The validation part.
    Val,
}

impl Split {
    /// The suffix of a source that selects this part, without its colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Val => "val",
        }
    }

    /// Splits `:train`, `:val` or `:test` off a source.
    fn split_suffix(spec: &str) -> (&str, Option<Self>) {
        for split in [Self::Train, Self::Val, Self::Test] {
            let path = spec.strip_suffix(split.name()).and_then(|rest| rest.strip_suffix(':'));
            if let Some(path) = path {
                return (path, Some(split));
            }
        }
        (spec, None)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Opens the data set that `source` names.
///
/// A source is `shapes`, or the path of
///
/// - a folder of images, searched recursively; the label is the first folder below the root, and an
///   image in the root itself has none;
/// - a text file with a path in each line, or `path,label` (also separated by a tab, a semicolon or
///   the last space, with or without a header), or a JSON object in each line; paths are relative
///   to the folder of the file, labels are numbers or names;
/// - a folder or file of CIFAR-10 or CIFAR-100 binary batches;
/// - an IDX image file (the MNIST family, `.gz` too) or the folder of several;
/// - a tar or tar.gz of images, in folders or with WebDataset keys (`key.jpg`, and the class in
///   `key.cls` or as `cls` or `label` in `key.json`), or a folder of several, in folders of any
///   depth;
/// - a parquet file with a column of encoded images (`binary`, or `struct<bytes, path>` as in
///   Hugging Face's data sets), or a folder of several.
///
/// Braces stand for several tar or parquet files: `shards-{000..031}.tar`,
/// `{first,second}.parquet`.
///
/// The kind of a path follows from its bytes, never from its extension. Extensions only count when
/// shards and images are searched for in a folder.
///
/// `:train`, `:val` or `:test` after a source selects a part. Parts are folders such as `train` and
/// `Validation`, also inside an archive, files with these words in their names
/// (`train-0001.tar`, `test-00000-of-00004.parquet`), or rows of a list or parquet file with such a
/// word in a column such as `split`. `:test` selects the validation part if there is no test part.
/// Without a suffix the training part is read. The colon and the braces of a path that exists are
/// part of its name. `shapes` is always the built-in data set; `./shapes` is a folder.
///
/// # Memory and caches
/// Images are read on demand. Parquet files are held in blocks that take about 384 MiB in all. Up
/// to six gzipped archives are kept unpacked in the temporary folder, and up to eight blocks of
/// parquet files that unpack to more than 64 MiB. The list of a folder with at least 1000 images,
/// or of an archive of at least 16 MiB, is cached until the folder or archive changes. The cache is
/// in `$DINO_VMF_CACHE` (`off` disables it), or else in `dino-vmf` in `$XDG_CACHE_HOME` or
/// `~/.cache`.
///
/// # Errors
/// If there is no such source, it cannot be read, or it holds no image.
pub fn open(source: &str) -> Result<Arc<dyn Dataset>, Error> {
    open_with(source, &OpenOptions::default())
}

/// Opens a data set as [`open`] does, with options.
///
/// # Errors
/// If there is no such source, it cannot be read, it holds no image, or it lacks a column or
/// extension that `options` name.
pub fn open_with(source: &str, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
    let dataset = open_files(source, options)?;
    Ok(if options.pages_as_images { Arc::new(Paged::new(dataset)) } else { dataset })
}

fn open_files(source: &str, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
    let (name, split) = Split::split_suffix(source);
    if name == "shapes" {
        return match split {
            Some(Split::Val) => {
                let reason = "it has `:train` and `:test`".into();
                Err(Error::NoSuchSplit { path: name.into(), split: "val", reason })
            }
            _ => Ok(Arc::new(Shapes::new(split.unwrap_or(Split::Train)))),
        };
    }
    let exists = |path: &str| !path.is_empty() && Path::new(path).symlink_metadata().is_ok();
    if exists(source) {
        detect::open(Path::new(source), None, options)
    } else if split.is_some() && exists(name) {
        detect::open(Path::new(name), split, options)
    } else if shards::is_pattern(name) {
        detect::open_pattern(name, split, options)
    } else {
        Err(Error::NoSuchSource { spec: source.into(), hint: part_hint(source, exists) })
    }
}

/// What may be meant by a source whose part has another word, such as `photos:valid`.
fn part_hint(source: &str, exists: impl Fn(&str) -> bool) -> String {
    let (name, _) = Split::split_suffix(source);
    let named = name.rsplit_once(':').filter(|(path, _)| exists(path));
    let found =
        named.and_then(|(path, word)| Some((path, parts::split_of_folder(word.as_bytes())?)));
    match (found, name == source) {
        (Some((path, part)), true) => format!("; `{path}:{part}` reads its part `{part}`"),
        (Some(_), false) => format!("; `{name}` is a part already"),
        (None, _) => String::new(),
    }
}

/// Checks that both data sets have the same classes in the same order, so that their labels agree.
///
/// # Errors
/// If they differ; the error names the first difference.
pub fn same_classes(first: &dyn Dataset, second: &dyn Dataset) -> Result<(), Error> {
    let (a, b) = (first.classes(), second.classes());
    if a == b {
        return Ok(());
    }
    let only = |of: &[String], others: &[String], which: &str| {
        let mut names = of.iter().filter(|name| !others.contains(name));
        let first = names.next()?;
        Some(match names.count() {
            0 => format!("only the {which} has `{first}`"),
            more => format!("only the {which} has `{first}` and {more} more"),
        })
    };
    let only: Vec<_> = only(a, b, "first").into_iter().chain(only(b, a, "second")).collect();
    let difference = match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) if only.is_empty() => format!("`{a}` here is `{b}` there"),
        _ => only.join(", "),
    };
    Err(Error::ClassesDiffer { first: first.describe(), second: second.describe(), difference })
}
