//! Writes the weights of a checkpoint for another program.
//!
//! ```text
//! path ─▶ Source ─▶ interchange::convert::Layout ─▶ file or folder
//!         network, values, settings of a run       names of the other program
//! ```
//!
//! A file appears whole or not at all. Values are read and written one tensor at a time.

mod positions;
mod source;
mod training;

use std::fs;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use interchange::archive::write::{self, StorageInfo, TensorMeta};
use interchange::convert::{self, Layout, Target};
use interchange::dialect::Network;
use interchange::pickle::Object;
use interchange::{About, FloatType};

use crate::error::{Error, Result, io_error};
pub use source::Source;
use source::Weights;

/// What is written.
#[derive(Debug, Clone)]
pub struct Request {
    /// The program that the file is for.
    pub target: Target,
    /// The type of the weights.
    pub float: FloatType,
    /// All that training goes on with: student, teacher, heads, centers, optimizer. For DINO and iBOT.
    pub full: bool,
    /// Side of the images, in pixels, that the position table is resampled for.
    pub image_size: Option<usize>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Number of tensors.
    pub tensors: usize,
    /// Size of the file of weights, in bytes.
    pub bytes: u64,
    /// The line of Python that opens it.
    pub python: String,
    /// What a user should know: what was left out, added or rounded.
    pub notes: Vec<String>,
}

/// Names of the files in a folder of Hugging Face.
pub const HUGGING_FACE: [&str; 3] =
    ["model.safetensors", "config.json", "preprocessor_config.json"];

/// Called with the number of tensors that are written, and of all.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Writes `out`, which replaces what is there.
///
/// # Errors
/// A network that the other program cannot hold; values that the type cannot hold; a file that cannot be read or
/// written. `out` is as it was before, then.
pub fn convert(
    source: &Source,
    request: &Request,
    out: &Path,
    progress: &mut Progress<'_>,
) -> Result<Converted> {
    let mut network = source.network().clone();
    let positions = request.image_size.map(|side| positions::Resampled::new(&mut network, side));
    let weights = source.weights(positions.transpose()?);
    let mut notes: Vec<_> = source.rounding_note(request.float).into_iter().collect();
    let target = request.target;
    let layout = target.layout(&network).map_err(|reasons| refused(source, target, reasons))?;
    if !request.full {
        notes.extend(left_out(&layout, target));
        notes.extend(layout.added.iter().map(|what| format!("added: {what}")));
        if target == Target::Own && source.has_center() {
            notes.push("not written: the center of the prototypes' scores".to_owned());
        }
    }
    notes.extend(resampling_note(target, &network));
    let about = source.about(target, &network);
    let job = Job { weights: &weights, float: request.float, about: &about };
    let mut python = target.python(&network, &out.display().to_string());
    let (files, tensors) = if request.full {
        let training = training::Training::of(source, target)?;
        notes.extend(training.notes.iter().cloned());
        python = training.python(out);
        in_file(out, |file| job.training(file, &training, progress))?;
        (vec![out.to_owned()], training.tensors())
    } else if target == Target::HuggingFace {
        (job.folder(out, &layout, &network, (source, progress))?, layout.tensors.len())
    } else {
        let is_safetensors = out.extension().is_some_and(|extension| extension == "safetensors");
        in_file(out, |file| match is_safetensors {
            true => job.safetensors(file, &layout, progress),
            false => job.torch(file, &layout, progress),
        })?;
        (vec![out.to_owned()], layout.tensors.len())
    };
    let bytes = fs::metadata(&files[0]).map_err(io_error("read", &files[0]))?.len();
    Ok(Converted { files, tensors, bytes, python, notes })
}

/// How weights get into files.
struct Job<'a> {
    weights: &'a Weights<'a>,
    float: FloatType,
    about: &'a About,
}

impl Job<'_> {
    /// The bytes of a tensor.
    fn bytes(&self, layout: &Layout, i: usize, progress: &mut Progress<'_>) -> Result<Vec<u8>> {
        progress(i, layout.tensors.len());
        let placed = &layout.tensors[i];
        let values = placed.values.resolve(&placed.shape, |name| self.weights.read(name))?;
        self.to_bytes(&placed.name, &values)
    }

    /// The bytes of values in the type that was asked for.
    fn to_bytes(&self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        match values.iter().find(|value| !self.float.holds(**value)) {
            None => Ok(self.float.to_bytes(values)),
            Some(&value) => Err(interchange::Error::TooLarge {
                name: name.to_owned(),
                value,
                dtype: self.float.dtype().to_string(),
            }
            .into()),
        }
    }

    fn safetensors(
        &self,
        out: impl Write,
        layout: &Layout,
        progress: &mut Progress<'_>,
    ) -> Result<(), Stopped> {
        let dtype = self.float.dtype();
        let tensors = layout.tensors.iter();
        let tensors: Vec<_> = tensors
            .map(|placed| TensorMeta {
                name: placed.name.clone(),
                dtype,
                shape: placed.shape.clone(),
            })
            .collect();
        write::safetensors(
            out,
            &tensors,
            Some(self.about),
            |i| Ok(self.bytes(layout, i, progress)?),
        )
    }

    /// A dict of tensors: what `state_dict` gives.
    fn torch(
        &self,
        out: impl Write + Seek,
        layout: &Layout,
        progress: &mut Progress<'_>,
    ) -> Result<(), Stopped> {
        let dtype = self.float.dtype();
        let entries = layout.tensors.iter().enumerate();
        let entries = entries.map(|(storage, placed)| {
            (placed.name.as_str(), Object::Tensor { storage, dtype, shape: placed.shape.clone() })
        });
        let storages = layout.tensors.iter();
        let storages: Vec<_> = storages
            .map(|placed| StorageInfo { dtype, len: placed.shape.iter().product() })
            .collect();
        let object = Object::dict(entries);
        write::torch(out, &object, &storages, Some(self.about), |i| {
            Ok(self.bytes(layout, i, progress)?)
        })
    }

    fn training(
        &self,
        out: impl Write + Seek,
        training: &training::Training<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Stopped> {
        let object = training.object(self.float.dtype());
        let storages = training.storages(self.float.dtype());
        write::torch(out, &object, &storages, Some(self.about), |i| {
            progress(i, storages.len());
            let (name, values, is_weight) = training.values(i)?;
            Ok(match is_weight {
                true => self.to_bytes(&name, &values)?,
                false => FloatType::F32.to_bytes(&values),
            })
        })
    }

    /// The folder that `from_pretrained` opens.
    fn folder(
        &self,
        out: &Path,
        layout: &Layout,
        network: &Network,
        (source, progress): (&Source, &mut Progress<'_>),
    ) -> Result<Vec<PathBuf>> {
        let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (temporary, aside) = (
            out.with_file_name(format!(".tmp-{name}")),
            out.with_file_name(format!(".old-{name}")),
        );
        let json = |value: &serde_json::Value| format!("{value:#}\n").into_bytes();
        let config = convert::config(network, torch_name(self.float));
        let (resize, crop) = source.resize_and_crop(network);
        let preprocessor = convert::preprocessor(network, resize, crop);
        let write = || -> Result<()> {
            if temporary.exists() {
                fs::remove_dir_all(&temporary).map_err(io_error("remove", &temporary))?;
            }
            fs::create_dir(&temporary).map_err(io_error("create", &temporary))?;
            in_file(&temporary.join(HUGGING_FACE[0]), |file| {
                self.safetensors(file, layout, progress)
            })?;
            for (name, content) in [(HUGGING_FACE[1], config), (HUGGING_FACE[2], preprocessor)] {
                let path = temporary.join(name);
                atomic_file::write(&path, &json(&content)).map_err(io_error("write", &path))?;
            }
            atomic_file::replace_folder(&temporary, out, &aside).map_err(io_error("write", out))
        };
        // the first error is the one to report
        write().inspect_err(|_| drop(fs::remove_dir_all(&temporary)))?;
        Ok(HUGGING_FACE.iter().map(|name| out.join(name)).collect())
    }
}

/// Why a file was not written to its end.
enum Stopped {
    /// It could not be written.
    Io(io::Error),
    /// There was nothing to write.
    Source(Box<Error>),
}

impl From<io::Error> for Stopped {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Source(Box::new(error))
    }
}

/// Writes a file, whole or not at all.
fn in_file(
    path: &Path,
    content: impl FnOnce(&mut io::BufWriter<&fs::File>) -> Result<(), Stopped>,
) -> Result<()> {
    let mut stopped = None;
    let written = atomic_file::write_with(path, |file| {
        content(file).map_err(|reason| match reason {
            Stopped::Io(error) => error,
            Stopped::Source(error) => {
                stopped = Some(*error);
                io::Error::other("the source cannot be read")
            }
        })
    });
    match stopped {
        Some(error) => Err(error),
        None => written.map_err(io_error("write", path)),
    }
}

fn torch_name(float: FloatType) -> &'static str {
    match float {
        FloatType::F32 => "float32",
        FloatType::F16 => "float16",
        FloatType::BF16 => "bfloat16",
    }
}

/// The error that names what the target cannot hold, and a target that can.
fn refused(source: &Source, target: Target, reasons: Vec<String>) -> Error {
    let other = Target::ALL.into_iter().find(|other| other.layout(source.network()).is_ok());
    let error = interchange::Error::NotExpressible {
        path: source.path().to_owned(),
        target: target.to_string(),
        reasons: reasons.join(", "),
        instead: other.map(|other| other.to_string()),
    };
    error.into()
}

/// What the other program has no place for.
fn left_out(layout: &Layout, target: Target) -> Vec<String> {
    let (heads, others): (Vec<_>, Vec<_>) =
        layout.left_out.iter().partition(|name| name.starts_with("head."));
    let mut notes = Vec::new();
    if !heads.is_empty() {
        let more = match target {
            Target::Dino | Target::Ibot => "; `--full` writes it, with student and teacher",
            _ => "",
        };
        notes.push(format!("not written: the head, {} tensors{more}", heads.len()));
    }
    for name in others {
        let name = name.strip_prefix("backbone.").unwrap_or(name);
        notes.push(format!("not written: `{name}`, which {target} has no place for"));
    }
    notes
}

/// Where the other program's tokens differ, because it resamples positions in its own way.
fn resampling_note(target: Target, network: &Network) -> Option<String> {
    let (offset, antialias) = target.resampling(network)?;
    let size = network.image_size()?;
    let mut differences = Vec::new();
    if offset != network.position_offset {
        differences.push(format!("an offset of {offset} instead of {}", network.position_offset));
    }
    if antialias != network.antialias {
        differences.push(if antialias { "antialiasing" } else { "no antialiasing" }.to_owned());
    }
    (!differences.is_empty()).then(|| {
        format!(
            "tokens are the same for images of {size} pixels; for other sizes {target} resamples positions with \
             {}, and `--image-size N` writes a table for N pixels",
            differences.join(" and ")
        )
    })
}
