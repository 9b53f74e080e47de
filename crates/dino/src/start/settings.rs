//! Settings that follow from the checkpoint of a run: the shape of its network, and how training goes on.
//!
//! They stand between the preset and what a person wrote. What a person wrote about the network must agree with
//! the checkpoint.

use toml::{Table, Value};

use super::head;
use crate::config::{self, Config};
use crate::error::Result;
use crate::open::Opened;

/// Keys that the checkpoint decides, whoever says otherwise.
const OF_BACKBONE: [&str; 14] = [
    "model.arch",
    "model.embed_dim",
    "model.depth",
    "model.heads",
    "model.patch_size",
    "model.mlp_ratio",
    "model.layer_scale",
    "model.image_size",
    "model.position_offset",
    "model.position_antialias",
    "model.registers",
    "model.mlp",
    "model.norm_eps",
    "data.channels",
];
/// The same of a head.
const OF_HEAD: [&str; 4] =
    ["model.head_hidden_dim", "model.bottleneck_dim", "model.prototypes", "model.patch_prototypes"];
/// Learning rate of fresh heads for 256 images, and what the backbone has of it: the pretrained layers need small
/// steps, the new ones DINO's.
const LR: f64 = 5e-4;
const BACKBONE_LR: f64 = 0.1;
/// Least momentum of the teacher, which starts as good as it is.
const MOMENTUM: f64 = 0.996;
/// Epochs in which fresh heads learn on a frozen backbone, and in which the learning rate rises.
const WARMUP_EPOCHS: f64 = 1.0;

/// Settings that follow from a checkpoint.
pub(crate) struct OfCheckpoint {
    /// Keys and values, for the layer between the preset and what a person wrote.
    pub(crate) keys: Vec<(String, Value)>,
    opened: Opened,
}

/// The settings that follow from the checkpoint of `base`, which has those of the preset and of a person. `None`
/// if the run starts from random weights.
///
/// # Errors
/// The checkpoint cannot be read.
pub(crate) fn of_checkpoint(base: &Config) -> Result<Option<OfCheckpoint>> {
    let Some(opened) = super::open(base)? else { return Ok(None) };
    Ok(Some(OfCheckpoint { keys: keys(base, &opened), opened }))
}

fn keys(base: &Config, opened: &Opened) -> Vec<(String, Value)> {
    let theirs = opened.config.completed();
    let table = Table::try_from(&theirs).unwrap_or_default();
    let mut keys: Vec<(String, Value)> = Vec::new();
    let head = head(base, opened);
    let of_head = OF_HEAD.iter().filter(|_| head.is_some());
    for key in OF_BACKBONE.iter().chain(of_head) {
        keys.push(((*key).to_owned(), value(&table, key)));
    }
    if base.origin("data.mean").by_hand() || base.origin("data.std").by_hand() {
        // a person knows the images
    } else {
        keys.extend(["data.mean", "data.std"].map(|key| (key.to_owned(), value(&table, key))));
    }
    let mut set = |key: &str, value: Value| keys.push((key.to_owned(), value));
    let patch = theirs.model.patch_size;
    for (key, side) in
        [("data.global_size", base.data.global_size), ("data.local_size", base.data.local_size)]
    {
        set(key, whole_patches(side, patch).into());
    }
    let crop = whole_patches(base.eval.crop.unwrap_or(base.data.global_size), patch);
    set("eval.crop", crop.into());
    let resize = base.eval.resize.unwrap_or(0).max(crop as usize);
    set("eval.resize", (resize as i64).into());
    set("eval.every_epochs", (base.eval.every_epochs.max(1) as i64).into());
    set("model.init_std", 0.02.into());
    set("optim.lr", LR.into());
    set("optim.warmup_epochs", WARMUP_EPOCHS.into());
    set("optim.backbone_lr", BACKBONE_LR.into());
    set("optim.teacher_momentum", base.optim.teacher_momentum.max(MOMENTUM).into());
    set("optim.teacher_momentum_end", base.optim.teacher_momentum_end.max(MOMENTUM).into());
    set("optim.freeze_last_layer_epochs", 0.0.into());
    let frozen = if head.is_some() { 0.0 } else { WARMUP_EPOCHS };
    set("optim.freeze_backbone_epochs", frozen.into());
    if head.is_some() {
        set("objective.method", value(&table, "objective.method"));
        for key in ["prototype_norm", "centering", "debye_terms"] {
            let key = format!("objective.{key}");
            let value = value(&table, &key);
            set(&key, value);
        }
        set("objective.teacher_temp_warmup_epochs", 0.0.into());
    }
    keys
}

/// A value in a configuration; `none` for an option that is off.
fn value(table: &Table, key: &str) -> Value {
    let (section, name) = key.split_once('.').unwrap_or_default();
    let found = table.get(section).and_then(|section| section.get(name)).cloned();
    found.unwrap_or_else(|| "none".into())
}

/// The nearest number of whole patches, at least one, in pixels.
fn whole_patches(side: usize, patch: usize) -> i64 {
    ((side + patch / 2) / patch).max(1) as i64 * patch as i64
}

impl OfCheckpoint {
    /// What somebody should read before the run starts, a line for each.
    pub(crate) fn text(&self, config: &Config) -> String {
        let (opened, optim) = (&self.opened, &config.optim);
        let what = match head(config, opened) {
            Some(_) => "its backbone, heads and centers".to_owned(),
            None => format!(
                "its backbone; fresh heads warm up for {} epochs on a frozen backbone",
                optim.freeze_backbone_epochs
            ),
        };
        let text = format!(
            "starts from `{}`, {}: {what}; learning rate {:e} for 256 images, {} of it for the backbone \
             (`optim.backbone_lr`); momentum of the teacher {}; see docs/checkpoints.md",
            opened.path.display(),
            opened.origin,
            optim.lr,
            optim.backbone_lr,
            optim.teacher_momentum
        );
        let warnings =
            opened.warnings.iter().map(|warning| format!("\nof the checkpoint: {warning}"));
        text + &warnings.collect::<String>()
    }

    /// As [`check()`].
    ///
    /// # Errors
    /// The first key that differs.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        check(config, &self.opened)
    }
}

/// Refuses settings about the network that do not agree with the checkpoint.
///
/// # Errors
/// The first key that differs.
pub(crate) fn check(config: &Config, opened: &Opened) -> Result<()> {
    let tables = [config, &opened.config]
        .map(|config| Table::try_from(config.completed()).unwrap_or_default());
    let keys = OF_BACKBONE.iter();
    let of_head = OF_HEAD.iter().filter(|_| head(config, opened).is_some());
    for key in keys.chain(of_head) {
        let [ours, theirs] = [&tables[0], &tables[1]].map(|table| value(table, key));
        // Only methods that mask have prototypes for patches alone, and sizes say what an architecture is.
        let is_said = *key == "model.arch"
            || *key == "model.patch_prototypes" && !config.objective.method.masks();
        if ours != theirs && !is_said {
            let path = opened.path.display();
            // Nobody wrote the width that an architecture stands for.
            let arch = "model.arch";
            let follows = !config.origin(key).by_hand() && config.origin(arch).by_hand();
            let (key, found, needed) = match follows {
                true => (arch, value(&tables[0], arch), format!("have `{key}` = {theirs}")),
                false => (*key, ours, format!("be {theirs}")),
            };
            return Err(config::Error::BadValue {
                key: key.to_owned(),
                origin: config.origin(key),
                found: found.to_string(),
                needed: format!("{needed}, as in the checkpoint `{path}` (`--init`): leave it out"),
            }
            .into());
        }
    }
    Ok(())
}
