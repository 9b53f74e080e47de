//! Which columns of a parquet file have the images and the labels.

use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use crate::dataset::bytes::malformed;
use crate::error::Error;

/// Names that label columns have, the likeliest first.
const LABELS: [&str; 8] =
    ["label", "fine_label", "labels", "class", "cls", "category", "target", "class_name"];
/// Names that image columns have.
const IMAGES: [&str; 8] = ["image", "img", "jpg", "png", "webp", "image_bytes", "bytes", "photo"];

/// The columns that are read, as positions among the leaves of the schema.
pub(super) struct Columns {
    pub(super) image: usize,
    pub(super) label: Option<usize>,
    /// Names of the classes that numbers in the label column stand for.
    pub(super) classes: Option<Vec<String>>,
}

impl Columns {
    /// Finds them by what Hugging Face's `datasets` says about them, or else by type and name.
    pub(super) fn find(path: &Path, metadata: &FileMetaData) -> Result<Self, Error> {
        let features = Features::read(metadata);
        let columns = metadata.schema_descr().columns();
        let image_rank = |column: &ColumnDescriptor| {
            let (name, struct_like) = image_form(column)?;
            let known = IMAGES.iter().position(|&known| name.eq_ignore_ascii_case(known));
            Some((!features.is(name, "Image"), !struct_like, known.unwrap_or(usize::MAX)))
        };
        let label_rank = |column: &ColumnDescriptor| {
            let name = label_form(column)?;
            let known = LABELS.iter().position(|&known| name.eq_ignore_ascii_case(known));
            let class_label = features.is(name, "ClassLabel");
            (known.is_some() || class_label).then(|| (!class_label, known.unwrap_or(usize::MAX)))
        };
        let image = (0..columns.len())
            .filter_map(|i| Some((image_rank(&columns[i])?, i)))
            .min()
            .map(|(_, i)| i);
        let label = (0..columns.len())
            .filter_map(|i| Some((label_rank(&columns[i])?, i)))
            .min()
            .map(|(_, i)| i);
        let Some(image) = image else {
            let names: Vec<_> = columns.iter().map(|column| column.path().string()).collect();
            let reason = format!(
                "has no image column (found {}); a parquet source needs a column of encoded images, \
                 of type binary or struct<bytes: binary, path: string>",
                quoted(&names)
            );
            return Err(malformed(path, reason));
        };
        let classes = label.and_then(|label| features.classes(columns[label].name()));
        Ok(Self { image, label, classes })
    }
}

/// The name of a column that could hold images, and whether it is `struct<bytes, …>`.
fn image_form(column: &ColumnDescriptor) -> Option<(&str, bool)> {
    if column.physical_type() != Type::BYTE_ARRAY || column.max_rep_level() != 0 {
        return None;
    }
    match column.path().parts() {
        [name] if !is_text(column) => Some((name, false)),
        [name, field] if field == "bytes" => Some((name, true)),
        _ => None,
    }
}

/// The name of a column that could hold labels: one number or text in each row.
fn label_form(column: &ColumnDescriptor) -> Option<&str> {
    let numbers = matches!(column.physical_type(), Type::INT32 | Type::INT64);
    let text = column.physical_type() == Type::BYTE_ARRAY && is_text(column);
    match column.path().parts() {
        [name] if column.max_rep_level() == 0 && (numbers || text) => Some(name),
        _ => None,
    }
}

fn is_text(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::UTF8
        || matches!(column.logical_type_ref(), Some(LogicalType::String))
}

/// `a`, `b` and so on, at most ten.
fn quoted(names: &[String]) -> String {
    let some: Vec<_> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
    let more =
        if names.len() > 10 { format!(" and {} more", names.len() - 10) } else { String::new() };
    if some.is_empty() { "no column".into() } else { some.join(", ") + &more }
}

/// What the `datasets` library of Hugging Face writes about the columns.
///
/// ```text
/// {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", …], "_type": "ClassLabel"}}}}
/// ```
struct Features(Value);

impl Features {
    fn read(metadata: &FileMetaData) -> Self {
        let pairs = metadata.key_value_metadata().map_or(&[][..], |pairs| pairs);
        let text = pairs.iter().find(|pair| pair.key == "huggingface");
        let value = text.and_then(|pair| serde_json::from_str::<Value>(pair.value.as_ref()?).ok());
        Self(value.and_then(|value| value.pointer("/info/features").cloned()).unwrap_or_default())
    }

    fn is(&self, column: &str, kind: &str) -> bool {
        self.0.get(column).and_then(|feature| feature.get("_type")?.as_str()) == Some(kind)
    }

    fn classes(&self, column: &str) -> Option<Vec<String>> {
        let names = self.0.get(column)?.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(String::from)).collect()
    }
}
