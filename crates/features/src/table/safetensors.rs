//! The safetensors format: the length of a JSON header, the header, then the values of all tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Layout, Stored, choose};

/// Longest header that is read, as the crate `safetensors` has it.
const MOST: u64 = 100_000_000;

/// What the header says about a tensor.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

pub(super) fn layout(mut file: File, wanted: Option<&str>) -> Result<Layout, String> {
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| "it is cut off")?;
    let length = u64::from_le_bytes(length);
    if length > MOST {
        return Err("it is no safetensors file".to_owned());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|error| error.to_string())?;
    let header: Map<String, Value> = serde_json::from_slice(&header)
        .map_err(|error| format!("its header is damaged: {error}"))?;
    let entry = |value: &Value| Entry::deserialize(value).ok();
    let is_vectors = |entry: &Entry| entry.dtype == "F32" && entry.shape.len() == 2;
    let tensors: BTreeMap<String, Entry> = header
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), entry(value)?)))
        .filter(|(_, entry)| is_vectors(entry))
        .collect();
    let names: Vec<String> = tensors.keys().cloned().collect();
    let column = choose(&names, wanted)?;
    let Entry { shape, data_offsets, .. } = &tensors[&column];
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let metadata = header.get("__metadata__").and_then(Value::as_object);
    Ok(Layout {
        rows: shape[0],
        width: shape[1],
        metadata: metadata.into_iter().flatten().filter_map(text).collect(),
        values: Stored::Raw(8 + length + data_offsets[0]),
        column,
    })
}
