//! Fingerprints of networks, by which finished results are found again.

use anyhow::Result;
use dino::config::Run;
use dino::fingerprint;
use dino::open::Opened;

/// SHA-256 of a network: the shape of its backbone and the teacher's weights.
pub(super) fn of_network(opened: &Opened) -> String {
    let shape = format!("{:?}", opened.network.backbone.shape());
    fingerprint::of_weights(shape.as_bytes(), &opened.teacher)
}

/// SHA-256 of a network with the settings that it brings along, which say how it sees images and what its scores mean.
///
/// # Errors
/// The settings cannot be written down.
pub(super) fn of_checkpoint(opened: &Opened) -> Result<String> {
    let mut config = opened.config.clone();
    config.run = Run::default();
    let settings = serde_json::to_string(&config)?;
    Ok(fingerprint::of(format!("{} {settings}", of_network(opened)).as_bytes()))
}
