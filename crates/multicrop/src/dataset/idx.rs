//! [`Idx`] reads IDX files, the format of MNIST and its family, plain or gzipped.
//!
//! ```text
//! images:  00 00 08 03, count, rows, columns (32 bits each, big endian), count · rows · columns bytes
//! labels:  00 00 08 01, count,                                           count bytes
//! ```
//!
//! Source: <https://yann.lecun.com/exdb/mnist>

use std::path::{Path, PathBuf};

use super::bytes::{Bytes, malformed, read_start, unreadable};
use super::labels::Labels;
use super::{Dataset, Sample, Split};
use crate::decode::MAX_PIXELS;
use crate::error::{Error, SampleError};
use crate::image::Image8;

/// True for a header of unsigned bytes in three dimensions.
pub(super) fn holds_images(start: &[u8]) -> bool {
    start.starts_with(&[0, 0, 8, 3])
}

/// True for a header of unsigned bytes in one dimension.
pub(super) fn holds_labels(start: &[u8]) -> bool {
    start.starts_with(&[0, 0, 8, 1])
}

/// Chooses the file of the part `split` by its name, among `files`, the image files in `folder`.
pub(super) fn choose(
    folder: &Path,
    mut files: Vec<PathBuf>,
    split: Option<Split>,
) -> Result<(PathBuf, Option<Split>), Error> {
    if files.len() == 1 && split.is_none() {
        return Ok((files.remove(0), None));
    }
    let split = split.unwrap_or(Split::Train);
    let marks: &[&str] = match split {
        Split::Train => &["train"],
        Split::Test => &["t10k", "test", "val"],
        Split::Val => &["val"],
    };
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        marks.iter().any(|mark| name.contains(mark))
    });
    // the same file, plain and gzipped, counts once
    files.dedup_by(|next, first| next.with_extension("") == **first);
    if files.len() == 1 {
        return Ok((files.remove(0), Some(split)));
    }
    let marks = marks.join("` or `");
    let reason = format!("{} image files in it have `{marks}` in their name", files.len());
    Err(Error::NoSuchSplit { path: folder.into(), split: split.name(), reason })
}

/// Gray images of one size, with labels if there is a label file in the same folder.
pub struct Idx {
    path: PathBuf,
    split: Option<Split>,
    bytes: Bytes,
    count: usize,
    width: u32,
    height: u32,
    labels: Labels,
}

impl Idx {
    /// Opens an image file and the label file in its folder, if there is one.
    ///
    /// # Errors
    /// If a file cannot be read, contradicts its header or has no image, or if the numbers of
    /// labels and images differ.
    pub fn open(path: &Path, split: Option<Split>) -> Result<Self, Error> {
        let bytes = contents(path)?;
        let [count, height, width] = header(path, &bytes)?;
        if u64::from(height) * u64::from(width) > MAX_PIXELS {
            let reason = format!("has images of {width} x {height} pixels, more than {MAX_PIXELS}");
            return Err(malformed(path, reason));
        }
        if count == 0 || height == 0 || width == 0 {
            return Err(Error::NoImages { path: path.into() });
        }
        let count = count as usize;
        let labels = match label_file(path) {
            Some(file) => {
                Labels::from_classes(read_labels(&file, count)?.into_iter().map(Some), Vec::new())
            }
            None => Labels::default(),
        };
        Ok(Self { path: path.into(), split, bytes, count, width, height, labels })
    }
}

fn contents(path: &Path) -> Result<Bytes, Error> {
    let (_, packed) = read_start(path)?;
    if packed { Bytes::unpack(path) } else { Bytes::open(path) }
}

/// Reads the sizes in a header of `N` dimensions, and checks that the length of the file matches.
fn header<const N: usize>(path: &Path, bytes: &Bytes) -> Result<[u32; N], Error> {
    let start = 4 + 4 * N as u64;
    let mut words = [[0; 4]; N];
    if bytes.len() < start {
        return Err(malformed(
            path,
            format!(
                "is {} bytes long, shorter than its header of {start}; copy it again",
                bytes.len()
            ),
        ));
    }
    bytes.read_at(4, words.as_flattened_mut()).map_err(unreadable(path))?;
    let sizes = words.map(u32::from_be_bytes);
    let values = sizes.iter().map(|&size| u128::from(size)).product::<u128>();
    if u128::from(bytes.len() - start) != values {
        let reason = format!(
            "has {} bytes after its header, but {sizes:?} needs {values}; copy it again",
            bytes.len() - start
        );
        return Err(malformed(path, reason));
    }
    Ok(sizes)
}

/// The label file of an image file: `train-labels-idx1-ubyte` for `train-images-idx3-ubyte`,
/// gzipped or not.
fn label_file(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let name = name.replace("images", "labels").replace("idx3", "idx1");
    let candidates = [images.with_file_name(format!("{name}.gz")), images.with_file_name(name)];
    candidates.into_iter().rev().find(|path| {
        path != images && read_start(path).is_ok_and(|(bytes, _)| holds_labels(&bytes))
    })
}

fn read_labels(path: &Path, images: usize) -> Result<Vec<u32>, Error> {
    let bytes = contents(path)?;
    let [count] = header(path, &bytes)?;
    if count as usize != images {
        let reason = format!(
            "has {count} labels, but its image file has {images} images; pass files that belong \
             together"
        );
        return Err(malformed(path, reason));
    }
    let mut labels = vec![0; images];
    bytes.read_at(8, &mut labels).map_err(unreadable(path))?;
    Ok(labels.into_iter().map(u32::from).collect())
}

impl Dataset for Idx {
    fn len(&self) -> usize {
        self.count
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        assert!(index < self.count, "image {index} of {}", self.count);
        let len = u64::from(self.width) * u64::from(self.height);
        let gray = self.bytes.sample(16 + index as u64 * len, len)?;
        let image = Image8::with_channels(self.width, self.height, 1, gray);
        image.map(Sample::Pixels).ok_or(SampleError::Empty)
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.count)
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn name(&self, index: usize) -> String {
        format!("{}, image {index}", self.path.display())
    }

    fn container_of(&self, _: usize) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("IDX file `{}`{part}", self.path.display())
    }
}
