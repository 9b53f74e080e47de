//! Where images come from: one trait, one string that names a source, one reader for each kind.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::decode;
use crate::error::{Error, SampleError};
use crate::image::Image8;

mod archive;
mod bytes;
mod cifar;
mod detect;
mod folder;
mod idx;
mod labels;
mod shapes;

pub use archive::Archive;
pub use cifar::Cifar;
pub use folder::Folder;
pub use idx::Idx;
pub use shapes::Shapes;

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

/// A part of a source that has parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What models are trained on.
    Train,
    /// What they are tested on.
    Test,
}

impl Split {
    /// The suffix of a source, without its colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// Cuts `:train` or `:test` off a source.
    fn cut(spec: &str) -> (&str, Option<Self>) {
        for split in [Self::Train, Self::Test] {
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
/// - a folder of images, searched recursively; the label is the first folder below the root, if
///   no image lies in the root itself;
/// - a folder or file of CIFAR-10 or CIFAR-100 binary batches;
/// - an IDX image file (the MNIST family, `.gz` too) or the folder of several;
/// - a tar or tar.gz of images, in folders or with WebDataset keys.
///
/// What a path holds is found out from its bytes, never from its extension. `:train` or `:test`
/// behind a source chooses a part, where there are parts; without it the training part is meant.
/// A path that exists as it is written is never cut at its colon. `shapes` is always the built-in
/// set; `./shapes` is a folder.
///
/// # Errors
/// If there is no such source, it cannot be read, or it holds no image.
pub fn open(source: &str) -> Result<Arc<dyn Dataset>, Error> {
    let (name, split) = Split::cut(source);
    if name == "shapes" {
        return Ok(Arc::new(Shapes::new(split.unwrap_or(Split::Train))));
    }
    let exists = |path: &str| !path.is_empty() && Path::new(path).symlink_metadata().is_ok();
    if exists(source) {
        detect::open(Path::new(source), None)
    } else if split.is_some() && exists(name) {
        detect::open(Path::new(name), split)
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
