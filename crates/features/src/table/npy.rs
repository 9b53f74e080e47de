//! NumPy's format: a text header, which is a Python dictionary, then the values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};

use super::{Layout, Stored};

/// Longest header that is read.
const MOST: usize = 1 << 20;

pub(super) fn layout(file: File, wanted: Option<&str>) -> Result<Layout, String> {
    let mut file = BufReader::new(file);
    let mut start = [0; 8];
    let cut = |_| "it is cut off".to_owned();
    file.read_exact(&mut start).map_err(cut)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err("it is no NumPy array".to_owned());
    }
    let (length, before) = if start[6] == 1 {
        let mut bytes = [0; 2];
        file.read_exact(&mut bytes).map_err(cut)?;
        (usize::from(u16::from_le_bytes(bytes)), 10)
    } else {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).map_err(cut)?;
        (u32::from_le_bytes(bytes) as usize, 12)
    };
    if length > MOST {
        return Err(format!("its header has {length} bytes"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8_lossy(&header);
    let value =
        |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let dtype = value("descr").and_then(|rest| rest.split('\'').nth(1)).unwrap_or("unknown");
    if dtype != "<f4" {
        return Err(format!("its values are `{dtype}`, but must be `<f4`: numpy.float32"));
    }
    if value("fortran_order").is_some_and(|rest| rest.starts_with("True")) {
        return Err("it is in Fortran order; write it by numpy.ascontiguousarray".to_owned());
    }
    let shape = value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or("its header has no shape")?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let sizes: Option<Vec<usize>> = sizes.map(|size| size.parse().ok()).collect();
    let Some(&[rows, width]) = sizes.as_deref() else {
        return Err(format!("its shape is ({shape}), but must be (images, d)"));
    };
    let values = Stored::Raw((before + length) as u64);
    let column = wanted.unwrap_or("the array").to_owned(); // it has no name of its own
    Ok(Layout { column, rows, width, metadata: BTreeMap::new(), values })
}
