//! Files beside the weights: the index of shards, and `config.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::part::Part;
use super::{Archive, Container, IN_FOLDERS};
use crate::error::Error;

/// Longest JSON file, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// Most files of an index.
const MAX_SHARDS: usize = 1000;

/// What an index says.
#[derive(Deserialize)]
struct Index {
    /// File names by tensor names.
    weight_map: BTreeMap<String, String>,
}

/// Opens an index and all files that it names.
pub(super) fn open(path: &Path) -> Result<Archive, Error> {
    let damaged =
        |place: String, reason: String| Error::Damaged { path: path.to_owned(), place, reason };
    let index: Index = serde_json::from_value(json(path)?)
        .map_err(|error| damaged("its JSON".to_owned(), error.to_string()))?;
    let files: BTreeSet<_> = index.weight_map.values().cloned().collect();
    if files.len() > MAX_SHARDS {
        return Err(damaged("`weight_map`".to_owned(), format!("it names {} files", files.len())));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut parts, mut tensors) = (Vec::new(), Vec::new());
    for file in files {
        let mut components = Path::new(&file).components();
        let is_name =
            matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
        if !is_name {
            let reason = "a shard must lie beside its index".to_owned();
            return Err(damaged(format!("the name `{file}`"), reason));
        }
        let shard = Archive::of_part(Part::open(&folder.join(&file))?)?;
        for mut tensor in shard.tensors {
            if index.weight_map.get(&tensor.name) != Some(&file) {
                let reason = format!("the index does not name it for `{file}`");
                return Err(damaged(format!("tensor `{}`", tensor.name), reason));
            }
            tensor.place.part = parts.len();
            tensors.push(tensor);
        }
        parts.extend(shard.parts);
    }
    let found: BTreeSet<_> = tensors.iter().map(|tensor| &tensor.name).collect();
    if let Some((name, file)) = index.weight_map.iter().find(|(name, _)| !found.contains(name)) {
        return Err(damaged(format!("tensor `{name}`"), format!("`{file}` does not have it")));
    }
    let mut archive = Archive::new(Container::Shards, parts, tensors, None)?;
    archive.path = path.to_owned();
    Ok(archive)
}

/// A JSON file beside weights with a name of Hugging Face's.
pub(super) fn json_beside(path: &Path, name: &str) -> Result<Option<serde_json::Value>, Error> {
    let is_standard =
        path.file_name().is_some_and(|file| IN_FOLDERS.iter().any(|known| file == *known));
    let config = path.with_file_name(name);
    if !is_standard || !config.is_file() {
        return Ok(None);
    }
    json(&config).map(Some)
}

/// The content of a JSON file.
fn json(path: &Path) -> Result<serde_json::Value, Error> {
    let part = Part::open(path)?;
    if part.len() > MAX_JSON {
        let what = format!("{} bytes of JSON", part.len());
        return Err(Error::Unsupported { path: path.to_owned(), what });
    }
    serde_json::from_slice(&part.read(0, part.len())?)
        .map_err(|error| part.damaged("its JSON", error.to_string()))
}
