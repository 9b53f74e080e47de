//! Fingerprints: SHA-256 in hexadecimal, by which equal contents are known again.

use engine::Params;
use sha2::{Digest, Sha256};

/// Values that are hashed at a time.
const CHUNK: usize = 1 << 14;

/// Bytes in hexadecimal: two lower-case digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes, in hexadecimal.
pub fn of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256, in hexadecimal, of a text followed by all weights as little-endian f32. The text says what the weights alone
/// do not, such as the shape of the network.
pub fn of_weights(text: &[u8], weights: &Params) -> String {
    let mut hash = Sha256::new();
    hash.update(text);
    let values = weights.whole().on_host();
    let mut bytes = Vec::with_capacity(CHUNK * size_of::<f32>());
    for values in values.host().chunks(CHUNK) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        hash.update(&bytes);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{ParamTable, Role};

    use super::*;

    #[test]
    fn fingerprints_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(b"abc"), expected);
    }

    #[test]
    fn weights_follow_the_text_byte_by_byte() {
        let mut table = ParamTable::default();
        table.add("weight", &[CHUNK + 3], Role::Weight);
        let mut weights = Params::zeros(Arc::new(table));
        for (i, value) in weights.whole_mut().host_mut().iter_mut().enumerate() {
            *value = i as f32 - 0.5;
        }
        let mut bytes = b"shape".to_vec();
        bytes.extend((0..CHUNK + 3).flat_map(|i| (i as f32 - 0.5).to_le_bytes()));
        assert_eq!(of_weights(b"shape", &weights), of(&bytes));
        assert_eq!(of_weights(b"", &weights), of(&bytes[b"shape".len()..]));
    }
}
