//! The file that describes a suite.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use dino::fingerprint;
use serde::{Deserialize, Serialize};

use super::tasks;
use super::whole::Whole;

/// An example, which `--example` prints.
pub(super) const EXAMPLE: &str = include_str!("../../../../templates/suite.toml");

/// What is measured.
#[derive(Debug)]
pub(super) struct Suite {
    /// Data sets whose images are classified.
    pub(super) data: Vec<Data>,
    /// Other evaluations.
    pub(super) evals: Vec<Entry>,
}

/// The file, as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    data: Vec<Data>,
    #[serde(default)]
    eval: Vec<Written>,
}

/// A data set. What it leaves out is that of the checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    /// Its name on the page.
    pub(super) name: String,
    /// Labelled images to learn from.
    pub(super) train: String,
    /// Labelled images to classify.
    pub(super) test: String,
    /// Names of tasks.
    pub(super) tasks: Vec<String>,
    /// Length of the shorter side after resizing, in pixels.
    pub(super) resize: Option<usize>,
    /// Side of the center crop, in pixels.
    pub(super) crop: Option<usize>,
    /// Most training images.
    pub(super) max_train: Option<usize>,
    /// Most test images.
    pub(super) max_test: Option<usize>,
}

/// An evaluation, as it is written down: the flags of its command are keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Written {
    /// Its name on the page.
    pub(super) name: String,
    /// The command after `eval`.
    pub(super) task: String,
    #[serde(flatten)]
    pub(super) flags: toml::Table,
}

/// An evaluation whose flags make sense.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) written: Written,
    pub(super) whole: Whole,
}

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// A file that cannot be read, or a key, a name or a task that makes no sense.
    pub(super) fn read(path: &Path, seed: u64) -> Result<Self> {
        let shown = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            let what = error.message();
            anyhow!("`{shown}`, line {line} is no suite: {what}; `--example` prints one")
        })?;
        if file.data.is_empty() && file.eval.is_empty() {
            bail!("`{shown}` has no `[[data]]` and no `[[eval]]`; `--example` prints a suite");
        }
        let mut names = BTreeSet::new();
        let of_data = file.data.iter().map(|data| &data.name);
        for name in of_data.chain(file.eval.iter().map(|entry| &entry.name)) {
            ensure!(!name.trim().is_empty(), "`{shown}` has an entry without a name");
            ensure!(
                names.insert(name.trim()),
                "`{shown}` has two entries `{name}`: give each a name of its own"
            );
        }
        for data in &file.data {
            data.check().with_context(|| format!("data set `{}` of `{shown}`", data.name))?;
        }
        let entry = |written: &Written| {
            let whole = Whole::parse(&written.task, &written.flags, seed);
            let whole =
                whole.with_context(|| format!("evaluation `{}` of `{shown}`", written.name))?;
            Ok(Entry { written: written.clone(), whole })
        };
        let evals = file.eval.iter().map(entry).collect::<Result<_>>()?;
        Ok(Self { data: file.data, evals })
    }
}

impl Data {
    fn check(&self) -> Result<()> {
        let known: Vec<_> = tasks::TASKS.iter().map(|task| format!("`{}`", task.name)).collect();
        let known = known.join(", ");
        if self.tasks.is_empty() {
            bail!("`tasks` is empty: name one or more of {known}");
        }
        for (place, name) in self.tasks.iter().enumerate() {
            if Whole::NAMES.contains(&name.as_str()) {
                bail!("`{name}` classifies nothing: write it as `[[eval]]`, see `--example`");
            }
            if tasks::find(name).is_none() {
                bail!("there is no task `{name}`: there are {known}");
            }
            if self.tasks[..place].contains(name) {
                bail!("`tasks` names `{name}` twice");
            }
        }
        Ok(())
    }

    /// SHA-256 of what decides its results beside checkpoint and task. Files in `out` do not count.
    pub(super) fn fingerprint(&self, seed: u64, out: &Path) -> Result<String> {
        let entry = Self { name: String::new(), tasks: Vec::new(), ..self.clone() };
        let files = [&self.train, &self.test].map(|source| state(source, out));
        Ok(fingerprint::of(&serde_json::to_vec(&(entry, files, seed))?))
    }
}

impl Entry {
    /// SHA-256 of what decides its result beside the checkpoint. Files in `out` do not count.
    pub(super) fn fingerprint(&self, seed: u64, out: &Path) -> Result<String> {
        let Written { task, flags, .. } = &self.written;
        let texts = flags.values().flat_map(texts);
        let files: Vec<String> = texts.map(|text| state(text, out)).collect();
        Ok(fingerprint::of(&serde_json::to_vec(&(task, flags, files, seed))?))
    }
}

/// The texts of a value, each of which may be a source of images.
fn texts(value: &toml::Value) -> Vec<&str> {
    match value {
        toml::Value::String(text) => vec![text],
        toml::Value::Array(values) => values.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// SHA-256 of names, sizes and times of the files of a source, without those in `out`. That of nothing for a source that
/// is no file or folder.
fn state(source: &str, out: &Path) -> String {
    let without_part = source.rsplit_once(':').map(|(path, _)| path);
    let paths = [Some(source), without_part].into_iter().flatten();
    let mut files = Files { seen: out.canonicalize().into_iter().collect(), lines: Vec::new() };
    if let Some(path) = paths.map(Path::new).find(|path| path.exists()) {
        files.add(path);
    }
    files.lines.sort_unstable();
    fingerprint::of(files.lines.join("\n").as_bytes())
}

/// The files of a source.
struct Files {
    /// Folders that were entered. A folder can link to itself.
    seen: BTreeSet<PathBuf>,
    /// Name, size and time of each.
    lines: Vec<String>,
}

impl Files {
    /// Adds what lies below a path. What cannot be read has no size and time: the evaluation itself reports it.
    fn add(&mut self, path: &Path) {
        if let Ok(folder) = std::fs::read_dir(path) {
            if path.canonicalize().is_ok_and(|real| self.seen.insert(real)) {
                folder.flatten().for_each(|entry| self.add(&entry.path()));
            }
            return;
        }
        let of_file = std::fs::metadata(path).ok();
        let size = of_file.as_ref().map(std::fs::Metadata::len);
        let time = of_file.and_then(|of| of.modified().ok());
        self.lines.push(format!("{path:?} {size:?} {time:?}"));
    }
}
