//! Fingerprints of networks, by which finished results are found again.

use dino::fingerprint;
use dino::open::Opened;

/// SHA-256 of a network: the shape of its backbone and the teacher's weights.
pub(super) fn of_network(opened: &Opened) -> String {
    let shape = format!("{:?}", opened.network.backbone.shape());
    fingerprint::of_weights(shape.as_bytes(), &opened.teacher)
}
