//! Finished data sets, kept as lines of JSON so that a second start does not measure them again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dino::fingerprint::hex;
use dino::open::Opened;
use report::JsonLines;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::fingerprint::of_network;
use super::images::Images;
use super::measure::Measured;
use super::set::Set;

const FILE: &str = "transfer.jsonl";

/// All finished data sets of a folder.
pub(super) struct Kept {
    lines: JsonLines,
    known: Vec<Line>,
    /// SHA-256 of the network.
    network: String,
}

/// A finished data set.
#[derive(Serialize, Deserialize)]
struct Line {
    /// SHA-256 of everything that decides the result, but the pixels.
    key: String,
    name: String,
    #[serde(flatten)]
    measured: Measured,
}

/// What a result is of.
pub(super) struct Key {
    key: String,
    name: String,
}

impl Kept {
    /// Those of this folder, which is created. Lines that an interrupted start left unfinished are not used.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(folder: &Path, opened: &Opened) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let path = folder.join(FILE);
        let lines = JsonLines::open(&path)?;
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let known = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { lines, known, network: of_network(opened) })
    }

    /// The key of a data set: network, settings, names and labels of all images, version.
    pub(super) fn key(&self, set: &Set, vectors: &str, seed: u64) -> Key {
        let mut hash = Sha256::new();
        let (eval, metric) = (&set.config.eval, set.metric);
        let sizes = (eval.resize, eval.crop, set.config.data.mean(), set.config.data.std());
        let version = env!("CARGO_PKG_VERSION");
        let settings = (&self.network, version, vectors, seed, metric, sizes);
        hash.update(format!("{settings:?}"));
        let parts = &set.parts;
        for images in [Some(&parts.train), parts.val.as_ref(), Some(&parts.test)] {
            hash.update([0]);
            images.into_iter().for_each(|images| add(&mut hash, images));
        }
        Key { key: hex(&hash.finalize()), name: set.name.clone() }
    }

    /// The result of this key.
    pub(super) fn find(&self, key: &Key) -> Option<&Measured> {
        self.known.iter().rfind(|line| line.key == key.key).map(|line| &line.measured)
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, Key { key, name }: Key, measured: Measured) -> Result<()> {
        let line = Line { key, name, measured };
        self.lines.write(&line)?;
        self.known.push(line);
        Ok(())
    }
}

/// Adds names and labels of images.
fn add(hash: &mut Sha256, images: &Images) {
    let dataset = images.subset.dataset();
    hash.update(format!("{:?} {}", images.classes, images.subset.len()));
    for &index in images.subset.indices() {
        hash.update(format!("{}\n{:?}\n", dataset.name(index), dataset.label(index)));
    }
    for members in images.members.iter().flatten() {
        hash.update(members.iter().map(|&is| u8::from(is)).collect::<Vec<u8>>());
    }
}
