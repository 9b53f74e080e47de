//! Writes files of tensors: PyTorch's zip archive, and safetensors.
//!
//! Values are asked for one tensor at a time, so a file may be larger than memory. Equal tensors give equal
//! bytes: no time and no order of a map gets into a file.

use std::io::{self, Seek, Write};

use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::about::{self, About};
use crate::dtype::Dtype;
use crate::pickle::{self, Object};

/// What `torch.save` names the folder inside an archive when it writes to no file.
const FOLDER: &str = "archive";

/// PyTorch aligns values to this many bytes, so that a file can be mapped.
const ALIGNMENT: u16 = 64;

/// The largest member that a zip archive holds without its 64-bit extension, with room for rounding.
const SMALL: usize = 1 << 31;

/// A storage of a zip archive: the values of one tensor, or of several that share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageInfo {
    /// The type of its values.
    pub dtype: Dtype,
    /// Number of its values.
    pub len: usize,
}

/// Writes the zip archive that `torch.save` would write. `values` gives the bytes of the storage of a number.
///
/// # Errors
/// Those of `out` and of `values`.
///
/// # Panics
/// If `values` gives another number of bytes than the storage has.
pub fn torch<E: From<io::Error>>(
    out: impl Write + Seek,
    object: &Object,
    storages: &[StorageInfo],
    about: Option<&About>,
    mut values: impl FnMut(usize) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let mut zip = ZipWriter::new(out);
    let mut member = |name: &str, bytes: &[u8]| -> Result<(), E> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() >= SMALL);
        zip.start_file(format!("{FOLDER}/{name}"), options).map_err(io::Error::from)?;
        Ok(zip.write_all(bytes)?)
    };
    member("data.pkl", &pickle::write(object))?;
    member("byteorder", b"little")?;
    if let Some(about) = about {
        member(about::MEMBER, &serde_json::to_vec_pretty(about).map_err(io::Error::from)?)?;
    }
    for (i, storage) in storages.iter().enumerate() {
        let bytes = values(i)?;
        assert_eq!(bytes.len(), storage.len * storage.dtype.size(), "bytes of storage {i}");
        member(&format!("data/{i}"), &bytes)?;
    }
    member("version", b"3\n")?;
    zip.finish().map_err(io::Error::from)?.flush()?;
    Ok(())
}

/// A tensor of a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMeta {
    /// Its name, unique in the file.
    pub name: String,
    /// The type of its values.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Writes a safetensors file, with the tensors in this order. `values` gives the bytes of the tensor of a number.
///
/// # Errors
/// Those of `out` and of `values`.
///
/// # Panics
/// If `values` gives another number of bytes than the tensor has.
pub fn safetensors<E: From<io::Error>>(
    mut out: impl Write,
    tensors: &[TensorMeta],
    about: Option<&About>,
    mut values: impl FnMut(usize) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let (header, sizes) = header(tensors, about).map_err(io::Error::from)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (i, (tensor, size)) in tensors.iter().zip(sizes).enumerate() {
        let bytes = values(i)?;
        assert_eq!(bytes.len(), size, "bytes of `{}`", tensor.name);
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}

/// The header, padded so that the values start at a multiple of 8 bytes, and the size of each tensor.
///
/// Written by hand: the `safetensors` crate has all values in memory when it writes, and does not say in which order
/// it writes metadata.
fn header(
    tensors: &[TensorMeta],
    about: Option<&About>,
) -> serde_json::Result<(Vec<u8>, Vec<usize>)> {
    // `format` says whose naming it is; transformers refuses files without it
    let mut metadata = json!({ "format": "pt" });
    if let Some(about) = about {
        metadata[about::KEY] = serde_json::to_string(about)?.into();
    }
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".to_owned(), metadata);
    let (mut start, mut sizes) = (0, Vec::new());
    for TensorMeta { name, dtype, shape } in tensors {
        let size = shape.iter().product::<usize>() * dtype.size();
        let offsets = [start, start + size];
        let dtype = dtype.to_string();
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
        entries.insert(name.clone(), entry);
        start += size;
        sizes.push(size);
    }
    let mut header = serde_json::to_vec(&entries)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok((header, sizes))
}
