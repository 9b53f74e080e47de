//! What tensors do not tell: heads, ε, GELU, how positions are resampled. A file that this program converted says it
//! itself. Else `config.json` and a checkpoint's arguments say it, or the program that wrote the file always did it
//! one way.

use serde_json::Value as Json;

use super::format::Format;
use super::network::{Gelu, Heads, View};
use crate::archive::Archive;

/// Values for a head in all published sizes.
const HEAD_DIM: usize = 64;

pub(super) struct Settings {
    format: Format,
    /// How positions are resampled, if the file says it: the offset, and whether with antialiasing.
    resampling: Option<(f64, bool)>,
    pub(super) norm_eps: f64,
    pub(super) gelu: Gelu,
    pub(super) pixels: Option<(Vec<f64>, Vec<f64>)>,
    pub(super) view: Option<View>,
}

pub(super) fn of(archive: &Archive, format: Format) -> Settings {
    let config = archive.config().filter(|_| format.is_hugging_face());
    let number = |key: &str| config.and_then(|config| config[key].as_f64());
    // each program's default
    let norm_eps = number("layer_norm_eps").unwrap_or(match format {
        Format::HfVit => 1e-12,
        Format::DinoV3 | Format::HfDinoV3 => 1e-5,
        _ => 1e-6,
    });
    let gelu = match config.and_then(|config| config["hidden_act"].as_str()) {
        None | Some("gelu") => Gelu::Exact,
        Some("gelu_new" | "gelu_fast" | "gelu_pytorch_tanh") => Gelu::Tanh,
        Some(_) => Gelu::Other,
    };
    let (pixels, view) = (pixels(archive), view(archive));
    let mut settings = Settings { format, resampling: None, norm_eps, gelu, pixels, view };
    if let Some(about) = archive.about() {
        settings.resampling = Some((about.position_offset, about.position_antialias));
        settings.norm_eps = about.norm_eps;
        settings.gelu = if about.gelu_tanh { Gelu::Tanh } else { Gelu::Exact };
        settings.pixels = about.mean.clone().zip(about.std.clone()).or(settings.pixels);
        settings.view = about.view.or(settings.view);
    }
    settings
}

impl Settings {
    /// What is added to the number of patches when positions are resampled.
    pub(super) fn position_offset(&self, registers: usize) -> f64 {
        match self.format {
            _ if self.resampling.is_some() => self.resampling.map_or(0.0, |(offset, _)| offset),
            Format::Own | Format::Dino | Format::Ibot | Format::Backbone => 0.1,
            Format::DinoV2 if registers == 0 => 0.1,
            _ => 0.0,
        }
    }

    /// Whether positions are resampled with antialiasing.
    pub(super) fn antialias(&self, registers: usize) -> bool {
        match self.format {
            _ if self.resampling.is_some() => self.resampling.is_some_and(|(_, smooth)| smooth),
            Format::Timm | Format::HfDinoV2Registers => true,
            Format::DinoV2 => registers > 0,
            _ => false,
        }
    }
}

/// Mean and standard deviation of pixels.
fn pixels(archive: &Archive) -> Option<(Vec<f64>, Vec<f64>)> {
    let numbers = |json: &Json, key: &str| -> Option<Vec<f64>> {
        json[key].as_array()?.iter().map(Json::as_f64).collect()
    };
    let read = |json: &Json, mean: &str, std: &str| numbers(json, mean).zip(numbers(json, std));
    let hugging_face =
        archive.preprocessor().and_then(|json| read(json, "image_mean", "image_std"));
    let timm = || archive.config().and_then(|json| read(&json["pretrained_cfg"], "mean", "std"));
    hugging_face.or_else(timm)
}

/// The center crop of `preprocessor_config.json`, if there is one and it is a square.
fn view(archive: &Archive) -> Option<View> {
    let json = archive.preprocessor()?;
    let side = |of: &Json| of.as_u64().and_then(|side| usize::try_from(side).ok());
    let [height, width] = ["height", "width"].map(|key| side(&json["crop_size"][key]));
    let crop = side(&json["crop_size"]).or(height.filter(|_| height == width))?;
    let is_cut = json["do_center_crop"] != Json::Bool(false);
    let resize = side(&json["size"]["shortest_edge"]).or(side(&json["size"]))?;
    is_cut.then_some(View { resize: Some(resize), crop })
}

/// The number of attention heads: as given, as the file says, or as in all published sizes.
pub(super) fn heads(archive: &Archive, given: Option<usize>, embed_dim: usize) -> Heads {
    let count = |json: &Json, key: &str| usize::try_from(json[key].as_u64()?).ok();
    let config = || archive.config().and_then(|json| count(json, "num_attention_heads"));
    let arch = || {
        let name = archive.plain(&["args", "arch"])?.as_text()?;
        let size =
            ["tiny", "small", "base", "large"].iter().position(|size| name.contains(size))?;
        let (width, heads) = [(192, 3), (384, 6), (768, 12), (1024, 16)][size];
        (width == embed_dim).then_some(heads)
    };
    let about = || archive.about().and_then(|about| about.heads);
    match given.or_else(about).or_else(config).or_else(arch) {
        Some(heads) => Heads::Known(heads),
        // the two published widths with other heads: ViT-H and ViT-g
        None if embed_dim == 1280 || embed_dim == 1408 => Heads::Assumed(16),
        None if embed_dim.is_multiple_of(HEAD_DIM) => Heads::Assumed(embed_dim / HEAD_DIM),
        None => Heads::Unknown,
    }
}
