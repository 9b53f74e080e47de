//! The finished data sets, kept in the output folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dino::fingerprint::hex;
use dino::open::Opened;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::fingerprint::of_network;
use super::super::finished::Finished;
use super::images::Images;
use super::measure::Measured;
use super::set::Set;

const FILE: &str = "transfer.jsonl";

/// All finished data sets of a folder.
pub(super) struct Kept {
    finished: Finished<Line>,
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
    /// Those of this folder, which is created.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(folder: &Path, opened: &Opened) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let finished = Finished::open(&folder.join(FILE))?;
        Ok(Self { finished, network: of_network(opened) })
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
        self.finished.newest(|line| line.key == key.key).map(|line| &line.measured)
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, Key { key, name }: Key, measured: Measured) -> Result<()> {
        self.finished.add(Line { key, name, measured })
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
