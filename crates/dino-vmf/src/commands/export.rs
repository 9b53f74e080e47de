//! `dino-vmf export`: the backbone as a file that other programs run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum, ValueHint};
use dino::memory::Bytes;
use dino::open::Opened;
use engine::Params;
use onnx::message::{Graph, Length, ValueInfo};
use onnx::{Precision, write};
use serde_json::json;

use super::network_role::NetworkRole;
use super::opening::CheckpointArgument;
use crate::console::Console;
use crate::usage::Usage;

/// Write the backbone to a file that other programs run: ONNX
///
/// The file takes normalized images, `images` [batch, channels, height, width], in any number and of any size.
/// It gives the tokens after the final norm: `cls` [batch, width], `patches` [batch, patches, width] and, if the
/// network has them, `registers`. ONNX Runtime, TensorRT and others run it; viewers such as Netron show it with
/// the names of the network's layers. How images are resized, cropped and normalized stands in the file's
/// metadata.
///
/// Weights of more than 2 GB lie in a second file, NAME.onnx.data.
///
/// Example: dino-vmf export --to onnx runs/photos photos.onnx
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    checkpoint: CheckpointArgument,
    /// The file, which ends in .onnx; an older one is replaced
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Format of the file
    #[arg(long, value_name = "FORMAT", default_value = "onnx")]
    to: Format,
    /// Of weights and arithmetic: `f32`, or `f16` for half the size; images and tokens are f32
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: Dtype,
    /// Take images of this size alone, in pixels
    ///
    /// The graph is simpler: the position table is resampled now. Some compilers for accelerators need it.
    #[arg(long, value_names = ["HEIGHT", "WIDTH"], num_args = 2)]
    fixed_size: Option<Vec<usize>>,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Onnx,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    F32,
    F16,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
        }
    }
}

impl Export {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let Format::Onnx = self.to;
        if self.out.extension().is_none_or(|extension| extension != "onnx") {
            let out = self.out.display();
            bail!(Usage(format!(
                "`{out}` does not end in .onnx; name the checkpoint first, then the file to write"
            )));
        }
        let opened = self.checkpoint.named().open(console)?;
        self.network.require(&opened)?;
        let graph = self.graph(&opened)?;
        let outputs = graph.output.iter().map(described).collect::<Vec<_>>();
        let model = onnx::model(
            graph,
            env!("CARGO_PKG_VERSION"),
            "Backbone of a vision transformer that was trained by self-distillation. The metadata says how to \
             prepare images.",
            &self.properties(&opened),
        );
        let files = write::write(model, &self.out, write::MAX_MESSAGE)?;
        let bytes = files.iter().map(|file| size(file)).sum::<Result<u64>>()?;
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        console.event(
            "export",
            &json!({
                "files": names, "bytes": bytes, "opset": onnx::OPSET, "outputs": outputs,
                "metadata": serde_json::Map::from_iter(
                    self.properties(&opened).into_iter().map(|(key, value)| (key, value.into()))
                ),
            }),
        );
        let size = match self.fixed_size.as_deref() {
            Some([height, width]) => format!("images of {height} x {width}"),
            _ => "images of any size".to_owned(),
        };
        console.text(format!(
            "`{}`: {}, opset {}; {size} to {}",
            names.join("` and `"),
            Bytes(bytes as f64),
            onnx::OPSET,
            outputs.join(", ")
        ));
        Ok(())
    }

    fn graph(&self, opened: &Opened) -> Result<Graph> {
        let params: &Params = self.network.encoder(opened).params;
        let export = onnx::Export {
            prefix: "backbone.",
            precision: self.dtype.into(),
            size: self.fixed_size.as_deref().map(|size| (size[0], size[1])),
        };
        Ok(onnx::backbone::graph(&opened.network.backbone, params, &export)?)
    }

    /// What the file says about itself, and about how images are prepared.
    fn properties(&self, opened: &Opened) -> Vec<(String, String)> {
        let (data, eval) = (&opened.config.data, &opened.config.eval);
        let pixels = |side: Option<usize>| side.map_or("none".to_owned(), |side| side.to_string());
        let channels = match data.channels {
            1 => "gray".to_owned(),
            3 => "RGB".to_owned(),
            channels => format!("{channels}, in the order of the files"),
        };
        let entries = [
            ("checkpoint", opened.path.display().to_string()),
            ("step", opened.step.map_or("unknown".to_owned(), |step| step.to_string())),
            ("origin", opened.origin.clone()),
            ("network", self.network.name().to_owned()),
            ("patch_size", opened.network.backbone.shape().patch_size.to_string()),
            ("preprocessing", PREPROCESSING.to_owned()),
            ("resize", pixels(eval.resize)),
            ("resize_filter", "bicubic with antialiasing, as Pillow's BICUBIC".to_owned()),
            ("crop", pixels(eval.crop)),
            ("channels", channels),
            ("mean", json!(data.mean()).to_string()),
            ("std", json!(data.std()).to_string()),
        ];
        entries.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

/// What the other entries mean.
const PREPROCESSING: &str = "Resize the shorter side to `resize` pixels (none: keep it). Cut out the central \
    square of side `crop` (none: the largest that patches fill). Scale values to 0 .. 1, subtract `mean` and \
    divide by `std`, for each of the `channels`. Order of axes: batch, channels, height, width.";

/// An output with its shape.
fn described(output: &ValueInfo) -> String {
    let tensor = output.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    let dimensions = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |s| &s.dim);
    let length = |length: &Option<Length>| match length {
        Some(Length::Value(length)) => length.to_string(),
        Some(Length::Param(name)) => name.clone(),
        None => "?".to_owned(),
    };
    let shape: Vec<String> = dimensions.iter().map(|d| length(&d.length)).collect();
    format!("{} [{}]", output.name, shape.join(", "))
}

fn size(file: &Path) -> Result<u64> {
    let metadata = file.metadata();
    Ok(metadata.with_context(|| format!("cannot read `{}`", file.display()))?.len())
}
