//! Finds the columns that could hold images or labels, by their types.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

/// A column that could hold images, by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageColumn {
    /// The name for users: `image` for the leaves `image.bytes` and `image.path`.
    pub(super) name: String,
    /// The leaf with encoded images.
    pub(super) bytes: Option<usize>,
    /// The leaf with paths of image files, for rows without bytes.
    pub(super) path: Option<usize>,
    /// True for `struct<bytes, path>` and its fields.
    pub(super) is_struct: bool,
}

impl ImageColumn {
    /// The leaf whose size determines the blocks.
    pub(super) fn main_leaf(&self) -> usize {
        self.bytes.or(self.path).unwrap_or(0)
    }
}

/// All columns that could hold images, in the order of the schema.
pub(super) fn image_columns(schema: &SchemaDescriptor) -> Vec<ImageColumn> {
    let mut columns: Vec<ImageColumn> = Vec::new();
    for (leaf, column) in schema.columns().iter().enumerate() {
        let (binary, text) = (is_binary(column), is_text(column));
        if column.max_rep_level() > 0 || !(binary || text) {
            continue;
        }
        let (name, part) = name_of(column);
        let is_struct = matches!((part, binary), (Some("bytes"), true) | (Some("path"), false));
        let name = if is_struct { name } else { column.path().string() };
        let (bytes, path) = if binary { (Some(leaf), None) } else { (None, Some(leaf)) };
        match columns.iter_mut().find(|known| is_struct && known.is_struct && known.name == name) {
            Some(known) => {
                known.bytes = known.bytes.or(bytes);
                known.path = known.path.or(path);
            }
            None => columns.push(ImageColumn { name, bytes, path, is_struct }),
        }
    }
    columns
}

/// The path of a leaf without its last part, and that part if the leaf is nested.
fn name_of(column: &ColumnDescriptor) -> (String, Option<&str>) {
    match column.path().parts() {
        [outer @ .., last] if !outer.is_empty() => (outer.join("."), Some(last)),
        _ => (column.path().string(), None),
    }
}

/// The type of a column of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelType {
    Text,
    Bool,
    Integer,
    Float,
    /// Integers that stand for themselves divided by ten to the power of the scale.
    Decimal {
        scale: u32,
    },
}

/// The label type of a column, if it has one number or text in each row.
pub(super) fn label_type(column: &ColumnDescriptor) -> Option<LabelType> {
    if column.max_rep_level() > 0 {
        return None;
    }
    let decimal = is_decimal(column);
    let scale = u32::try_from(column.type_scale()).ok();
    match column.physical_type() {
        Type::INT32 | Type::INT64 | Type::FIXED_LEN_BYTE_ARRAY | Type::BYTE_ARRAY if decimal => {
            Some(LabelType::Decimal { scale: scale? })
        }
        Type::INT32 | Type::INT64 => Some(LabelType::Integer),
        Type::FLOAT | Type::DOUBLE => Some(LabelType::Float),
        Type::BOOLEAN => Some(LabelType::Bool),
        // some programs do not mark binary as text
        Type::BYTE_ARRAY => Some(LabelType::Text),
        Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => None,
    }
}

fn is_decimal(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::DECIMAL
        || matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }))
}

pub(super) fn is_text(column: &ColumnDescriptor) -> bool {
    let converted = matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM);
    let logical =
        matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum));
    column.physical_type() == Type::BYTE_ARRAY && (converted || logical)
}

/// True for plain bytes, not text or numbers.
fn is_binary(column: &ColumnDescriptor) -> bool {
    let bytes = matches!(column.physical_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
    let plain =
        column.converted_type() == ConvertedType::NONE && column.logical_type_ref().is_none();
    bytes && plain
}

/// Joins names as `` `a`, `b` ``, at most ten.
pub(super) fn quoted<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let some: Vec<_> = names.take(10).map(|name| format!("`{name}`")).collect();
    let more = if count > 10 { format!(" and {} more", count - 10) } else { String::new() };
    if some.is_empty() { "no column".into() } else { some.join(", ") + &more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    fn schema(fields: &str) -> SchemaDescriptor {
        let schema = parse_message_type(&format!("message m {{ {fields} }}")).expect("a schema");
        SchemaDescriptor::new(Arc::new(schema))
    }

    #[test]
    fn bytes_and_path_of_a_struct_are_one_column_in_any_order() {
        for fields in [
            "optional binary bytes; optional binary path (UTF8);",
            "optional binary path (UTF8); optional binary bytes;",
        ] {
            let schema = schema(&format!(
                "optional int32 id; optional group a {{ optional group image {{ {fields} }} }} \
                 required fixed_len_byte_array(4) raw; optional group many (LIST) {{ repeated group \
                 list {{ optional binary element; }} }}"
            ));
            let columns = image_columns(&schema);
            let [image, raw] = &columns[..] else { panic!("{columns:?}") };
            assert_eq!((image.name.as_str(), raw.name.as_str()), ("a.image", "raw"));
            let leaves = [image.bytes, image.path].map(|leaf| leaf.expect("a leaf"));
            assert_eq!(schema.column(leaves[0]).name(), "bytes");
            assert_eq!(schema.column(leaves[1]).name(), "path");
        }
    }

    #[test]
    fn label_columns_are_numbers_or_text_in_each_row() {
        let schema = schema(
            "required double a; required int64 b (DECIMAL(9, 2)); required boolean c; \
             required binary d (UTF8); repeated int32 e; required fixed_len_byte_array(4) f;",
        );
        let types: Vec<_> = schema.columns().iter().map(|column| label_type(column)).collect();
        let decimal = LabelType::Decimal { scale: 2 };
        let some = [LabelType::Float, decimal, LabelType::Bool, LabelType::Text].map(Some);
        assert_eq!(types[..4], some);
        assert_eq!(types[4..], [None, None]);
    }
}
