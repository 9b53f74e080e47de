//! What the value of a key can be: its kind, its choices, other spellings of them, its limits.

use toml::Value;

use super::error::{Error, Result};
use super::origin::Origin;
use super::text::{is_section, nest};
use super::{Config, keys};
use crate::nearest::nearest;

/// Names that other programs have for a choice, without hyphens and in lower case.
const SYNONYMS: [(&str, &str); 3] = [("fp32", "f32"), ("float32", "f32"), ("bfloat16", "bf16")];

/// Values of all kinds, at the ends of what can be written. A key refuses those that it cannot have.
const EXTREMES: [&str; 14] = [
    "\"\"",
    "-1",
    "0",
    "9223372036854775807",
    "-1e300",
    "0.0",
    "1e300",
    "[]",
    "[-1e300]",
    "[1e300]",
    "[0]",
    "[-1e300, -1e300]",
    "[0.0, 0.0]",
    "[1e300, 1e300]",
];

/// Refuses a key that does not exist and a value of the wrong type.
pub(super) fn check(key: &str, value: &Value, origin: &Origin) -> Result<()> {
    let wrong_type = |expected: String| Error::WrongType {
        key: key.to_owned(),
        origin: origin.clone(),
        found: value.to_string(),
        expected,
    };
    if is_section(key) {
        return Err(wrong_type(format!("a section, such as `[{key}]`")));
    }
    if keys::find(key).is_none() {
        return Err(keys::unknown(key, origin.clone()));
    }
    if value.as_str() == Some("none") {
        return Ok(());
    }
    expected(key, value).map_or(Ok(()), |expected| Err(wrong_type(expected)))
}

/// Replaces another spelling of a choice, such as `dino_vmf` or `fp32`, by ours.
pub(super) fn respell(key: &str, value: &mut Value) {
    let Value::String(text) = value else { return };
    let choices = choices(key);
    if choices.contains(text) {
        return;
    }
    let typed = squashed(text);
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == typed);
    let wanted = synonym.map_or(typed, |(_, ours)| squashed(ours));
    if let Some(ours) = choices.into_iter().find(|choice| squashed(choice) == wanted) {
        *text = ours;
    }
}

/// The kind of a key's values, such as `a number` or `` `f32` or `bf16` ``.
pub(super) fn kind(key: &str) -> String {
    // No key accepts this text as the name of something.
    expected(key, &Value::String("\0".to_owned())).unwrap_or_else(|| "text".to_owned())
}

/// The names that a key accepts; empty if it has other values.
pub(super) fn choices(key: &str) -> Vec<String> {
    if keys::find(key).is_none() {
        return Vec::new();
    }
    match kind(key).as_str() {
        "true or false" => vec!["true".to_owned(), "false".to_owned()],
        kind => in_backticks(kind),
    }
}

/// What a value of `key` must do, such as `lie in [0, 1]`: every reason for which the key alone refuses a
/// value at the end of what can be written.
pub(super) fn limits(key: &str) -> Vec<String> {
    let mut limits = Vec::new();
    for value in EXTREMES {
        let refused = Config::resolve(None, None, &[format!("{key}={value}")], &[]);
        if let Err(Error::BadValue { key: of, needed, .. }) = refused
            && of == key
        {
            let needed = needed.split(", which is ").next().unwrap_or_default().to_owned();
            if !limits.contains(&needed) {
                limits.push(needed);
            }
        }
    }
    if limits.iter().any(|limit| limit.starts_with("lie in [")) {
        limits.retain(|limit| limit != "be above 0");
    }
    limits
}

/// What serde expects instead of `value`, in our words; `None` if it takes the value.
fn expected(key: &str, value: &Value) -> Option<String> {
    let alone = nest([(key.to_owned(), value.clone())]);
    let error = alone.try_into::<Config>().err()?;
    let message = error.message().trim();
    if message.contains("invalid value: integer `-") {
        return Some("0 or more".to_owned());
    }
    let Some((_, wanted)) = message.rsplit_once("expected ") else {
        return Some(message.to_owned());
    };
    Some(match wanted {
        "u8" | "u32" | "u64" | "usize" | "i64" => "a whole number, 0 or more".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "an array of length 2" => "a list of two numbers".to_owned(),
        other => other.to_owned(),
    })
}

/// The name in `expected`, the words for what a key accepts, that is most similar to `text`.
pub(super) fn nearest_choice(text: &str, expected: &str) -> Option<String> {
    let choices = in_backticks(expected);
    nearest(text, choices.iter().map(String::as_str))
}

fn squashed(text: &str) -> String {
    let letters = text.chars().filter(|letter| !matches!(letter, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// The names in backticks; a form such as `[low, high]` is none.
fn in_backticks(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| !quoted.starts_with('[')).map(str::to_owned).collect()
}
