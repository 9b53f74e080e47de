//! The metadata about columns that Hugging Face's `datasets` writes into a file.

use parquet::file::metadata::FileMetaData;
use serde_json::Value;

/// The features of the columns.
///
/// ```text
/// {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", …], "_type": "ClassLabel"}}}}
/// ```
pub(super) struct Features(Value);

impl Features {
    pub(super) fn read(metadata: &FileMetaData) -> Self {
        let pairs = metadata.key_value_metadata().map_or(&[][..], |pairs| pairs);
        let text = pairs.iter().find(|pair| pair.key == "huggingface");
        let value = text.and_then(|pair| serde_json::from_str::<Value>(pair.value.as_ref()?).ok());
        Self(value.and_then(|value| value.pointer("/info/features").cloned()).unwrap_or_default())
    }

    /// True if the column has the feature `kind`, such as `Image`.
    pub(super) fn is(&self, column: &str, kind: &str) -> bool {
        self.0.get(column).and_then(|feature| feature.get("_type")?.as_str()) == Some(kind)
    }

    /// The class names of a column with the feature `ClassLabel`.
    pub(super) fn classes(&self, column: &str) -> Option<Vec<String>> {
        let names = self.0.get(column)?.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(String::from)).collect()
    }
}
