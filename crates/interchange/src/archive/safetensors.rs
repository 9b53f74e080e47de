//! safetensors: the length of a JSON header, the header, the values.

use safetensors::tensor::Metadata;

use super::part::{Part, Place};
use super::{Archive, Container, TensorInfo};
use crate::about::{self, About};
use crate::dtype::Dtype;
use crate::error::Error;
use crate::pickle::MAX_RANK;

/// Longest header, in bytes: the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// Opens a file.
pub(super) fn open(part: Part) -> Result<Archive, Error> {
    let (tensors, about) = contents(&part)?;
    let mut archive = Archive::new(Container::Safetensors, vec![part], tensors, None)?;
    archive.about = about;
    Ok(archive)
}

/// The tensors of a file, and what it says about itself.
fn contents(part: &Part) -> Result<(Vec<TensorInfo>, Option<About>), Error> {
    let length: [u8; 8] = part.read(0, 8)?.try_into().unwrap_or_default();
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length > part.len() - 8 {
        let reason = format!("{length} bytes are announced, but the file has {}", part.len());
        return Err(part.damaged("its header", reason));
    }
    // `Metadata` checks that the tensors have the sizes of their shapes and leave no gap.
    let metadata: Metadata = serde_json::from_slice(&part.read(8, length)?)
        .map_err(|error| part.damaged("its header", error.to_string()))?;
    let end = 8 + length + metadata.data_len() as u64;
    if end != part.len() {
        let reason = format!("its tensors end at {end}, but the file at {}", part.len());
        return Err(part.damaged("its values", reason));
    }
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let unsupported = |what| Error::Unsupported { path: part.path().to_owned(), what };
        let Some(dtype) = Dtype::of_safetensors(info.dtype) else {
            return Err(unsupported(format!("the tensor `{name}` of type {:?}", info.dtype)));
        };
        if info.shape.len() > MAX_RANK {
            let rank = info.shape.len();
            return Err(unsupported(format!("the tensor `{name}` of {rank} dimensions")));
        }
        let (start, end) = info.data_offsets;
        let offset = 8 + length + start as u64;
        let place = Place { part: 0, offset, len: (end - start) as u64, crc: None };
        let (shape, strides) = (info.shape.clone(), contiguous(&info.shape));
        tensors.push(TensorInfo { name, dtype, shape, strides, offset: 0, place });
    }
    let about = metadata.metadata().as_ref().and_then(|entries| entries.get(about::KEY));
    Ok((tensors, about.and_then(|text| About::parse(text.as_bytes()))))
}

/// Strides of a row-major tensor.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut stride = 1usize;
    let mut strides: Vec<_> = shape
        .iter()
        .rev()
        .map(|&size| {
            let this = stride;
            stride = stride.saturating_mul(size);
            this
        })
        .collect();
    strides.reverse();
    strides
}
