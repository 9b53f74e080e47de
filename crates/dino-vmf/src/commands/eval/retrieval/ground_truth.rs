//! Which images are ranked, which are queries, and which are right.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use dino::open::Opened;
use multicrop::dataset::ImageFiles;
use probe::Subset;
use probe::retrieval::Relevant;
use probe::sets::own_copies;
use report::number::counted;
use serde::Deserialize;

use super::pickled;
use crate::console::Console;

/// Images that are ranked, and what is known of them.
pub(super) struct Task {
    /// Where they come from, in words.
    pub(super) source: String,
    pub(super) images: Subset,
    /// The queries, if they are other images.
    pub(super) queries: Option<Subset>,
    /// Boxes `[left, top, right, bottom]` that queries are cut to, in pixels.
    pub(super) boxes: Vec<Option<[f64; 4]>>,
    truth: Truth,
}

/// What is right for a query.
enum Truth {
    Lists(Vec<Relevant>),
    /// The class of each image: those of the query's class are right.
    Classes(Vec<u32>),
}

/// The ground truth of revisited Oxford and Paris.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) imlist: Vec<String>,
    pub(super) qimlist: Vec<String>,
    pub(super) gnd: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) bbx: Option<[f64; 4]>,
    pub(super) easy: Vec<usize>,
    pub(super) hard: Vec<usize>,
    pub(super) junk: Vec<usize>,
}

impl Task {
    /// Opens images with a ground truth, or with classes.
    ///
    /// # Errors
    /// A ground truth that cannot be read, contradicts itself or names unknown images; images without classes.
    pub(super) fn open(
        source: &str,
        file: Option<&Path>,
        opened: &Opened,
        console: &mut Console,
    ) -> Result<Self> {
        match file.map_or_else(|| find(Path::new(source)), |file| Ok(Some(file.to_owned())))? {
            Some(file) => Self::of_lists(Path::new(source), &file),
            None => Self::of_classes(source, opened, console),
        }
    }

    /// Number of queries.
    pub(super) fn query_count(&self) -> usize {
        self.queries.as_ref().unwrap_or(&self.images).len()
    }

    /// What is right for a query, as places of images.
    pub(super) fn relevant(&self, query: usize) -> Relevant {
        match &self.truth {
            Truth::Lists(lists) => lists[query].clone(),
            Truth::Classes(labels) => {
                let is_right = |other: &usize| *other != query && labels[*other] == labels[query];
                Relevant {
                    easy: (0..labels.len()).filter(is_right).collect(),
                    ..Relevant::default()
                }
            }
        }
    }

    fn of_lists(folder: &Path, file: &Path) -> Result<Self> {
        let name = file.display();
        let bytes = fs::read(file).with_context(|| format!("cannot read `{name}`"))?;
        let is_json = bytes.trim_ascii_start().starts_with(b"{");
        let truth = match is_json {
            true => serde_json::from_slice(&bytes).map_err(Into::into),
            false => pickled::read(&bytes),
        };
        let truth: File = truth.with_context(|| {
            format!(
                "`{name}` is no ground truth of retrieval: a pickle or JSON with `imlist`, `qimlist` and `gnd` is \
                 expected"
            )
        })?;
        let (images, queries, entries) = (truth.imlist.len(), truth.qimlist.len(), truth.gnd.len());
        ensure!(
            queries == entries && images > 0 && queries > 0,
            "`{name}` has {images} images, {queries} queries and {entries} entries of `gnd`: at least one image, and \
             one entry for each query are expected"
        );
        for (query, entry) in truth.qimlist.iter().zip(&truth.gnd) {
            entry.check(images).with_context(|| format!("query `{query}` in `{name}`"))?;
        }
        let lists = truth.gnd.iter().map(|Entry { easy, hard, junk, .. }| Relevant {
            easy: easy.clone(),
            hard: hard.clone(),
            junk: junk.clone(),
        });
        Ok(Self {
            source: format!("`{}`", folder.display()),
            images: files(folder, &truth.imlist, "imlist")?,
            queries: Some(files(folder, &truth.qimlist, "qimlist")?),
            boxes: truth.gnd.iter().map(|entry| entry.bbx).collect(),
            truth: Truth::Lists(lists.collect()),
        })
    }

    fn of_classes(source: &str, opened: &Opened, console: &mut Console) -> Result<Self> {
        let images = Subset::labelled(opened.config.data.open(source)?, None, 0);
        images.notes().into_iter().chain(own_copies(&images)).for_each(|text| console.warn(text));
        let labels = images.labels_of(images.indices());
        let described = images.dataset().describe();
        let counts = images.counts_of_classes();
        let present = counts.iter().filter(|count| **count > 0).count();
        ensure!(
            present > 1,
            "{described} has images of {}: retrieval needs a folder of images for each class, two at least, or `jpg/` \
             with a ground truth `gnd_NAME.pkl`",
            counted(present, "class")
        );
        match counts.iter().filter(|count| **count == 1).count() {
            0 => {}
            count if count == present => {
                bail!("each class of {described} has a single image: there is nothing to find")
            }
            single => console.warn(format!(
                "{single} of {present} classes have a single image: it is ranked, but is no query"
            )),
        }
        let truth = Truth::Classes(labels);
        Ok(Self { source: described, images, queries: None, boxes: Vec::new(), truth })
    }
}

impl Entry {
    /// Refuses places that are no image, or stand in two lists.
    fn check(&self, images: usize) -> Result<()> {
        let mut seen = HashSet::new();
        for (list, places) in [("easy", &self.easy), ("hard", &self.hard), ("junk", &self.junk)] {
            for place in places {
                ensure!(
                    *place < images,
                    "`{list}` names image {place}, but `imlist` has {}, counted from 0",
                    counted(images, "image")
                );
                ensure!(seen.insert(place), "image {place} stands twice in its lists");
            }
        }
        Ok(())
    }
}

/// The ground truth in a folder; `None` for other sources.
fn find(folder: &Path) -> Result<Option<PathBuf>> {
    if !folder.join("jpg").is_dir() {
        return Ok(None);
    }
    let shown = folder.display();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{shown}`"))?;
    let files =
        entries.collect::<Result<Vec<_>, _>>().with_context(|| format!("cannot read `{shown}`"))?;
    let named = |extension: &str| -> Vec<PathBuf> {
        let is_truth = |path: &PathBuf| {
            path.extension().is_some_and(|found| found == extension)
                && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("gnd"))
        };
        files.iter().map(fs::DirEntry::path).filter(is_truth).collect()
    };
    match (&named("json")[..], &named("pkl")[..]) {
        ([one], _) | ([], [one]) => Ok(Some(one.clone())),
        ([], []) => bail!(
            "`{shown}` has `jpg/` but no ground truth `gnd_NAME.pkl` or `gnd_NAME.json`: name it by `--gnd FILE`, or give a source \
             with a folder for each class"
        ),
        _ => bail!("`{shown}` has several ground truths: choose one by `--gnd FILE`"),
    }
}

/// The images `jpg/NAME.jpg` of a list.
fn files(folder: &Path, names: &[String], list: &str) -> Result<Subset> {
    let path = |name: &String| {
        let plain = folder.join("jpg").join(name);
        if plain.is_file() { plain } else { folder.join("jpg").join(format!("{name}.jpg")) }
    };
    let paths: Vec<PathBuf> = names.iter().map(path).collect();
    let missing: Vec<&PathBuf> = paths.iter().filter(|path| !path.is_file()).collect();
    if let Some(first) = missing.first() {
        bail!(
            "{} of {} images in `{list}` are missing, the first is `{}`",
            missing.len(),
            paths.len(),
            first.display()
        );
    }
    let images = ImageFiles::new(paths);
    let images = images.map_err(|path| anyhow::anyhow!("`{}` is no image", path.display()))?;
    Ok(Subset::new(Arc::new(images), None, 0))
}
