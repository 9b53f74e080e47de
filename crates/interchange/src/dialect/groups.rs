//! Tensors by the outermost dict that they lie in.

use crate::archive::{Archive, TensorInfo};

/// The tensors of one dict.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// Its key; empty for tensors that lie in none.
    pub(super) key: String,
    /// The tensors, with their names inside the dict.
    pub(super) tensors: Vec<(&'a str, &'a TensorInfo)>,
}

/// What this program puts before the names in its own files.
const OWN: [&str; 4] = ["student", "teacher", "exp_avg", "exp_avg_sq"];

/// All groups, in the order of the file.
pub(super) fn groups(archive: &Archive) -> Vec<Group<'_>> {
    let own = is_own(archive);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for tensor in archive.tensors() {
        let (key, name) = match tensor.name.split_once(if own { '.' } else { '/' }) {
            Some((key, name)) if !own || OWN.contains(&key) => (key, name),
            _ => ("", tensor.name.as_str()),
        };
        match groups.iter_mut().rev().find(|group| group.key == key) {
            Some(group) => group.tensors.push((name, tensor)),
            None => groups.push(Group { key: key.to_owned(), tensors: vec![(name, tensor)] }),
        }
    }
    groups
}

/// Whether this program wrote it.
pub(super) fn is_own(archive: &Archive) -> bool {
    archive.tensor("teacher.backbone.cls_token").is_some()
}
