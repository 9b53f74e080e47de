//! Fingerprints of networks, by which finished results are found again.

use dino::open::Opened;
use sha2::{Digest, Sha256};

/// SHA-256 of a network: the shape of its backbone and the teacher's weights.
pub(super) fn of_network(opened: &Opened) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", opened.network.backbone.shape()));
    opened.teacher.whole().host().iter().for_each(|value| hash.update(value.to_le_bytes()));
    hex(&hash.finalize())
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
