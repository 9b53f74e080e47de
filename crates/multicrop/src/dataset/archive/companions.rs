//! Files beside the images of a WebDataset: what they say about the class.
//!
//! ```text
//! key.cls  key.class  key.label       the class as text, also with `.txt` behind it
//! key.json                            the class in a field such as `label` or `cls`
//! ```
//!
//! `key.txt` is a caption and says nothing about the class. What a text means, see
//! [`labels`](crate::dataset::labels).

use std::collections::HashMap;

use serde_json::Value;

use super::index::Member;
use super::keys::{key, split};
use crate::dataset::labels::LABEL_NAMES;

/// Extensions of files that hold a class, the likeliest first.
const CLASS_FILES: [&str; 6] = ["cls", "class", "label", "cls.txt", "class.txt", "label.txt"];
/// Extensions of files with fields.
const JSON_FILES: [&str; 2] = ["json", "jsn"];
/// Most bytes of a class; a longer text is something else.
const MAX_CLASS: u64 = 1 << 10;
/// Most bytes of a file with fields.
const MAX_JSON: u64 = 1 << 20;

/// The files beside images, by what stands in their names before the extension.
#[derive(Default)]
pub(super) struct Companions {
    /// The field of a file with fields to take.
    pub(super) label_field: Option<String>,
    by_stem: HashMap<Vec<u8>, Companion>,
}

/// What files of one key say.
#[derive(Default)]
struct Companion {
    label: Option<Box<str>>,
    /// Place of the label's extension in [`CLASS_FILES`]; behind it for a file with fields.
    rank: Option<usize>,
}

/// How many bytes of a file are needed, if it may hold a class.
pub(super) fn needed(name: &[u8], len: u64) -> Option<u64> {
    let extension = class_extension(name)?.1;
    let most = if extension < CLASS_FILES.len() { MAX_CLASS } else { MAX_JSON };
    // contents that are too long are not read at all
    Some(if len > most { 0 } else { len })
}

/// The stem of a file that may hold a class, and the rank of its extension.
fn class_extension(name: &[u8]) -> Option<(&[u8], usize)> {
    let known = CLASS_FILES.iter().chain(&JSON_FILES).enumerate();
    let fits = |extension: &str| {
        let stem = &name[..name.len().checked_sub(extension.len() + 1)?];
        let end = name.get(stem.len()..)?;
        let same = end[0] == b'.' && end[1..].eq_ignore_ascii_case(extension.as_bytes());
        (same && !stem.is_empty() && !stem.ends_with(b"/")).then_some(stem)
    };
    // `x.label.txt` ends like no shorter one, so the first that fits is the right one
    known.filter_map(|(rank, extension)| Some((fits(extension)?, rank))).next()
}

impl Companions {
    /// Notes a file that is no image.
    pub(super) fn add(&mut self, name: &[u8], contents: &[u8], len: u64) {
        let Some((stem, rank)) = class_extension(name) else {
            let (key, extension) = split(name);
            if !extension.is_empty() && !extension.contains(&b'.') {
                self.by_stem.entry(key.to_vec()).or_default();
            }
            return;
        };
        let label = match rank < CLASS_FILES.len() {
            _ if contents.len() as u64 != len => None,
            true => class(contents),
            false => self.field(contents),
        };
        let companion = self.by_stem.entry(stem.to_vec()).or_default();
        // a file with fields need not have the class
        let says = label.is_some() || rank < CLASS_FILES.len();
        if says && companion.rank.is_none_or(|known| rank < known) {
            *companion = Companion { label, rank: Some(rank) };
        }
    }

    fn field(&self, contents: &[u8]) -> Option<Box<str>> {
        let value: Value = serde_json::from_slice(contents).ok()?;
        let field = match &self.label_field {
            Some(field) => value.get(field),
            None => ["cls"].iter().chain(&LABEL_NAMES).find_map(|name| value.get(name)),
        };
        json_label(field?)
    }

    /// Gives each image what the files of its key say: those of the longest key that its name begins
    /// with.
    pub(super) fn join(&self, images: &mut [Member]) {
        if self.by_stem.is_empty() {
            return;
        }
        for image in images {
            let key = key(&image.name);
            image.keyed = self.by_stem.contains_key(key);
            let file =
                image.name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            let dots = (file..image.name.len()).rev().filter(|&place| image.name[place] == b'.');
            let label = dots
                .filter_map(|dot| self.by_stem.get(&image.name[..dot]))
                .find_map(|companion| companion.label.clone());
            image.label = label;
        }
    }
}

/// The class in a file of text: one line.
fn class(contents: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(contents.trim_ascii());
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}

/// A JSON value as a label: a number, a text or a truth value.
pub(in crate::dataset) fn json_label(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
