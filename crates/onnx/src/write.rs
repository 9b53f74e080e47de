//! Writes a model: one file, or two if it is too large for a message.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use crate::error::{Error, Result};
use crate::message::{Model, Property, Tensor};

/// The largest message that readers take: 2 GiB, without some room for names.
pub const MAX_MESSAGE: usize = (1 << 31) - (1 << 20);
/// Smaller tensors stay in the message: they are shapes and constants, which readers need at once.
const MIN_EXTERNAL: usize = 4096;
/// Values in a file of their own begin at multiples of this, so that readers can map them.
const ALIGNMENT: usize = 4096;
/// Marks a tensor whose values are in another file.
const EXTERNAL: i32 = 1;

/// Writes `model` to `path`. If the message would be larger than `max_message` bytes, the weights go into a
/// file `NAME.data` beside it. Returns all files.
///
/// # Errors
/// Those of the file system.
pub fn write(mut model: Model, path: &Path, max_message: usize) -> Result<Vec<PathBuf>> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let mut files = vec![path.to_owned()];
    if model.encoded_len() > max_message {
        let data = data_path(path);
        let location = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let graph = model.graph.iter_mut();
        let tensors = graph.flat_map(|graph| &mut graph.initializer);
        atomic_file::write_with(&data, |file| move_out(tensors, &location, file))
            .map_err(failed(&data))?;
        files.push(data);
    }
    atomic_file::write(path, &model.encode_to_vec()).map_err(failed(path))?;
    Ok(files)
}

/// Moves the values of large tensors into a file.
fn move_out<'a>(
    tensors: impl Iterator<Item = &'a mut Tensor>,
    location: &str,
    file: &mut impl Write,
) -> io::Result<()> {
    let mut end = 0usize;
    for tensor in tensors.filter(|tensor| tensor.raw_data.len() >= MIN_EXTERNAL) {
        let values = std::mem::take(&mut tensor.raw_data);
        let offset = end.next_multiple_of(ALIGNMENT);
        file.write_all(&vec![0; offset - end])?;
        file.write_all(&values)?;
        end = offset + values.len();
        let entries = [
            ("location", location.to_owned()),
            ("offset", offset.to_string()),
            ("length", values.len().to_string()),
        ];
        tensor.external_data =
            entries.map(|(key, value)| Property { key: key.to_owned(), value }).into();
        tensor.data_location = EXTERNAL;
    }
    Ok(())
}

/// The file for weights beside a model: `NAME.data`.
pub fn data_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    name.into()
}
