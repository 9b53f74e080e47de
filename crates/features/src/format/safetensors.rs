//! The safetensors format: the length of a JSON header, the header, then the values of all tensors.
//!
//! The crate `safetensors` wants all values in memory, so the header is written here. Tensors: one for each
//! column, `[images, …]` of F32 (I32 for components), and `labels`, `[images]` of I64, with -1 for an image without a label.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::column::Dtype;
use crate::export::Export;
use crate::spool::Rows;

pub(super) fn write(export: &Export<'_>, rows: &Rows, file: &mut impl Write) -> io::Result<()> {
    let images = rows.images.len();
    let (mut header, mut end) = (Map::new(), 0usize);
    let metadata = export.description.iter().map(|(name, value)| (name.clone(), json!(value)));
    header.insert("__metadata__".to_owned(), Value::Object(metadata.collect()));
    let mut add = |name: &str, dtype: &str, shape: Vec<usize>, width: usize| {
        let start = end;
        end += shape.iter().product::<usize>() * width;
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert(name.to_owned(), entry);
    };
    // Wider values first, as the crate does, so that all are aligned.
    add("labels", "I64", vec![images], 8);
    for column in rows.columns() {
        let shape = [images].iter().chain(&column.shape).copied().collect();
        let dtype = match column.dtype() {
            Dtype::Float => "F32",
            Dtype::Integer => "I32",
        };
        add(&column.name, dtype, shape, 4);
    }
    let mut text = serde_json::to_string(&header)?;
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    file.write_all(&(text.len() as u64).to_le_bytes())?;
    file.write_all(text.as_bytes())?;
    for &place in &rows.images {
        let label = export.images.dataset().label(place).map_or(-1, i64::from);
        file.write_all(&label.to_le_bytes())?;
    }
    for column in 0..rows.columns().len() {
        let mut values = rows.open(column).map_err(io::Error::other)?;
        io::copy(&mut values, file)?;
    }
    Ok(())
}
