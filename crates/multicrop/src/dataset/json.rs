//! Labels in JSON.

use serde_json::Value;

/// A JSON value as a label: a number, a text or a boolean, or a list of these, with semicolons between them; `None` for
/// everything else.
pub(super) fn json_label(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Array(values) if !values.is_empty() => {
            let labels = values.iter().map(json_label).collect::<Option<Vec<_>>>()?;
            Some(labels.join(";").into())
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
