//! The result of `analyze mixture`, which tables, JSON and the page read.

use probe::analysis::mixture::{Component, Mixture};
use report::number::counted;
use serde::Serialize;

use crate::commands::network_role::NetworkRole;

/// Nearest images or patches that are kept for each component.
pub(super) const NEAREST: usize = 8;

/// The result, with the network and the images that it belongs to.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    pub(super) checkpoint: String,
    pub(super) step: Option<u64>,
    pub(super) network: NetworkRole,
    pub(super) data: String,
    pub(super) classes: &'a [String],
    #[serde(flatten)]
    pub(super) analysis: Analysis<'a>,
}

/// The mixture, and how images or patches were assigned to it.
#[derive(Debug, Serialize)]
pub(super) struct Analysis<'a> {
    pub(super) assigned: Unit,
    /// Number of images that could be read.
    #[serde(skip)]
    pub(super) images_read: usize,
    /// Patches per side of an image. Only with [`Unit::Patches`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patch_grid: Option<usize>,
    /// Width of the vectors that are assigned.
    pub(super) dimensions: usize,
    pub(super) temperature: f64,
    /// Whether the teacher's center was subtracted.
    pub(super) centered: bool,
    /// The images that vote in k-NN. None without labels and for patches.
    pub(super) voters: Option<&'a str>,
    /// Number of neighbors that vote for an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) neighbors: Option<usize>,
    #[serde(flatten)]
    pub(super) mixture: Mixture,
}

impl Analysis<'_> {
    /// Temperature and center in words.
    pub(super) fn describe_assignment(&self) -> String {
        let center = if self.centered { "with the center" } else { "without a center" };
        format!("temperature {}, {center}", self.temperature)
    }

    /// Number of patches in words. None for images.
    pub(super) fn describe_patches(&self) -> Option<String> {
        let side = self.patch_grid?;
        let patches = counted(self.mixture.images, "patch");
        Some(format!("{patches}, {side} x {side} of each image"))
    }
}

impl<'a> Record<'a> {
    /// The most frequent label of a component.
    pub(super) fn class_of(&self, component: &Component) -> Option<&'a str> {
        self.classes.get(component.label? as usize).map(String::as_str)
    }
}

/// What is assigned to components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Images,
    Patches,
}

impl Unit {
    /// One unit with its article.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Images => "an image",
            Self::Patches => "a patch",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Patches => "patches",
        }
    }
}
