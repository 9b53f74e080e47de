//! What can be wrong with a source, with one of its images, or with a run over them.

use std::io;
use std::path::PathBuf;

/// Why no data set could be opened, or why no batch could be made of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source is neither a built-in name nor a path.
    #[error(
        "no data set `{spec}`: it is neither `shapes[:train|:test]` nor an existing file or \
         folder nor a pattern such as `shards-{{000..031}}.tar`, with or without `:train`, `:val` or `:test`"
    )]
    NoSuchSource {
        /// What was given.
        spec: String,
    },
    /// The system refuses to read a file or folder.
    #[error("cannot read `{}`, but it is part of the data set: {source}", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no image in a folder or archive.
    #[error(
        "`{}` holds no images (looked for JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG XL, PBM, PGM and PPM in it and \
         all folders below)",
        path.display()
    )]
    NoImages {
        /// Folder or archive.
        path: PathBuf,
    },
    /// A file is in no format of this crate.
    #[error(
        "`{}` is {found}, but a data set is a folder of images, a text file that lists images, a tar \
         or tar.gz, a parquet file, CIFAR-10 or CIFAR-100 binaries, or an IDX image file",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The source has no such part.
    #[error("`{}` has no part `:{split}`: {reason}", path.display())]
    NoSuchSplit {
        /// The source without its suffix.
        path: PathBuf,
        /// `train`, `val` or `test`.
        split: &'static str,
        /// What was looked for.
        reason: String,
    },
    /// A container contradicts itself.
    #[error("`{}` {reason}", path.display())]
    Malformed {
        /// The container.
        path: PathBuf,
        /// What was found, what was expected and what to do; continues the path.
        reason: String,
    },
    /// Two sources that are to be compared name different classes.
    #[error(
        "the classes of `{first}` and `{second}` differ: {difference}; both need the same class \
         folders"
    )]
    ClassesDiffer {
        /// Description of the one.
        first: String,
        /// Description of the other.
        second: String,
        /// Number of classes, or the first name that only one of them has.
        difference: String,
    },
    /// An epoch would have no step.
    #[error(
        "a batch needs {batch_size} images, but {dataset} has only {images}; lower the batch size \
         or add images"
    )]
    TooFewImages {
        /// Description of the data set.
        dataset: String,
        /// Its images.
        images: usize,
        /// Images in a batch.
        batch_size: usize,
    },
    /// An image cannot be read, and the run is strict.
    #[error("image {index}, `{name}`, cannot be used: {source}")]
    BadImage {
        /// Its index in the data set.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: SampleError,
    },
    /// So many images cannot be read that the data set itself seems to be broken.
    #[error(
        "{bad} of {images} images cannot be used ({summary}), but at most {allowed} may be bad; \
         repair or remove them"
    )]
    TooManyBadImages {
        /// Distinct bad images so far.
        bad: usize,
        /// Images in the data set.
        images: usize,
        /// Largest number that is tolerated.
        allowed: usize,
        /// The commonest reasons with their counts and one name each.
        summary: String,
    },
    /// The images that could replace a bad one are all bad too.
    #[error(
        "none of {tries} images from image {index}, `{name}`, on can be used, so nothing can replace \
         it; repair or remove them: {source}"
    )]
    NoReplacement {
        /// Index of the first one.
        index: usize,
        /// Its name.
        name: String,
        /// Samples that were tried, the first one included.
        tries: usize,
        /// What is wrong with the first one.
        source: SampleError,
    },
    /// A worker thread could not be started, or ended by a panic (a bug of this program).
    #[error("a worker of the image loader {reason}")]
    Worker {
        /// What happened; continues the sentence.
        reason: String,
    },
}

/// Why one image cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The system cannot read the bytes.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// The system's reason.
        reason: String,
    },
    /// The system cannot read the bytes now, which says nothing about them: a failing disk, a share that
    /// is gone. Worth another try.
    #[error("cannot be read: {reason}")]
    Unavailable {
        /// The system's reason.
        reason: String,
    },
    /// The bytes are in no image format.
    #[error(
        "not an image: it starts like no format that is known (JPEG, PNG, WebP, BMP, GIF, TIFF, ...)"
    )]
    NotAnImage,
    /// An image format, but a form of it that is not read yet.
    #[error("not yet supported: {what}")]
    Unsupported {
        /// `JPEG with more than 8 bits per sample`, …
        what: String,
    },
    /// Samples without a color, of which other channels cannot be made.
    #[error(
        "{found} samples per pixel where {wanted} channels are wanted: gray and color become 1, 3 or \
         4 channels, everything else keeps its number"
    )]
    Channels {
        /// Samples of a pixel in the file.
        found: usize,
        /// Channels that are wanted.
        wanted: usize,
    },
    /// More pixels than [`Options::max_pixels`](crate::decode::Options::max_pixels) allows: refused
    /// before memory is taken.
    #[error(
        "{width} x {height} pixels are more than the {limit} that are allowed; raise `data.max_pixels`, \
         or set `data.reduced_for` to read large JPEGs at a part of their size"
    )]
    TooLarge {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Most pixels that are decoded.
        limit: u64,
    },
    /// The decoder gave up.
    #[error("damaged: {reason}")]
    Damaged {
        /// The decoder's reason.
        reason: String,
    },
}

impl SampleError {
    /// The reason in a word or two, the same for all images with this kind of fault.
    pub fn kind(&self) -> String {
        match self {
            Self::Empty => "empty".into(),
            Self::Unreadable { .. } | Self::Unavailable { .. } => "unreadable".into(),
            Self::NotAnImage => "not an image".into(),
            Self::Unsupported { what } => format!("not yet supported: {what}"),
            Self::Channels { found, .. } => format!("{found} samples per pixel"),
            Self::TooLarge { .. } => "too large".into(),
            Self::Damaged { .. } => "damaged".into(),
        }
    }
}
