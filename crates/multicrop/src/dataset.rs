//! Where images come from: one trait, one string that names a source, one reader for each kind.
//!
//! Folders, tar archives, WebDataset shards, lists and parquet files follow the same rules:
//!
//! - *Names* (`names.rs`): `.`, `..` and leading slashes are taken out of them first. A name is hidden
//!   if one of its parts then starts with a dot or is `__MACOSX`. Images are known by their extension
//!   in any case, or else by their first bytes.
//! - *Parts* (`parts.rs`, `layout.rs`): the words for training, validation and test parts in the names
//!   of folders and shards, in any case. Folders around everything do not count.
//! - *Labels* (`labels.rs`): numbers if all are, or else names. A missing one is missing for its image
//!   alone.
//! - *Samples* (`archive/keys.rs`): a WebDataset key gives one image.
//! - *What is left out* (`left_out.rs`) is counted, and one of each kind is named: hidden images, images in
//!   formats that are not read or beside the parts, other images of a key, empty shards, links that lead
//!   nowhere, archives that may be cut.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::decode;
use crate::error::{Error, SampleError};
use crate::image::Image8;

mod archive;
mod bytes;
mod cache;
mod cifar;
mod detect;
mod folder;
mod idx;
mod labels;
mod layout;
mod left_out;
mod list;
mod names;
mod parquet;
mod parts;
mod shapes;
mod shards;
mod slots;

pub use archive::Archive;
pub use cifar::Cifar;
pub use folder::Folder;
pub use idx::Idx;
pub use left_out::{LeftOut, Part, labelled, left_out_notes, notes};
pub use list::List;
pub use parquet::Parquet;
pub use shapes::Shapes;
pub use shards::Shards;

/// A fixed list of images, in an order that depends on nothing but the source.
///
/// [`read`](Dataset::read) is called from many threads at once.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True if there are no images; [`open`] refuses such sources.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads image `index`, as it lies in the source.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Dataset::len); so do `label` and `name`.
    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError>;

    /// Reads and decodes image `index`.
    fn load(&self, index: usize, options: &decode::Options) -> Result<Image8, SampleError> {
        self.read(index)?.decode(options)
    }

    /// The class of image `index`, a position in [`classes`](Dataset::classes).
    fn label(&self, index: usize) -> Option<u32>;

    /// Names of the classes; empty if the images have no labels.
    fn classes(&self) -> &[String];

    /// How the images lie together, if it is dear to read them in any order.
    ///
    /// [`order::of_dataset`](crate::order::of_dataset) then visits the images of a shard near each
    /// other.
    fn shards(&self) -> Option<Shards> {
        None
    }

    /// Makes a shard ready, number `shard` of [`shards`](Self::shards), so that its images are there
    /// when they are wanted. What goes wrong is told to whoever reads one.
    fn prepare(&self, _shard: usize) {}

    /// What the source holds that is not among the images, each kind with its count.
    fn left_out(&self) -> &[LeftOut] {
        &[]
    }

    /// The parts that the source has, if it has any.
    fn parts(&self) -> &[Part] {
        &[]
    }

    /// What a person would look for to find image `index`.
    fn name(&self, index: usize) -> String;

    /// The source in a few words, for messages and reports.
    fn describe(&self) -> String;
}

/// An image as a source holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample<'a> {
    /// The bytes of an image file.
    Encoded(Cow<'a, [u8]>),
    /// Pixels that need no decoder.
    Pixels(Image8),
}

impl Sample<'_> {
    /// The image in the form that `options` asks for.
    pub fn decode(self, options: &decode::Options) -> Result<Image8, SampleError> {
        match self {
            Self::Encoded(bytes) => decode::decode(&bytes, options),
            Self::Pixels(image) => decode::convert(image, options),
        }
    }
}

/// What a source is opened with beside its name: choices that its content does not make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The parquet column that holds the images; `None` finds it from the first rows.
    pub image_column: Option<String>,
    /// The column of a list or parquet file that holds the labels; `None` takes a column whose name
    /// says that it does.
    pub label_column: Option<String>,
    /// The extension, without its first dot, of the image to take where one WebDataset key has
    /// several, such as `jpg` or `seg.png`; `None` takes one image for each key.
    pub image_extension: Option<String>,
}

/// A part of a source that has parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What models are trained on.
    Train,
    /// What they are tested on.
    Test,
    /// What settings are chosen by.
    Val,
}

impl Split {
    /// The suffix of a source, without its colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Val => "val",
        }
    }

    /// Cuts `:train`, `:val` or `:test` off a source.
    fn cut(spec: &str) -> (&str, Option<Self>) {
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
/// - a text file with a path in each line, or `path,label` (also with tabs, semicolons or a last
///   space between them, with or without a header), or a JSON object in each line, relative to its own
///   folder; labels are numbers or names;
/// - a folder or file of CIFAR-10 or CIFAR-100 binary batches;
/// - an IDX image file (the MNIST family, `.gz` too) or the folder of several;
/// - a tar or tar.gz of images, in folders or with WebDataset keys (`key.jpg`, and the class in
///   `key.cls` or as `cls` or `label` in `key.json`), or a folder of several, in folders of any depth;
/// - a parquet file with a column of encoded images (`binary`, or `struct<bytes, path>` as in
///   Hugging Face's data sets), or a folder of several.
///
/// Braces name several tar or parquet files: `shards-{000..031}.tar`, `{first,second}.parquet`.
///
/// What a path holds is found out from its bytes, never from its extension; only among other files
/// of a folder are shards and images known by theirs. `:train`, `:val` or `:test` behind a source
/// chooses a part, where there are parts: folders such as `train` and `Validation`, also inside of an
/// archive, or files with these words in their names (`train-0001.tar`,
/// `test-00000-of-00004.parquet`). `:test` means the validation part where there is no test part.
/// Without a suffix the training part is meant. A path that exists as it is written is never cut at its colon,
/// and its braces are part of its name. `shapes` is always the built-in set; `./shapes` is a folder.
///
/// # Memory and caches
/// Images are read when they are wanted. Parquet files are held in blocks of together about 384 MiB;
/// gzipped archives are unpacked to the temporary folder, six at a time, and so are pages of parquet
/// files that are larger than 64 MiB, eight at a time. Lists of folders with a thousand images and of
/// archives of 16 MiB are kept in `$DINO_VMF_CACHE` (`off` for nowhere), or else `dino-vmf` in
/// `$XDG_CACHE_HOME` or `~/.cache`, and made again when folder or archive change.
///
/// # Errors
/// If there is no such source, it cannot be read, or it holds no image.
pub fn open(source: &str) -> Result<Arc<dyn Dataset>, Error> {
    open_with(source, &OpenOptions::default())
}

/// Opens the data set that `source` names, as [`open`] does, with these options.
///
/// # Errors
/// If there is no such source, it cannot be read, it holds no image, or it lacks what an option names.
pub fn open_with(source: &str, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
    let (name, split) = Split::cut(source);
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
        Err(Error::NoSuchSource { spec: source.into() })
    }
}

/// Fails unless both data sets name the same classes in the same order, so that labels agree.
pub fn same_classes(first: &dyn Dataset, second: &dyn Dataset) -> Result<(), Error> {
    let (a, b) = (first.classes(), second.classes());
    let difference = match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => format!("`{a}` here is `{b}` there"),
        None if a.len() != b.len() => format!("{} and {} classes", a.len(), b.len()),
        None => return Ok(()),
    };
    Err(Error::ClassesDiffer { first: first.describe(), second: second.describe(), difference })
}
