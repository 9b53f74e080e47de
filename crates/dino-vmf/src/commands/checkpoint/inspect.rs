//! `dino-vmf checkpoint inspect`: format, network, parameters, and what a file can be used for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::config::Config;
use dino::memory::Bytes;
use dino::run_folder::{RunFolder, best_checkpoint};
use dino::{checkpoint, foreign};
use interchange::dialect::{self, Checkpoint, Heads, Mlp, Options, Positions, View};
use interchange::{About, Archive};
use report::number::counted;
use serde_json::{Value, json};

use crate::console::Console;

/// Show what a checkpoint holds: format, network, parameters, and what it can be used for
///
/// Reads PyTorch files (.pth, .pt, .bin; DINO, iBOT, DINOv2, timm), safetensors, folders of Hugging Face, and
/// run folders of this program. Nothing in a file is executed.
///
/// Example: dino-vmf checkpoint inspect dino_deitsmall16_pretrain_full_checkpoint.pth
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// File or folder to look into
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    path: PathBuf,
    /// Weights to look at, such as `student`; by default the teacher's
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Attention heads of a block, if the file does not say it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(allow_negative_numbers = true)]
    heads: Option<u16>,
}

impl Inspect {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let path = tensors_of(&self.path)?;
        let archive = Archive::open(&path)?;
        let heads = self.heads.map(usize::from).or_else(|| heads_of_run(&path));
        let options = Options { key: self.key.clone(), heads };
        let checkpoint = dialect::read(&archive, &options)?;
        let uses = uses(&checkpoint);
        console.event("checkpoint", &record(&archive, &checkpoint, &uses));
        for (title, text) in lines(&archive, &checkpoint) {
            console.text(format!("{title:<12} {text}"));
        }
        let differences = checkpoint.weights.differences();
        differences.missing.iter().for_each(|name| console.text(format!("missing      {name}")));
        differences.unexpected.iter().for_each(|name| console.text(format!("unexpected   {name}")));
        for (name, expected, found) in &differences.misshaped {
            console.text(format!("mis-shaped   {name}: {found:?} instead of {expected:?}"));
        }
        match uses {
            Ok(uses) => console.text(format!("usable for   {}", uses.join(", "))),
            Err(reasons) => {
                reasons.iter().for_each(|reason| console.text(format!("not usable   {reason}")));
            }
        }
        Ok(())
    }
}

/// The tensors of the newest checkpoint if the path is a run folder, of the best one for `RUN@best`; else the path.
fn tensors_of(path: &Path) -> Result<PathBuf> {
    if let Some(best) = best_checkpoint(path)? {
        return Ok(best.join(checkpoint::TENSORS));
    }
    let steps = if path.is_dir() { checkpoint::steps(path)? } else { Vec::new() };
    let newest =
        steps.last().map(|step| checkpoint::path_of(path, *step).join(checkpoint::TENSORS));
    Ok(newest.unwrap_or_else(|| path.to_owned()))
}

/// Attention heads, which the settings of the checkpoint's run say. `None` if this program has not written it.
fn heads_of_run(model: &Path) -> Option<usize> {
    let run = model.ancestors().nth(3).filter(|folder| RunFolder::is_run(folder))?;
    let config = Config::load(&run.join("config.toml")).ok()?;
    Some(config.model.sizes().heads)
}

/// What the checkpoint can be used for, or why for nothing.
fn uses(checkpoint: &Checkpoint) -> Result<Vec<&'static str>, Vec<String>> {
    let mut reasons = foreign::shapes(&checkpoint.network).err().unwrap_or_default();
    if !checkpoint.weights.differences().is_empty() {
        reasons.push("tensors are missing, unexpected or mis-shaped".to_owned());
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let mut uses = vec!["eval knn", "features", "export", "analyze features", "pretrain --init"];
    if checkpoint.network.head.is_some() {
        uses.push("analyze mixture");
    }
    Ok(uses)
}

/// Titles and texts of what is printed for people.
fn lines(archive: &Archive, checkpoint: &Checkpoint) -> Vec<(&'static str, String)> {
    let network = &checkpoint.network;
    let size = Bytes(archive.bytes() as f64);
    let mut lines = vec![
        ("format", format!("{}, {}, {size}", checkpoint.format, archive.container())),
        ("weights", weights(checkpoint)),
        (
            "network",
            format!(
                "width {}, {}, {}, {}, patches of {} pixels, {} channels",
                network.embed_dim,
                counted(network.depth, "block"),
                heads(network.heads),
                mlp(network.mlp),
                network.patch_size,
                network.channels
            ),
        ),
        ("", details(checkpoint)),
    ];
    if let Some(View { resize, crop }) = network.view {
        let shorter =
            resize.map_or("not resized".to_owned(), |side| format!("shorter side {side}"));
        lines.push(("images", format!("{shorter}, center crop of {crop} pixels")));
    }
    let (backbone, head) = network.parameters();
    lines.push(("parameters", format!("{backbone} in the backbone, {head} in the head")));
    if let Some(head) = network.head {
        let patches = head.patch_prototypes.map_or(String::new(), |n| format!(", {n} for patches"));
        let text = format!(
            "two layers of {}, bottleneck {}, {} prototypes{patches}",
            head.hidden_dim, head.bottleneck_dim, head.prototypes
        );
        lines.push(("head", text));
    }
    if let Some(epoch) = checkpoint.epoch {
        lines.push(("epoch", epoch.to_string()));
    }
    if let Some(about) = archive.about() {
        let About { program, source, origin, weights, .. } = about;
        let weights = if weights.is_empty() { "" } else { &format!("`{weights}` of ") };
        lines.push(("converted", format!("by {program} from {weights}`{source}` ({origin})")));
    }
    for (what, tensors) in &checkpoint.unused {
        lines.push(("not used", format!("{what}: {tensors} tensors")));
    }
    lines
}

fn weights(checkpoint: &Checkpoint) -> String {
    let count = checkpoint.weights.names().count();
    let key = match checkpoint.key.as_str() {
        "" => String::new(),
        key => format!("`{key}`, "),
    };
    let student = if checkpoint.student.is_some() { "; `student` beside it" } else { "" };
    let centers = match (&checkpoint.center, &checkpoint.patch_center) {
        (None, _) => "",
        (Some(_), None) => "; a center",
        (Some(_), Some(_)) => "; centers of [CLS] and of patches",
    };
    format!("{key}{count} tensors{student}{centers}")
}

fn details(checkpoint: &Checkpoint) -> String {
    let network = &checkpoint.network;
    let positions = match network.positions {
        Positions::Table { side, .. } => {
            format!("positions for {side} x {side} patches ({} pixels)", side * network.patch_size)
        }
        Positions::OddTable(rows) => format!("{rows} positions"),
        Positions::Rotary => "rotary positions".to_owned(),
    };
    let mut parts = vec![positions];
    if network.registers > 0 {
        parts.push(format!("{} registers", network.registers));
    }
    if network.layer_scale {
        parts.push("layer scale".to_owned());
    }
    if network.mask_token {
        parts.push("mask token".to_owned());
    }
    parts.push(if network.fused_qkv { "fused qkv" } else { "split qkv" }.to_owned());
    parts.push(format!("norms with ε = {:e}", network.norm_eps));
    parts.join(", ")
}

fn heads(heads: Heads) -> String {
    match heads {
        Heads::Known(heads) => counted(heads, "head"),
        Heads::Assumed(heads) => format!("{} (assumed from the width)", counted(heads, "head")),
        Heads::Unknown => "an unknown number of heads".to_owned(),
    }
}

fn mlp(mlp: Mlp) -> String {
    match mlp {
        Mlp::Gelu { hidden, .. } => format!("MLPs of {hidden}"),
        Mlp::SwiGlu { hidden } => format!("SwiGLU of {hidden}"),
    }
}

/// The same for programs.
fn record(
    archive: &Archive,
    checkpoint: &Checkpoint,
    uses: &Result<Vec<&'static str>, Vec<String>>,
) -> Value {
    let network = &checkpoint.network;
    let (backbone, head) = network.parameters();
    let (heads, assumed) = match network.heads {
        Heads::Known(heads) => (Some(heads), false),
        Heads::Assumed(heads) => (Some(heads), true),
        Heads::Unknown => (None, false),
    };
    let (mlp, mlp_hidden) = match network.mlp {
        Mlp::Gelu { hidden, .. } => ("gelu", hidden),
        Mlp::SwiGlu { hidden } => ("swiglu", hidden),
    };
    let differences = checkpoint.weights.differences();
    let misshaped: Vec<_> = differences.misshaped.iter().map(|(name, ..)| name).collect();
    let unused = checkpoint.unused.iter();
    let unused: Vec<_> =
        unused.map(|(what, tensors)| json!({ "what": what, "tensors": tensors })).collect();
    let head_shape = network.head.map(|head| {
        json!({
            "hidden_dim": head.hidden_dim, "bottleneck_dim": head.bottleneck_dim,
            "prototypes": head.prototypes, "patch_prototypes": head.patch_prototypes,
        })
    });
    json!({
        "path": archive.path(), "format": checkpoint.format.to_string(),
        "container": archive.container().to_string(), "bytes": archive.bytes(),
        "key": checkpoint.key, "tensors": checkpoint.weights.names().count(),
        "student": checkpoint.student.is_some(), "center": checkpoint.center,
        "patch_center": checkpoint.patch_center, "epoch": checkpoint.epoch,
        "converted": archive.about(), "view": network.view,
        "network": {
            "channels": network.channels, "embed_dim": network.embed_dim, "depth": network.depth,
            "heads": heads, "heads_assumed": assumed, "patch_size": network.patch_size,
            "image_size": network.image_size(), "registers": network.registers,
            "layer_scale": network.layer_scale, "mask_token": network.mask_token, "mlp": mlp,
            "mlp_hidden": mlp_hidden, "fused_qkv": network.fused_qkv, "norm_eps": network.norm_eps,
            "position_offset": network.position_offset, "head": head_shape,
        },
        "parameters": { "backbone": backbone, "head": head },
        "missing": differences.missing, "unexpected": differences.unexpected, "misshaped": misshaped,
        "unused": unused,
        "usable_for": uses.as_ref().unwrap_or(&Vec::new()),
        "not_usable": uses.as_ref().err(),
    })
}
