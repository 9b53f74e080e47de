//! Opens bytes as a checkpoint of another program, and reads its tensors and its network.

use interchange::Archive;
use interchange::dialect::{self, Options};

/// Limit on the bytes of an input that are read.
const READ: usize = 16 << 20;

/// Opens the bytes, reads tensors, and weights under this program's names.
pub fn read(bytes: &[u8]) {
    let Ok(archive) = Archive::from_bytes("fuzz", bytes.to_vec()) else { return };
    let mut left = READ;
    for tensor in archive.tensors() {
        let Some(rest) = left.checked_sub(tensor.len() * tensor.dtype.size()) else { return };
        left = rest;
        if let Ok(values) = archive.read(tensor) {
            assert_eq!(values.len(), tensor.len() * tensor.dtype.size());
        }
    }
    let Ok(checkpoint) = dialect::read(&archive, &Options::default()) else { return };
    if checkpoint.require_whole(&archive, &[]).is_err() {
        return;
    }
    for (name, shape) in checkpoint.network.tensors() {
        let values = checkpoint.weights.read(&archive, &checkpoint.network, &name, &shape);
        if let Ok(Some(values)) = values {
            assert_eq!(values.len(), shape.iter().product::<usize>());
        }
    }
}
