//! [`Companions`] collects the files of a WebDataset that hold the classes of its images.
//!
//! ```text
//! key.cls  key.class  key.label       the class as text, also with `.txt` appended
//! key.json                            the class in a field such as `label` or `cls`
//! ```
//!
//! `key.txt` is a caption, not a class. [`labels`](crate::dataset::labels) turns texts into
//! classes.

use std::collections::HashMap;

use serde_json::Value;

use super::keys::{key, split};
use super::member::Member;
use crate::dataset::json::json_label;
use crate::dataset::labels::LABEL_NAMES;

/// Extensions of files that hold a class, most likely first.
const CLASS_FILES: [&str; 6] = ["cls", "class", "label", "cls.txt", "class.txt", "label.txt"];
/// Extensions of JSON files.
const JSON_FILES: [&str; 2] = ["json", "jsn"];
/// Limit on the bytes of a class; a longer text is something else.
const MAX_CLASS: u64 = 1 << 10;
/// Limit on the bytes of a JSON file.
const MAX_JSON: u64 = 1 << 20;

/// The companion files of an archive, by their names without the extension.
#[derive(Default)]
pub(super) struct Companions {
    /// The JSON field that holds the class; `None` tries the usual names.
    pub(super) label_field: Option<String>,
    by_stem: HashMap<Vec<u8>, Companion>,
}

/// The class that the companion files of one key give.
#[derive(Default)]
struct Companion {
    label: Option<Box<str>>,
    /// Index of the label's extension in [`CLASS_FILES`], then in [`JSON_FILES`].
    rank: Option<usize>,
}

/// Number of bytes to read of a file that may hold a class; `None` for other files.
pub(super) fn bytes_to_read(name: &[u8], len: u64) -> Option<u64> {
    let extension = class_extension(name)?.1;
    let limit = if extension < CLASS_FILES.len() { MAX_CLASS } else { MAX_JSON };
    // contents that are too long are not read at all
    Some(if len > limit { 0 } else { len })
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
    // no shorter extension matches the end of `x.label.txt`, so the first match is the right one
    known.filter_map(|(rank, extension)| Some((fits(extension)?, rank))).next()
}

impl Companions {
    /// Adds a file that is not an image.
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
        // a JSON file may lack the class
        let counts = label.is_some() || rank < CLASS_FILES.len();
        if counts && companion.rank.is_none_or(|known| rank < known) {
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

    /// Sets the label of each image from its companion: the one whose stem is the longest prefix of
    /// the image's name.
    pub(super) fn label(&self, images: &mut [Member]) {
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

/// The class in a text file of one line.
fn class(contents: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(contents.trim_ascii());
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}
