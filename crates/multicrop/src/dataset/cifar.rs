//! [`Cifar`] reads CIFAR-10 and CIFAR-100 in their binary form.
//!
//! ```text
//! CIFAR-10:   label, 1024 red, 1024 green, 1024 blue                    3073 bytes for an image
//! CIFAR-100:  coarse label, fine label, 1024 red, green, blue           3074 bytes for an image
//! ```
//!
//! There is no header. A file is recognized by its length and by labels that are all in range.
//!
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>

use std::fs;
use std::path::{Path, PathBuf};

use super::bytes::{Bytes, malformed, unreadable};
use super::{Dataset, Sample, Split};
use crate::error::{Error, SampleError};
use crate::image::Image8;

/// Side of an image in pixels.
const SIDE: usize = 32;
/// Bytes of one color of one image.
const PLANE: usize = SIDE * SIDE;

/// Which of the two data sets a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ten,
    Hundred,
}

impl Kind {
    /// Bytes before the pixels; the last one is the label.
    fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    fn record(self) -> u64 {
        (self.label_bytes() + 3 * PLANE) as u64
    }

    fn classes(self) -> u32 {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    fn names_file(self) -> &'static str {
        match self {
            Self::Ten => "batches.meta.txt",
            Self::Hundred => "fine_label_names.txt",
        }
    }
}

/// Binary batches of CIFAR-10 or CIFAR-100 (fine labels), read in place.
pub struct Cifar {
    path: PathBuf,
    split: Option<Split>,
    kind: Kind,
    batches: Vec<Batch>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

/// One file of images.
struct Batch {
    path: PathBuf,
    bytes: Bytes,
    /// Index of its first image.
    first: usize,
}

impl Cifar {
    /// Opens the batches of one part among `files`, the files in `folder`; `None` if there are
    /// none.
    pub(super) fn open_folder(
        folder: &Path,
        files: &[PathBuf],
        split: Option<Split>,
    ) -> Result<Option<Self>, Error> {
        let part_of = |file: &PathBuf| match file.file_name()?.to_str()?.strip_suffix(".bin")? {
            "train" => Some(Split::Train),
            "test" | "test_batch" => Some(Split::Test),
            name => name.starts_with("data_batch_").then_some(Split::Train),
        };
        if !files.iter().any(|file| part_of(file).is_some()) {
            return Ok(None);
        }
        let split = split.unwrap_or(Split::Train);
        let chosen: Vec<_> =
            files.iter().filter(|file| part_of(file) == Some(split)).cloned().collect();
        if chosen.is_empty() {
            let reason = match split {
                Split::Train => "there is no `data_batch_1.bin` or `train.bin` in it",
                Split::Test => "there is no `test_batch.bin` or `test.bin` in it",
                Split::Val => "CIFAR has `:train` and `:test`",
            };
            let (path, split) = (folder.into(), split.name());
            return Err(Error::NoSuchSplit { path, split, reason: reason.into() });
        }
        let wrong = |path: &Path| {
            malformed(
                path,
                "is not a whole number of CIFAR images with labels in range; copy it again".into(),
            )
        };
        Self::from_files(folder, &chosen, Some(split))?.map(Some).map_err(|path| wrong(&path))
    }

    /// Opens one batch; `None` if the file is not a batch.
    pub(super) fn open_file(path: &Path) -> Result<Option<Self>, Error> {
        Ok(Self::from_files(path, &[path.into()], None)?.ok())
    }

    /// The inner error is the path of a file that is not a batch, or one of another kind.
    fn from_files(
        path: &Path,
        files: &[PathBuf],
        split: Option<Split>,
    ) -> Result<Result<Self, PathBuf>, Error> {
        let (mut batches, mut labels, mut common) = (Vec::new(), Vec::new(), None);
        for file in files {
            let bytes = Bytes::open(file)?;
            let Some((kind, batch)) = recognize(&bytes).map_err(unreadable(file))? else {
                return Ok(Err(file.clone()));
            };
            if *common.get_or_insert(kind) != kind {
                return Ok(Err(file.clone()));
            }
            batches.push(Batch { path: file.clone(), bytes, first: labels.len() });
            labels.extend(batch);
        }
        let Some(kind) = common else { return Ok(Err(path.into())) };
        let classes = class_names(&files[0], kind);
        Ok(Ok(Self { path: path.into(), split, kind, batches, labels, classes }))
    }

    /// The batch with image `index`, and the image's position in it.
    fn find(&self, index: usize) -> (&Batch, usize) {
        assert!(index < self.labels.len(), "image {index} of {}", self.labels.len());
        let batch = &self.batches[self.batches.partition_point(|b| b.first <= index) - 1];
        (batch, index - batch.first)
    }
}

/// The kind of a batch and its labels; `None` if length or labels do not fit.
fn recognize(bytes: &Bytes) -> std::io::Result<Option<(Kind, Vec<u32>)>> {
    for kind in [Kind::Ten, Kind::Hundred] {
        if bytes.len() == 0 || !bytes.len().is_multiple_of(kind.record()) {
            continue;
        }
        let mut labels = Vec::new();
        for image in 0..bytes.len() / kind.record() {
            let mut label = [0];
            bytes.read_at(image * kind.record() + kind.label_bytes() as u64 - 1, &mut label)?;
            labels.push(u32::from(label[0]));
            if u32::from(label[0]) >= kind.classes() {
                break;
            }
        }
        if labels.last().is_some_and(|&label| label < kind.classes()) {
            return Ok(Some((kind, labels)));
        }
    }
    Ok(None)
}

/// Class names from the text file in the folder of a batch, or else numbers.
fn class_names(batch: &Path, kind: Kind) -> Vec<String> {
    let text = fs::read_to_string(batch.with_file_name(kind.names_file())).unwrap_or_default();
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() == kind.classes() as usize {
        return names;
    }
    (0..kind.classes()).map(|class| class.to_string()).collect()
}

impl Dataset for Cifar {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let (batch, position) = self.find(index);
        let offset = position as u64 * self.kind.record() + self.kind.label_bytes() as u64;
        let planes = batch.bytes.sample(offset, 3 * PLANE as u64)?;
        let pixels = (0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]);
        let image = Image8::new(SIDE as u32, SIDE as u32, pixels.collect());
        image.map(Sample::Pixels).ok_or(SampleError::Empty)
    }

    fn label(&self, index: usize) -> Option<u32> {
        Some(self.labels[index])
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        let (batch, position) = self.find(index);
        format!("{}, image {position}", batch.path.display())
    }

    fn container_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.find(index).0.path.clone())
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("CIFAR-{} `{}`{part}", self.kind.classes(), self.path.display())
    }
}
