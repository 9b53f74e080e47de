//! `dino-vmf convert`: weights for PyTorch, timm and transformers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum, ValueHint};
use dino::conversion::{self, Converted, HUGGING_FACE, Request, Source};
use dino::open::Choices;
use interchange::FloatType;
use interchange::convert::Target;
use serde_json::json;

use super::network_role::NetworkRole;
use super::opening::Foreign;
use crate::console::{Console, Progress};
use crate::usage::Usage;

/// Write the weights of a checkpoint for PyTorch, timm or transformers
///
/// The backbone is written, with all of its values as they are. `--to` picks the names and the kind of file:
///
///   dino, ibot   .pth      what the projects' `load_pretrained_weights` reads; with `--full` a checkpoint from
///                          which their training goes on
///   timm         .safetensors or .pth, for `timm.create_model(…, checkpoint_path=…)`
///   hf           a folder, for `AutoModel.from_pretrained` and `AutoImageProcessor.from_pretrained`
///   safetensors  this program's names, with the head
///
/// The line of Python that loads the file is printed. What a format cannot hold is refused. No values are made up:
/// `--ignore` leaves unexpected tensors out, but a missing one that the file needs is an error.
///
/// Example: dino-vmf convert runs/photos --to timm photos.safetensors
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Convert {
    /// Run folder (its newest checkpoint), checkpoint folder, or a file of another program
    #[arg(value_name = "IN", value_hint = ValueHint::AnyPath)]
    input: PathBuf,
    /// The file, or for `hf` the folder, to write
    #[arg(value_name = "OUT", value_hint = ValueHint::AnyPath)]
    out: PathBuf,
    /// Program to write for
    #[arg(long, value_name = "FORMAT")]
    to: To,
    /// Type of the weights; f16 and bf16 take half the space and round
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: Float,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher", conflicts_with = "key")]
    network: NetworkRole,
    /// Also student, heads, centers, epoch and optimizer, for `dino` and `ibot`
    #[arg(long, conflicts_with_all = ["network", "key", "image_size"])]
    full: bool,
    /// Resample the position table for images of N pixels
    ///
    /// Programs resample positions in different ways. A table that is made for the size in use needs no resampling.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    #[arg(allow_negative_numbers = true)]
    image_size: Option<u32>,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    foreign: Foreign,
}

/// A format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    Dino,
    Ibot,
    Timm,
    Hf,
    Safetensors,
}

impl To {
    fn target(self) -> Target {
        match self {
            Self::Dino => Target::Dino,
            Self::Ibot => Target::Ibot,
            Self::Timm => Target::Timm,
            Self::Hf => Target::HuggingFace,
            Self::Safetensors => Target::Own,
        }
    }

    /// Endings of the files; none for folders.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Dino | Self::Ibot => &["pth", "pt"],
            Self::Timm => &["safetensors", "pth", "pt", "bin"],
            Self::Hf => &[],
            Self::Safetensors => &["safetensors"],
        }
    }
}

/// A type of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Float {
    F32,
    F16,
    Bf16,
}

impl Float {
    fn of_weights(self) -> FloatType {
        match self {
            Self::F32 => FloatType::F32,
            Self::F16 => FloatType::F16,
            Self::Bf16 => FloatType::BF16,
        }
    }
}

impl Convert {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.check_request()?;
        self.check_out()?;
        let source = Source::open(&self.input, &self.choices())?;
        source.warnings().iter().for_each(|text| console.warn(text));
        self.check_places(&source)?;
        let request = Request {
            target: self.to.target(),
            float: self.dtype.of_weights(),
            full: self.full,
            image_size: self.image_size.map(|side| side as usize),
        };
        let converted = conversion::convert(&source, &request, &self.out, &mut |done, total| {
            let (done, total, text) = (done as u64, total as u64, " tensors".to_owned());
            console.progress(&Progress { what: "convert", done, total, text }, false);
        });
        console.end_progress();
        self.print(&source, &converted?, console);
        Ok(())
    }

    fn choices(&self) -> Choices {
        let mut choices = self.foreign.choices();
        if self.network == NetworkRole::Student {
            choices.key = Some("student".to_owned());
        }
        choices
    }

    /// Refuses a name that does not fit the format, before anything is read.
    fn check_request(&self) -> Result<()> {
        if self.full && !matches!(self.to, To::Dino | To::Ibot) {
            bail!(Usage(
                "`--full` writes training checkpoints for `--to dino` and `--to ibot` alone"
                    .to_owned()
            ));
        }
        let (out, format) = (self.out.display(), self.to.target());
        let found = self.out.extension().map(|found| found.to_string_lossy().into_owned());
        match self.to.extensions() {
            [] => {
                let is_file = |name: &str| ["pth", "pt", "bin", "safetensors"].contains(&name);
                if found.is_some_and(|found| is_file(&found)) {
                    bail!(Usage(format!(
                        "`--to hf` writes a folder, but `{out}` is the name of a file"
                    )));
                }
            }
            wanted if !found.as_deref().is_some_and(|found| wanted.contains(&found)) => {
                let wanted: Vec<_> = wanted.iter().map(|ending| format!(".{ending}")).collect();
                bail!(Usage(format!(
                    "`--to {format}` writes a file that ends in {}, unlike `{out}`",
                    wanted.join(" or ")
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a place that cannot be written, or where something else lies.
    fn check_out(&self) -> Result<()> {
        let out = self.out.display();
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            bail!("cannot write `{out}`, because there is no folder `{}`", folder.display());
        }
        if fs::symlink_metadata(&self.out).is_err() {
            return Ok(());
        }
        if !self.force {
            bail!("`{out}` exists; `--force` replaces it");
        }
        match (self.to, self.out.is_dir()) {
            (To::Hf, true) => refuse_other_files(&self.out),
            (To::Hf, false) => bail!("`--to hf` writes a folder, but `{out}` is a file"),
            (_, true) => bail!("`{out}` is a folder, and a file is to be written"),
            _ => Ok(()),
        }
    }

    /// Refuses to replace the file that is read.
    fn check_places(&self, source: &Source) -> Result<()> {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let read = real(source.read_from());
        if read.is_some_and(|read| real(&self.out).is_some_and(|out| read.starts_with(out))) {
            bail!("`{}` is what is read; write to another place", self.out.display());
        }
        Ok(())
    }

    fn print(&self, source: &Source, converted: &Converted, console: &mut Console) {
        let Converted { files, tensors, bytes, python, notes } = converted;
        notes.iter().for_each(|note| console.note(note));
        console.event(
            "convert",
            &json!({
                "source": source.read_from(), "origin": source.origin(), "weights": source.key(),
                "format": self.to.target().to_string(), "files": files, "tensors": tensors,
                "bytes": bytes, "python": python, "notes": notes,
            }),
        );
        let (tensors, size) = (report::number::counted(*tensors, "tensor"), *bytes as f64 / 1e6);
        console.text(format!(
            "{tensors}, {size:.1} MB, in `{}`; from {}",
            self.out.display(),
            source.origin()
        ));
        console.text(format!("in Python: {python}"));
    }
}

/// A folder that is replaced may hold nothing but what is written.
fn refuse_other_files(folder: &Path) -> Result<()> {
    let read = || format!("cannot read `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(read)? {
        let name = entry.with_context(read)?.file_name();
        if HUGGING_FACE.iter().all(|known| name != *known) {
            let (name, folder) = (name.to_string_lossy(), folder.display());
            bail!(
                "`{folder}` also holds `{name}`, which `--force` does not remove; choose another folder"
            );
        }
    }
    Ok(())
}
