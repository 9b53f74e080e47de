//! The error types: [`Error`] for sources and runs, [`SampleError`] for single images.

use std::io;
use std::path::PathBuf;

/// Why a data set cannot be opened, or a batch cannot be made from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source is neither a built-in name nor a path.
    #[error(
        "no data set `{spec}`: it is neither `shapes[:train|:test]` nor an existing file or \
         folder nor a pattern such as `shards-{{000..031}}.tar`, with or without `:train`, `:val` or `:test`{hint}"
    )]
    NoSuchSource {
        /// What was given.
        spec: String,
        /// What may be meant, or nothing; follows the sentence.
        hint: String,
    },
    /// A file or folder of the data set cannot be read.
    #[error("cannot read `{}`, which is part of the data set: {source}", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// There is no image in a folder or archive.
    #[error(
        "`{}` holds no images (looked for JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG XL, PBM, PGM and PPM in \
         it and all folders below)",
        path.display()
    )]
    NoImages {
        /// Folder or archive.
        path: PathBuf,
    },
    /// A file has no supported format.
    #[error(
        "`{}` is {found}, but a data set is a folder of images, a text file that lists images, a tar \
         or tar.gz, a parquet file, CIFAR-10 or CIFAR-100 binaries, or an IDX image file",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it is, or seems to be.
        found: String,
    },
    /// The source has no such part.
    #[error("`{}` has no part `:{split}`: {reason}", path.display())]
    NoSuchSplit {
        /// The source without its suffix.
        path: PathBuf,
        /// `train`, `val` or `test`.
        split: &'static str,
        /// What was searched for.
        reason: String,
    },
    /// A container is damaged, unsupported, or lacks what an option names.
    #[error("`{}` {reason}", path.display())]
    Malformed {
        /// The container.
        path: PathBuf,
        /// What was found, what was expected and what to do; follows the path in the message.
        reason: String,
    },
    /// Two sources that must have the same classes have different ones.
    #[error("the classes of {first} and {second} differ: {difference}; both need the same classes")]
    ClassesDiffer {
        /// Description of the first source.
        first: String,
        /// Description of the second source.
        second: String,
        /// The numbers of classes, or the first class that differs.
        difference: String,
    },
    /// The data set has fewer images than a batch, so an epoch would have no step.
    #[error(
        "a batch needs {batch_size} images, but {dataset} has only {images}; lower the batch size \
         or add images"
    )]
    TooFewImages {
        /// Description of the data set.
        dataset: String,
        /// Number of its images.
        images: usize,
        /// Number of images in a batch.
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
    /// Too many images cannot be used: the data set itself is probably broken.
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
        /// The most frequent reasons, each with a count and an example.
        summary: String,
    },
    /// The images that could replace a bad one are all bad too.
    #[error(
        "image {index}, `{name}`, cannot be used, and neither can the images after it ({tries} in \
         all); repair or remove them: {source}"
    )]
    NoReplacement {
        /// Index of the first one.
        index: usize,
        /// Its name.
        name: String,
        /// Number of samples that were tried, including the first.
        tries: usize,
        /// What is wrong with the first one.
        source: SampleError,
    },
    /// A worker thread could not be started, or panicked, which is a bug in this program.
    #[error("a worker of the image loader {reason}")]
    Worker {
        /// What happened; completes the sentence.
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
    /// The bytes cannot be read.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// The I/O error.
        reason: String,
    },
    /// The bytes cannot be read now, because of a failing disk or a missing network share. Worth
    /// another try.
    #[error("cannot be read: {reason}")]
    Unavailable {
        /// The I/O error.
        reason: String,
    },
    /// The bytes are not in a known image format.
    #[error(
        "not an image: its first bytes match no known format (JPEG, PNG, WebP, BMP, GIF, TIFF, ...)"
    )]
    NotAnImage,
    /// An image format, or a variant of one, that is not supported.
    #[error("not yet supported: {what}")]
    Unsupported {
        /// `JPEG with more than 8 bits per sample`, …
        what: String,
    },
    /// Samples without a color, which cannot be converted to another number of channels.
    #[error(
        "{found} samples per pixel, but {wanted} channels are required: only gray and color images can \
         be converted, to 1, 3 or 4 channels; `--channels {found}` (`data.channels`) takes the samples \
         as they are{}", pages_hint(*pages)
    )]
    Channels {
        /// Number of samples of a pixel in the file.
        found: usize,
        /// Required number of channels.
        wanted: usize,
        /// Number of pages of the file.
        pages: usize,
    },
    /// Floats outside \[0, 1\], without a range that they have.
    #[error(
        "its floats go from {low} to {high}, and without a range floats must lie in [0, 1]: set \
         `data.range` to `[low, high]` or to `percentile`"
    )]
    NoRange {
        /// The smallest value.
        low: String,
        /// The largest value.
        high: String,
    },
    /// More pixels than [`Options::max_pixels`](crate::decode::Options::max_pixels) allows; refused
    /// before allocating.
    #[error(
        "{width} x {height} pixels are more than the limit of {limit}; raise `data.max_pixels`, or set \
         `data.reduced_for` to decode large JPEGs at a reduced size"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Limit on the number of pixels.
        limit: u64,
    },
    /// The bytes are damaged.
    #[error("damaged: {reason}")]
    Damaged {
        /// The decoder's message.
        reason: String,
    },
}

/// What a file with several pages offers in place of the channels of one.
fn pages_hint(pages: usize) -> String {
    if pages < 2 {
        return String::new();
    }
    format!(
        "; the file has {pages} pages, and `--set data.pages=channels` takes all pages as the channels of \
         one image"
    )
}

impl SampleError {
    /// The reason in a word or two, equal for all images with the same kind of fault.
    pub fn kind(&self) -> String {
        match self {
            Self::Empty => "empty".into(),
            Self::Unreadable { .. } | Self::Unavailable { .. } => "unreadable".into(),
            Self::NotAnImage => "not an image".into(),
            Self::Unsupported { what } => format!("not yet supported: {what}"),
            Self::Channels { found, .. } => {
                format!("{found} samples per pixel, which `--channels {found}` reads")
            }
            Self::NoRange { .. } => "floats outside [0, 1]".into(),
            Self::TooLarge { .. } => "too large".into(),
            Self::Damaged { .. } => "damaged".into(),
        }
    }
}
