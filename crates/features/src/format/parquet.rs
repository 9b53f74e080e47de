//! Parquet: a row for each image, with its name, label, class, and a list of f32 for each column
//! of vectors. Columns of the mixture have one value.
//!
//! A list has the values of `[d]` or `[patches, d]` one after the other; the shape stands in the file's
//! metadata, beside the description of the export.

use std::io::{self, Read, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::ImageInfo;
use crate::column::{Column, Dtype};
use crate::export::Export;
use crate::spool::Rows;

/// Bytes of features in a row group: what is in memory at once.
const GROUP_BYTES: usize = 64 << 20;

pub(super) fn write(
    export: &Export<'_>,
    rows: &Rows,
    file: &mut (impl Write + Send),
) -> io::Result<()> {
    let columns = rows.columns();
    let fields = columns.iter().map(|column| {
        let name = &column.name;
        match (column.dtype(), column.shape.is_empty()) {
            (Dtype::Integer, _) => format!("REQUIRED INT32 {name};"),
            (Dtype::Float, true) => format!("REQUIRED FLOAT {name};"),
            (Dtype::Float, false) => format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED FLOAT element; }} }}"
            ),
        }
    });
    let schema = format!(
        "message features {{ REQUIRED BYTE_ARRAY name (UTF8); OPTIONAL INT64 label; \
         OPTIONAL BYTE_ARRAY class (UTF8); {} }}",
        fields.collect::<Vec<_>>().join(" ")
    );
    let schema = Arc::new(parse_message_type(&schema)?);
    let shapes = columns.iter().map(|column| {
        KeyValue::new(format!("shape of {}", column.name), format!("{:?}", column.shape))
    });
    let described = export.description.iter();
    let described = described.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let properties = WriterProperties::builder()
        // Features hardly compress.
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(described.chain(shapes).collect()))
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut values = (0..columns.len())
        .map(|column| rows.open(column).map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    let of_image: usize = columns.iter().map(|column| 4 * column.len()).sum();
    for places in rows.images.chunks((GROUP_BYTES / of_image.max(1)).max(1)) {
        let mut group = writer.next_row_group()?;
        write_images(export, places, &mut group)?;
        for (column, values) in columns.iter().zip(&mut values) {
            write_column(column, places.len(), values, &mut group)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// Name, label and class of these images.
fn write_images<W: Write + Send>(
    export: &Export<'_>,
    places: &[usize],
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> io::Result<()> {
    let infos: Vec<ImageInfo<'_>> = places.iter().map(|&place| export.info(place)).collect();
    let names: Vec<ByteArray> = infos.iter().map(|info| info.name.as_str().into()).collect();
    let labels: Vec<i64> = infos.iter().filter_map(|info| info.label.map(i64::from)).collect();
    let has_label: Vec<i16> = infos.iter().map(|info| i16::from(info.label.is_some())).collect();
    let classes: Vec<ByteArray> =
        infos.iter().filter_map(|info| info.class.map(ByteArray::from)).collect();
    let has_class: Vec<i16> = infos.iter().map(|info| i16::from(info.class.is_some())).collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&names, None, None)?;
        column.close()?;
    }
    if let Some(mut column) = group.next_column()? {
        column.typed::<Int64Type>().write_batch(&labels, Some(&has_label), None)?;
        column.close()?;
    }
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&classes, Some(&has_class), None)?;
        column.close()?;
    }
    Ok(())
}

/// The next `images` rows of a column.
fn write_column<W: Write + Send>(
    column: &Column,
    images: usize,
    from: &mut impl Read,
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> io::Result<()> {
    let width = column.len();
    let mut bytes = vec![0; 4 * width * images];
    from.read_exact(&mut bytes)?;
    let (words, _) = bytes.as_chunks::<4>();
    let Some(mut writer) = group.next_column()? else { return Ok(()) };
    if column.dtype() == Dtype::Integer {
        let values: Vec<i32> = words.iter().map(|word| i32::from_le_bytes(*word)).collect();
        writer.typed::<Int32Type>().write_batch(&values, None, None)?;
    } else {
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        // Every value is there (level 1), and each row starts a new list (level 0).
        let levels = (!column.shape.is_empty()).then(|| {
            let starts = (0..values.len()).map(|i| i16::from(i % width.max(1) != 0));
            (vec![1i16; values.len()], starts.collect::<Vec<_>>())
        });
        let (defined, repeated) = levels.unzip();
        let (defined, repeated) = (defined.as_deref(), repeated.as_deref());
        writer.typed::<FloatType>().write_batch(&values, defined, repeated)?;
    }
    writer.close()?;
    Ok(())
}
