//! `Format` names the program, or the naming, that a file has.

use std::fmt;

use super::groups::{Group, is_own};
use super::weights::Weights;
use crate::archive::Archive;

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// This program.
    Own,
    /// A training checkpoint of DINO.
    Dino,
    /// A training checkpoint of iBOT.
    Ibot,
    /// A backbone with the names that DINO, iBOT and timm share.
    Backbone,
    /// A backbone of DINOv2.
    DinoV2,
    /// A backbone of DINOv3.
    DinoV3,
    /// A model of timm.
    Timm,
    /// `ViTModel` of Hugging Face.
    HfVit,
    /// `Dinov2Model` of Hugging Face.
    HfDinoV2,
    /// `Dinov2WithRegistersModel` of Hugging Face.
    HfDinoV2Registers,
    /// `DINOv3ViTModel` of Hugging Face.
    HfDinoV3,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "dino-vmf",
            Self::Dino => "DINO training checkpoint",
            Self::Ibot => "iBOT training checkpoint",
            Self::Backbone => "backbone with DINO's names",
            Self::DinoV2 => "DINOv2 backbone",
            Self::DinoV3 => "DINOv3 backbone",
            Self::Timm => "timm model",
            Self::HfVit => "Hugging Face ViT",
            Self::HfDinoV2 => "Hugging Face Dinov2",
            Self::HfDinoV2Registers => "Hugging Face Dinov2-with-registers",
            Self::HfDinoV3 => "Hugging Face DINOv3",
        })
    }
}

impl Format {
    /// Recognizes it by the names of the tensors.
    pub(super) fn of(
        archive: &Archive,
        groups: &[Group<'_>],
        chosen: &Group<'_>,
        weights: &Weights,
    ) -> Self {
        let is_converted = archive.about().is_some_and(|about| about.format == "safetensors");
        if is_own(archive) || is_converted {
            return Self::Own;
        }
        let is_target = |name: &str| weights.shape(name).is_some();
        let contains = |text: &str| chosen.tensors.iter().any(|(name, _)| name.contains(text));
        let registers = is_target("backbone.register_tokens");
        if contains("embeddings.") {
            let is_rotary = !is_target("backbone.pos_embed") && registers;
            return match (is_rotary, registers, contains("layer_scale1.")) {
                (true, ..) => Self::HfDinoV3,
                (_, true, _) => Self::HfDinoV2Registers,
                (_, _, true) => Self::HfDinoV2,
                _ => Self::HfVit,
            };
        }
        if contains("storage_tokens") || contains("rope_embed") {
            return Self::DinoV3;
        }
        let names_ibot = |group: &Group<'_>| {
            let is_ibot =
                |name: &str| name.ends_with("masked_embed") || name.contains("last_layer2");
            group.key == "ibot_loss" || group.tensors.iter().any(|(name, _)| is_ibot(name))
        };
        if is_target("head.last_layer.weight_v")
            || groups.iter().any(|group| group.key == "dino_loss")
        {
            return if groups.iter().any(names_ibot) { Self::Ibot } else { Self::Dino };
        }
        if contains("register_tokens") || contains("mask_token") {
            return Self::DinoV2;
        }
        let is_classifier = weights.set_aside().any(|(what, _)| what == "a classifier");
        if contains("reg_token") || contains("ls1.gamma") || is_classifier {
            return Self::Timm;
        }
        if groups.iter().any(names_ibot) { Self::Ibot } else { Self::Backbone }
    }

    /// Whether it is a dialect of Hugging Face.
    pub fn is_hugging_face(self) -> bool {
        matches!(self, Self::HfVit | Self::HfDinoV2 | Self::HfDinoV2Registers | Self::HfDinoV3)
    }
}
