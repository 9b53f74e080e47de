//! `dino-vmf eval copydetect`: copies of images, found among originals by the cosine of features.

mod copies;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::open::Opened;
use probe::retrieval::precision_of_first;
use probe::sets::Shared;
use probe::whitening::Whitening;
use probe::{Matrix, Progress, Subset};
use rayon::prelude::*;
use report::number::counted;
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::table_file::{check_table, write_table};
use super::super::threads::Threads;
use super::super::viewing::show_images;
use super::retrieval::ranking;
use super::score::Score;
use super::vectors::{Pooling, Size, Vectors};
use crate::console::Console;
use copies::Block;

/// Images of a ranking that count in DINO's evaluation.
const FIRST: usize = 20;
/// Exponent of the generalized mean in DINO's evaluation.
const GEM_P: f64 = 4.0;

/// Find the originals of edited copies: mean average precision
///
/// The folder has the layout of Copydays: `original/`, and a folder for each kind of copies, such as `strong/` or
/// `jpegqual/15/`. The names of a copy and of its original begin with the same characters, four in Copydays. Each
/// copy is a query among all originals, and each kind of copies gets a row.
///
/// Nothing is trained. An image is resized to a square; its vector is the CLS token followed by the generalized mean of
/// the patch tokens of the teacher's backbone. `--whiten` gives every direction of these vectors the same weight.
///
/// Example: dino-vmf eval copydetect runs/a --data copydays/ --distractors photos/
#[derive(Debug, Args)]
pub(crate) struct CopyDetect {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    flags: Flags,
    /// Write what each copy found as a table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// A folder with `original/` and folders of copies
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    data: PathBuf,
    /// Other images among which the originals hide
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    distractors: Option<String>,
    /// Images by which vectors are whitened, 20,000 in DINO's evaluation
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    whiten: Option<String>,
    /// Characters that the names of a copy and of its original have in common at the beginning
    #[arg(long, value_name = "N", default_value_t = 4, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=255))]
    prefix: u32,
    /// Side of the square that an image is resized to
    #[arg(long, value_name = "PIXELS", default_value_t = 320, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=8192))]
    size: u32,
}

/// Copies of one kind, and what was found for each.
struct Found {
    block: Block,
    queries: Vec<Query>,
}

/// The images beside the copies.
struct Sets {
    originals: Subset,
    /// Images among which the originals hide.
    distractors: Option<Subset>,
    /// Images by which vectors are whitened.
    learned: Option<Subset>,
}

/// What a copy found.
struct Query {
    /// Average precision of the first images, 0 to 1.
    precision: f64,
    /// Place of its first original, from 1, if that is among them.
    place: Option<usize>,
    /// The image that is most like it, and their cosine.
    nearest: (u32, f32),
}

/// Vectors of unit length, and names of the images in which the originals are sought.
struct Bank {
    rows: Matrix,
    names: Vec<String>,
    /// The first of them are originals.
    originals: usize,
}

impl CopyDetect {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        self.threads.start()?;
        let opened = self.checkpoint.named().open(console)?;
        let (found, bank) = self.flags.find(&opened, console)?;
        self.flags.print(&opened, &found, &bank, console);
        self.csv.as_deref().map_or(Ok(()), |path| write_pairs(path, &found, &bank, console))
    }
}

impl Flags {
    /// Mean average precision of each kind of copies, for a comparison of checkpoints.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &Opened, console: &mut Console) -> Result<Vec<Score>> {
        let (found, bank) = self.find(opened, console)?;
        let score = |Found { block, queries }: Found| {
            let (copies, images) =
                (counted(queries.len(), "query"), counted(bank.names.len(), "image"));
            let credits = queries.iter().map(|query| query.precision).collect();
            let counts = format!("{copies} among {images}");
            Score::mean_of(format!("mAP, {}", block.name), credits, counts)
        };
        Ok(found.into_iter().map(score).collect())
    }

    /// Ranks all originals and other images for each copy.
    fn find(&self, opened: &Opened, console: &mut Console) -> Result<(Vec<Found>, Bank)> {
        let (originals, blocks) = copies::open(&self.data, self.prefix as usize)?;
        let [distractors, learned] = [&self.distractors, &self.whiten].map(|source| {
            let open = |source: &String| opened.config.data.open(source);
            source.as_ref().map(open).transpose()
        });
        let [distractors, learned] = [distractors?, learned?]
            .map(|images| images.map(|images| Subset::new(images, None, 0)));
        let notes = distractors.iter().chain(&learned).flat_map(Subset::notes);
        notes.for_each(|text| console.warn(text));
        if let Some(other) = &distractors {
            let copies = blocks.iter().map(|block| (block.name.as_str(), &block.copies));
            for (name, images) in [("original", &originals)].into_iter().chain(copies) {
                warn_of_shared(other, name, images, console);
            }
        }
        let vectors = Vectors {
            opened,
            size: Size::Square(self.size),
            factors: &[1.0],
            pooling: Pooling::ClsAndGem,
            p: GEM_P,
        };
        let sets = Sets { originals, distractors, learned };
        search(&vectors, &sets, blocks, console)
    }

    fn print(&self, opened: &Opened, found: &[Found], bank: &Bank, console: &mut Console) {
        let (originals, hidden) = (bank.originals, bank.names.len() - bank.originals);
        let images = counted(originals, "original");
        console.text(format!("copies, percent; {images} among {}", counted(hidden, "other image")));
        console.text(format!("{:>24}{:>8}{:>8}", "copies", "images", "mAP"));
        for Found { block, queries } in found {
            let (name, copies) = (&block.name, queries.len());
            let sum: f64 = queries.iter().map(|query| query.precision).sum();
            let percent = 100.0 * sum / copies as f64;
            console.text(format!("{name:>24}{copies:>8}{percent:>8.2}"));
            let record = json!({
                "checkpoint": opened.path, "step": opened.step, "copies": name, "images": copies,
                "originals": originals, "distractors": hidden, "size": self.size,
                "whitening": self.whiten, "map": percent,
            });
            console.event("copydetect", &record);
        }
        let whitening = match &self.whiten {
            Some(source) => format!("whitened by the images of `{source}`"),
            None => "without whitening (`--whiten SOURCE`)".to_owned(),
        };
        console.note(format!(
            "protocol: DINO on Copydays: {0} x {0} pixels, [CLS] and GeM of the patches with exponent {GEM_P}, teacher, \
             {whitening}, unit length, cosine, AP by trapezoids over the first {FIRST} images",
            self.size
        ));
    }
}

/// Warns of distractors that are images of the folder `name`: they count as wrong where they are found.
fn warn_of_shared(distractors: &Subset, name: &str, images: &Subset, console: &mut Console) {
    if let Some(Shared { count, first }) = Shared::of(distractors, images) {
        console.warn(format!(
            "{count} of {} images of `--distractors` are also in the folder `{name}`, such as `{first}`, and count as \
             wrong: give other images",
            distractors.len()
        ));
    }
}

/// Computes all vectors, and ranks the originals and the other images for each copy.
fn search(
    vectors: &Vectors<'_>,
    sets: &Sets,
    blocks: Vec<Block>,
    console: &mut Console,
) -> Result<(Vec<Found>, Bank)> {
    let learned = sets.learned.as_ref();
    let searched = [Some(&sets.originals), sets.distractors.as_ref()];
    let of_sets: usize = searched.into_iter().flatten().chain(learned).map(Subset::len).sum();
    let total = of_sets + blocks.iter().map(|block| block.copies.len()).sum::<usize>();
    let more = learned.map_or(0, |_| Whitening::bytes(vectors.width()));
    vectors.require_memory(total, more)?;
    let mut report = |done, total| {
        show_images(console, "copies", (done, total), "forward pass");
        std::ops::ControlFlow::Continue(())
    };
    let progress = &mut Progress::new(total, &mut report);
    let learn = |images: &Subset, progress: &mut Progress<'_>| -> Result<Whitening> {
        Ok(Whitening::learn(&vectors.of_all(images, &[], progress)?))
    };
    let whitening = learned.map(|images| learn(images, progress)).transpose()?;
    let mut of = |images: &Subset| -> Result<Matrix> {
        let mut rows = vectors.of_all(images, &[], progress)?;
        whitening.iter().for_each(|whitening| whitening.apply(&mut rows));
        rows.normalize();
        Ok(rows)
    };
    let count = searched.into_iter().flatten().map(Subset::len).sum();
    let rows = Matrix::with_capacity(count, vectors.width());
    let mut bank = Bank { rows, names: Vec::new(), originals: sets.originals.len() };
    for images in searched.into_iter().flatten() {
        let rows = of(images)?;
        bank.rows.push(&rows.values, rows.width);
        bank.names.extend(images.indices().iter().map(|&index| images.dataset().name(index)));
    }
    let found = blocks.into_iter().map(|block| {
        let queries = queries(&of(&block.copies)?, &bank.rows, &block.originals);
        Ok(Found { block, queries })
    });
    let found = found.collect::<Result<Vec<_>>>()?;
    console.end_progress();
    Ok((found, bank))
}

/// What each copy finds.
fn queries(copies: &Matrix, bank: &Matrix, originals: &[Vec<usize>]) -> Vec<Query> {
    let (copies, bank): (Vec<&[f32]>, Vec<&[f32]>) =
        (copies.rows().collect(), bank.rows().collect());
    let query = |(copy, right): (&&[f32], &Vec<usize>)| {
        let mut order = ranking(copy, &bank, None);
        order.truncate(FIRST);
        let is_right = |image: &u32| right.contains(&(*image as usize));
        let nearest = order[0];
        let cosine = bank[nearest as usize].iter().zip(*copy).map(|(x, y)| x * y).sum();
        Query {
            precision: precision_of_first(&order, right),
            place: order.iter().position(is_right).map(|place| place + 1),
            nearest: (nearest, cosine),
        }
    };
    copies.par_iter().zip(originals).map(query).collect()
}

/// Writes a row for each copy.
fn write_pairs(path: &Path, found: &[Found], bank: &Bank, console: &mut Console) -> Result<()> {
    let rows = found.iter().flat_map(|Found { block, queries }| {
        queries.iter().enumerate().map(move |(number, query)| {
            let index = block.copies.indices()[number];
            [
                block.name.clone(),
                block.copies.dataset().name(index),
                bank.names[block.originals[number][0]].clone(),
                query.place.map_or(String::new(), |place| place.to_string()),
                bank.names[query.nearest.0 as usize].clone(),
                query.nearest.1.to_string(),
            ]
        })
    });
    let head = ["copies", "image", "original", "place", "nearest", "cosine"];
    write_table(path, head, rows, console)
}
