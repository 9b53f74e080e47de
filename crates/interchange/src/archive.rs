//! An `Archive` is an opened file of tensors: names, types, shapes and places. Values are read on demand.
//!
//! | container | recognized by |
//! | --- | --- |
//! | PyTorch, zip | a zip archive with a `data.pkl` |
//! | PyTorch, legacy | the pickled magic number at the start |
//! | safetensors | the length of a JSON header, and the header |
//! | an index of shards | `*.index.json` |
//!
//! A folder stands for the weights in it under Hugging Face's names. Nested dicts give names such as
//! `teacher/backbone.cls_token`.
//!
//! Files are read piece by piece, never mapped: a mapped file that somebody shortens ends the process.

mod flatten;
mod index;
mod legacy;
mod part;
mod safetensors;
pub mod write;
mod zip;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::about::About;
use crate::dtype::Dtype;
use crate::error::Error;
use crate::pickle::{Failure, Kind, Tree, Value};
use part::{Bytes, Part, Place};

/// Names under which Hugging Face libraries store weights, in the order in which they look for them.
const IN_FOLDERS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// How the tensors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before: pickles and bytes one after the other.
    TorchLegacy,
    /// One safetensors file.
    Safetensors,
    /// An index and the files that it names.
    Shards,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (legacy)",
            Self::Safetensors => "safetensors",
            Self::Shards => "shards with an index",
        })
    }
}

/// What is known of a tensor without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name. Keys of nested dicts are separated by `/`.
    pub name: String,
    /// The type of its values.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    /// In values.
    offset: usize,
    place: Place,
}

impl TensorInfo {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is the same view of the same memory as another tensor.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        let (own, others) = ((&self.shape, &self.strides), (&other.shape, &other.strides));
        (&self.place, self.offset) == (&other.place, other.offset) && own == others
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}

/// An opened file of tensors.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    container: Container,
    parts: Vec<Part>,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
    tree: Option<Tree>,
    config: Option<serde_json::Value>,
    preprocessor: Option<serde_json::Value>,
    about: Option<About>,
    /// The storage that was read last: neighboring tensors often share one.
    last: Mutex<Option<(Place, Bytes)>>,
}

impl Archive {
    /// Opens a file or a folder.
    ///
    /// # Errors
    /// A file that cannot be read, has another format, is damaged, or holds more than tensors and plain data.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = if path.is_dir() {
            let found = || Error::NoCheckpoint {
                path: path.to_owned(),
                found: format!("a folder without {}", IN_FOLDERS.join(", ")),
            };
            let mut names = IN_FOLDERS.iter().map(|name| path.join(name));
            names.find(|path| path.is_file()).ok_or_else(found)?
        } else {
            path.to_owned()
        };
        let mut archive = if file.extension().is_some_and(|extension| extension == "json") {
            index::open(&file)?
        } else {
            Self::of_part(Part::open(&file)?)?
        };
        archive.config = index::json_beside(&file, "config.json")?;
        archive.preprocessor = index::json_beside(&file, "preprocessor_config.json")?;
        Ok(archive)
    }

    /// Whether a folder holds weights under a name of Hugging Face's.
    pub fn is_in(folder: &Path) -> bool {
        IN_FOLDERS.iter().any(|name| folder.join(name).is_file())
    }

    /// Reads an archive from memory. `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::of_part(Part::of_bytes(name, bytes))
    }

    fn of_part(part: Part) -> Result<Self, Error> {
        let start = part.read(0, part.len().min(16))?;
        let is_header = |start: &[u8]| {
            start.len() > 8 && start[8] == b'{' && start[6..8] == [0, 0] // less than 2^48 bytes
        };
        if start.starts_with(b"PK") {
            zip::open(part)
        } else if start.starts_with(&legacy::START) {
            legacy::open(part)
        } else if is_header(&start) {
            safetensors::open(part)
        } else {
            let found = describe(&start, part.len());
            Err(Error::NoCheckpoint { path: part.path().to_owned(), found })
        }
    }

    fn new(
        container: Container,
        parts: Vec<Part>,
        tensors: Vec<TensorInfo>,
        tree: Option<Tree>,
    ) -> Result<Self, Error> {
        let path = parts.first().map(|part| part.path().to_owned()).unwrap_or_default();
        let mut by_name = HashMap::with_capacity(tensors.len());
        for (i, tensor) in tensors.iter().enumerate() {
            if by_name.insert(tensor.name.clone(), i).is_some() {
                return Err(Error::Damaged {
                    path,
                    place: format!("tensor `{}`", tensor.name),
                    reason: "there are two of this name".to_owned(),
                });
            }
        }
        let last = Mutex::new(None);
        Ok(Self {
            path,
            container,
            parts,
            tensors,
            by_name,
            tree,
            config: None,
            preprocessor: None,
            about: None,
            last,
        })
    }

    /// The file. Of shards, the index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the tensors are stored.
    pub fn container(&self) -> Container {
        self.container
    }

    /// All tensors, in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|i| &self.tensors[*i])
    }

    /// The plain value under these keys, such as `["args", "arch"]`. Only pickles have some.
    pub fn plain(&self, keys: &[&str]) -> Option<&Value> {
        self.tree.as_ref()?.get(keys)
    }

    /// The `config.json` beside the weights, if they have a name of Hugging Face's.
    pub fn config(&self) -> Option<&serde_json::Value> {
        self.config.as_ref()
    }

    /// The `preprocessor_config.json` beside the weights, likewise.
    pub fn preprocessor(&self) -> Option<&serde_json::Value> {
        self.preprocessor.as_ref()
    }

    /// What the file says about itself, if this program has converted it.
    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// Size of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// The values of a tensor, row-major, in the file's type.
    ///
    /// # Errors
    /// If the file cannot be read, or its bytes are not those that were written.
    pub fn read(&self, tensor: &TensorInfo) -> Result<Vec<u8>, Error> {
        let size = tensor.dtype.size();
        if tensor.is_empty() {
            return Ok(Vec::new());
        }
        let storage = self.storage(&tensor.place)?;
        if tensor.is_contiguous() {
            return Ok(storage[tensor.offset * size..][..tensor.len() * size].to_vec());
        }
        let mut bytes = Vec::with_capacity(tensor.len() * size);
        gather(&storage, size, tensor.offset, (&tensor.shape, &tensor.strides), &mut bytes);
        Ok(bytes)
    }

    /// The values of a tensor of weights, row-major.
    ///
    /// # Errors
    /// As [`read`](Self::read); if they are no floating-point values; if one is NaN or infinite.
    pub fn read_f32(&self, tensor: &TensorInfo) -> Result<Vec<f32>, Error> {
        let (path, name) = (|| self.path.clone(), || tensor.name.clone());
        let values = tensor.dtype.to_f32(&self.read(tensor)?);
        let Some(values) = values else {
            let found = tensor.dtype.to_string();
            return Err(Error::Dtype { path: path(), name: name(), found });
        };
        match values.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(Error::NotFinite { path: path(), name: name(), value }),
            None => Ok(values),
        }
    }

    /// The bytes of a storage, checked against its checksum if there is one.
    fn storage(&self, place: &Place) -> Result<Bytes, Error> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((found, bytes)) = &*last
            && found == place
        {
            return Ok(bytes.clone());
        }
        let bytes: Bytes = self.parts[place.part].read_checked(place)?.into();
        *last = Some((place.clone(), bytes.clone()));
        Ok(bytes)
    }
}

/// Copies the values of a view, row-major.
fn gather(
    storage: &[u8],
    size: usize,
    first: usize,
    (shape, strides): (&[usize], &[usize]),
    bytes: &mut Vec<u8>,
) {
    match (shape, strides) {
        ([], _) => bytes.extend_from_slice(&storage[first * size..][..size]),
        ([count, shape @ ..], [stride, strides @ ..]) => {
            for i in 0..*count {
                gather(storage, size, first + i * stride, (shape, strides), bytes);
            }
        }
        _ => {}
    }
}

/// A pickle's failure with the file's path.
fn failed(path: &Path, failure: Failure) -> Error {
    let (path, offset) = (path.to_owned(), failure.offset);
    match failure.kind {
        Kind::Damaged(reason) => {
            Error::Damaged { path, place: format!("byte {offset} of its pickle"), reason }
        }
        Kind::Code(name) => Error::Code { path, name, offset },
        Kind::Unsupported(what) => Error::Unsupported { path, what },
    }
}

/// How an unknown file starts, in words.
fn describe(start: &[u8], len: u64) -> String {
    if len == 0 {
        return "it is empty".to_owned();
    }
    let known: [(&[u8], &str); 6] = [
        (b"\x89HDF", "it is an HDF5 file (Keras); convert it to safetensors first"),
        (b"\x1f\x8b", "it is a gzip archive; unpack it first"),
        (b"\x93NUMPY", "it is a NumPy array"),
        (b"GGUF", "it is a GGUF file"),
        (b"<", "it is a web page or XML, such as the error page of a failed download"),
        (
            b"version https://git-lfs",
            "it is a Git LFS pointer; fetch the file itself with `git lfs pull`",
        ),
    ];
    let known = known.iter().find(|(magic, _)| start.starts_with(&magic[..magic.len().min(16)]));
    known.map_or_else(
        || format!("it starts with the bytes {start:02x?}"),
        |(_, text)| (*text).to_owned(),
    )
}

/// A part of a file that can be searched, for readers of containers.
trait Source: Read + Seek {}
impl Source for Cursor<&[u8]> {}
impl Source for std::fs::File {}
impl<S: Source> Source for io::BufReader<S> {}
