//! `dino-vmf eval copydetect`: copies of images, found among originals by the cosine of features.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueHint};
use multicrop::dataset::ImageFiles;
use probe::retrieval::{Difficulty, Relevant, score};
use probe::{Matrix, Progress, Subset};
use rayon::prelude::*;
use report::number::counted;
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::viewing::show_images;
use super::super::{thread_count, use_threads};
use super::retrieval::ranking;
use super::vectors::{Pooling, Size, Vectors};
use crate::console::Console;

/// Exponent of the generalized mean in DINO's evaluation.
const GEM_P: f64 = 4.0;

/// Find the originals of edited copies: mean average precision
///
/// The folder has the layout of Copydays: `original/`, and a folder for each kind of copies, such as `strong/` or
/// `jpegqual/15/`. The names of a copy and of its original begin with the same characters, four in Copydays. Each
/// copy is a query among all originals, and each kind of copies gets a row.
///
/// Nothing is trained. An image is resized to a square; its vector is the CLS token followed by the generalized mean of
/// the patch tokens of the teacher's backbone.
///
/// Example: dino-vmf eval copydetect runs/a --data copydays/ --distractors photos/
#[derive(Debug, Args)]
pub(crate) struct CopyDetect {
    #[command(flatten)]
    checkpoint: Checkpoint,
    /// A folder with `original/` and folders of copies
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    data: PathBuf,
    /// Other images among which the originals hide
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    distractors: Option<String>,
    /// Characters that the names of a copy and of its original have in common at the beginning
    #[arg(long, value_name = "N", default_value_t = 4, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=255))]
    prefix: u32,
    /// Side of the square that an image is resized to
    #[arg(long, value_name = "PIXELS", default_value_t = 320, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=8192))]
    size: u32,
    /// Compute threads; 0 uses all cores. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

/// A kind of copies.
struct Block {
    /// Its folder, relative to the data.
    name: String,
    copies: Subset,
    /// For each copy, the places of its originals.
    originals: Vec<Relevant>,
}

impl CopyDetect {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        use_threads(self.threads)?;
        let opened = self.checkpoint.named().open(console)?;
        let (originals, blocks) = self.open()?;
        let distractors = self.distractors.as_deref();
        let distractors = distractors.map(|source| opened.config.data.open(source)).transpose()?;
        let distractors = distractors.map(|images| Subset::new(images, None, 0));
        let notes = distractors.iter().flat_map(Subset::notes);
        notes.for_each(|text| console.warn(text));
        let hidden = distractors.as_ref().map_or(0, Subset::len);
        let copies: usize = blocks.iter().map(|block| block.copies.len()).sum();
        let vectors = Vectors {
            opened: &opened,
            size: Size::Square(self.size),
            factors: &[1.0],
            pooling: Pooling::ClsAndGem,
            p: GEM_P,
        };
        let mut report = |done, total| {
            show_images(console, "copies", (done, total), "forward pass");
            std::ops::ControlFlow::Continue(())
        };
        let progress = &mut Progress::new(originals.len() + hidden + copies, &mut report);
        let mut bank = vectors.of_all(&originals, &[], progress)?;
        if let Some(distractors) = &distractors {
            let more = vectors.of_all(distractors, &[], progress)?;
            bank.push(&more.values, more.width);
        }
        let found = blocks.iter().map(|block| {
            let queries = vectors.of_all(&block.copies, &[], progress)?;
            Ok(mean_precision(&queries, &bank, &block.originals))
        });
        let found = found.collect::<Result<Vec<f64>>>()?;
        console.end_progress();
        let images = counted(originals.len(), "original");
        console.text(format!("copies, percent; {images} among {}", counted(hidden, "other image")));
        console.text(format!("{:>24}{:>8}{:>8}", "copies", "images", "mAP"));
        for (block, map) in blocks.iter().zip(found) {
            let (name, copies, percent) = (&block.name, block.copies.len(), 100.0 * map);
            console.text(format!("{name:>24}{copies:>8}{percent:>8.2}"));
            console.event(
                "copydetect",
                &json!({
                    "checkpoint": opened.path, "step": opened.step, "copies": name, "images": copies,
                    "originals": originals.len(), "distractors": hidden, "size": self.size,
                    "map": percent,
                }),
            );
        }
        console.note(format!(
            "protocol: DINO on Copydays: {0} x {0} pixels, [CLS] and GeM of the patches with exponent {GEM_P}, teacher, \
             unit length, cosine, AP by trapezoids; without whitening",
            self.size
        ));
        Ok(())
    }

    /// The originals and the kinds of copies.
    fn open(&self) -> Result<(Subset, Vec<Block>)> {
        let shown = self.data.display();
        let folder = self.data.join("original");
        ensure!(folder.is_dir(), "`{shown}` has no folder `original` with the originals");
        let originals = image_files(&folder)?;
        ensure!(!originals.is_empty(), "`{}` has no image", folder.display());
        let mut folders = Vec::new();
        folders_below(&self.data, &mut folders)?;
        let mut blocks = Vec::new();
        for folder in folders.into_iter().filter(|other| !other.starts_with(&folder)) {
            let copies = image_files(&folder)?;
            if !copies.is_empty() {
                let of = |copy: &PathBuf| self.originals_of(copy, &originals);
                let right = copies.iter().map(of).collect::<Result<Vec<_>>>()?;
                let name = folder.strip_prefix(&self.data).unwrap_or(&folder).display().to_string();
                blocks.push(Block { name, copies: subset(copies)?, originals: right });
            }
        }
        ensure!(!blocks.is_empty(), "`{shown}` has no folder of copies beside `original`");
        Ok((subset(originals)?, blocks))
    }

    fn originals_of(&self, copy: &Path, originals: &[PathBuf]) -> Result<Relevant> {
        let start = |path: &Path| -> String {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            name.chars().take(self.prefix as usize).collect()
        };
        let wanted = start(copy);
        let same = (0..originals.len()).filter(|&place| start(&originals[place]) == wanted);
        let easy: Vec<usize> = same.collect();
        ensure!(
            !easy.is_empty(),
            "`{}` has no original: no name in `original` begins with `{wanted}`; `--prefix` says how many \
             characters count",
            copy.display()
        );
        Ok(Relevant { easy, ..Relevant::default() })
    }
}

/// The mean of the average precision of all queries.
fn mean_precision(queries: &Matrix, bank: &Matrix, originals: &[Relevant]) -> f64 {
    let (queries, bank): (Vec<&[f32]>, Vec<&[f32]>) =
        (queries.rows().collect(), bank.rows().collect());
    let scored = queries.par_iter().zip(originals).map(|(query, of)| {
        let found =
            score(&[ranking(query, &bank, None)], std::slice::from_ref(of), Difficulty::Easy);
        found.map.unwrap_or_default()
    });
    let scored: Vec<f64> = scored.collect();
    scored.iter().sum::<f64>() / scored.len() as f64
}

fn subset(paths: Vec<PathBuf>) -> Result<Subset> {
    let images = ImageFiles::new(paths);
    let images = images.map_err(|path| anyhow::anyhow!("`{}` is no image", path.display()))?;
    Ok(Subset::new(Arc::new(images), None, 0))
}

/// The files of a folder by name, without hidden ones.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

fn folders_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        found.push(path.clone());
        folders_below(&path, found)?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        paths.collect()
    };
    let mut paths = read().with_context(|| format!("cannot read `{}`", folder.display()))?;
    let is_hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    Ok(paths)
}
