//! `dino-vmf eval retrieval`: images that show the same thing, ranked by the cosine of features.

mod ground_truth;
mod pickled;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum, ValueHint};
use dino::open::Opened;
use probe::retrieval::{Difficulty, score};
use probe::{Matrix, Progress};
use rayon::prelude::*;
use report::number::counted;
use serde_json::json;

use super::super::opening::Checkpoint;
use super::super::positive;
use super::super::threads::Threads;
use super::score::Score;
use super::vectors::{Pooling, Size, Vectors};
use crate::console::Console;
use ground_truth::Task;

/// Rank images by likeness to queries: mean average precision
///
/// With a folder in the layout of revisited Oxford and Paris (`jpg/` and a ground truth `gnd_NAME.pkl`), the queries
/// are cut to their boxes, and precision is that of its easy, medium and hard lists. In any other source with classes
/// each image is a query among all others, and those of its class are right.
///
/// Nothing is trained. The features are those of the teacher's backbone on whole images, aspect kept.
///
/// Example: dino-vmf eval retrieval runs/a --data roxford5k/ --size 512
#[derive(Debug, Args)]
pub(crate) struct Retrieval {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    threads: Threads,
}

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// A folder with `jpg/` and `gnd_NAME.pkl` or `.json`, or images with classes such as `photos:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    data: String,
    /// Ground truth of the images in `--data`, if it lies elsewhere: pickle or JSON with `imlist`, `qimlist`, `gnd`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    gnd: Option<PathBuf>,
    /// Take queries whole, as the evaluations of DINO and iBOT do, and not their boxes, as the data sets are published
    #[arg(long)]
    whole_queries: bool,
    /// Longest side of an image; longer ones are reduced to it. By default twice the side of training, at most 512
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=8192))]
    size: Option<u32>,
    /// Sizes of an image whose vectors are averaged: `multi` is 1, 1/sqrt(2) and 1/2; `single` is 1
    #[arg(long, value_name = "SCALES", default_value = "multi")]
    scales: Scales,
    /// Vector of an image
    #[arg(long, value_name = "POOLING", default_value = "cls")]
    pooling: Pooling,
    /// Exponent of `--pooling gem`
    #[arg(long, value_name = "P", default_value_t = 3.0, allow_negative_numbers = true)]
    #[arg(value_parser = positive)]
    gem_p: f64,
}

/// Sizes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scales {
    Multi,
    Single,
}

/// Queries that are ranked between two reports of the progress.
const QUERIES: usize = 256;

/// Average precision of a query, and its precision at places.
type Precision = (f64, [f64; 3]);

/// The images that were searched, and what was found.
struct Found {
    task: Task,
    /// Longest side of an image.
    size: u32,
    /// For each list of relevant images, the queries with something to find.
    lists: Vec<(&'static str, Vec<Precision>)>,
}

impl Scales {
    fn factors(self) -> &'static [f64] {
        match self {
            Self::Multi => &[1.0, std::f64::consts::FRAC_1_SQRT_2, 0.5],
            Self::Single => &[1.0],
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Multi => "scales 1, 1/sqrt(2), 1/2",
            Self::Single => "one scale",
        }
    }
}

impl Retrieval {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.threads.start()?;
        let opened = self.checkpoint.named().open(console)?;
        let found = self.flags.find(&opened, console)?;
        self.flags.print(&opened, &found, console);
        Ok(())
    }
}

impl Flags {
    /// Mean average precision of each list, for a comparison of checkpoints.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &Opened, console: &mut Console) -> Result<Vec<Score>> {
        let found = self.find(opened, console)?;
        let some = found.lists.iter().filter(|(_, queries)| !queries.is_empty());
        let score = |(name, queries): &(&str, Vec<Precision>)| {
            let counts = format!(
                "{} among {}",
                counted(queries.len(), "query"),
                counted(found.task.images.len(), "image")
            );
            let credits = queries.iter().map(|(ap, _)| *ap).collect();
            Score::mean_of(format!("mAP, {name}"), credits, counts)
        };
        let scores: Vec<Score> = some.map(score).collect();
        ensure!(!scores.is_empty(), "no query has anything to find");
        Ok(scores)
    }

    /// Ranks all images for each query.
    fn find(&self, opened: &Opened, console: &mut Console) -> Result<Found> {
        let mut task = Task::open(&self.data, self.gnd.as_deref(), opened, console)?;
        ensure!(
            task.queries.is_some() || !self.whole_queries,
            "`--whole-queries` needs queries with boxes, but `{}` has no ground truth with any",
            self.data
        );
        if self.whole_queries {
            task.boxes.clear();
        }
        let image_size = opened.network.backbone.shape().image_size;
        let size = self.size.unwrap_or((2 * image_size).min(512) as u32);
        let vectors = Vectors {
            opened,
            size: Size::Longest(size),
            factors: self.scales.factors(),
            pooling: self.pooling,
            p: self.gem_p,
        };
        let (bank, queries) = features(&task, &vectors, console)?;
        let lists = rank(&task, &bank, queries.as_ref(), console);
        Ok(Found { task, size, lists })
    }

    fn print(&self, opened: &Opened, found: &Found, console: &mut Console) {
        let Found { task, size, lists } = found;
        let images = counted(task.images.len(), "image");
        console.text(format!("retrieval among {images} of {}, percent", task.source));
        console.text(format!(
            "{:>8}{:>9}{:>8}{:>8}{:>8}{:>8}",
            "", "queries", "mAP", "mP@1", "mP@5", "mP@10"
        ));
        for (name, queries) in lists {
            self.print_row(opened, (task, *size), (name, queries), console);
        }
        self.print_protocol(task, *size, console);
    }

    fn print_row(
        &self,
        opened: &Opened,
        (task, size): (&Task, u32),
        (name, found): (&str, &[Precision]),
        console: &mut Console,
    ) {
        let queries = found.len();
        let percent =
            |of: fn(&Precision) -> f64| 100.0 * found.iter().map(of).sum::<f64>() / queries as f64;
        let [map, p1, p5, p10] = [
            percent(|(ap, _)| *ap),
            percent(|(_, precision)| precision[0]),
            percent(|(_, precision)| precision[1]),
            percent(|(_, precision)| precision[2]),
        ];
        console.text(match queries {
            0 => format!("{name:>8}{queries:>9}  nothing to find"),
            _ => format!("{name:>8}{queries:>9}{map:>8.2}{p1:>8.2}{p5:>8.2}{p10:>8.2}"),
        });
        let some = |value: f64| (queries > 0).then_some(value);
        console.event(
            "retrieval",
            &json!({
                "checkpoint": opened.path, "step": opened.step, "source": task.source,
                "images": task.images.len(), "size": size, "scales": self.scales.factors(),
                "pooling": self.pooling.words(), "whole_queries": self.whole_queries, "relevant": name,
                "queries": queries, "without_relevant": task.query_count() - queries, "map": some(map),
                "mp1": some(p1), "mp5": some(p5), "mp10": some(p10),
            }),
        );
    }

    fn print_protocol(&self, task: &Task, size: u32, console: &mut Console) {
        let [pooling, scales] = [self.pooling.words(), self.scales.words()];
        let queries = match (&task.queries, self.whole_queries) {
            (Some(_), false) => {
                "revisited Oxford and Paris, queries cut to their boxes (`--whole-queries` takes them whole, as the code \
                 of DINO)"
            }
            (Some(_), true) => "revisited Oxford and Paris, whole queries, as the code of DINO",
            (None, _) => "each image is a query among all others, those of its class are right",
        };
        console.note(format!(
            "protocol: {queries}; {pooling} of the teacher, longest side {size} at most, {scales}, cosine; AP by \
             trapezoids; images are reduced by a bicubic filter, in the code of DINO by Lanczos"
        ));
    }
}

/// Vectors of the images, and of the queries if they are others.
fn features(
    task: &Task,
    vectors: &Vectors<'_>,
    console: &mut Console,
) -> Result<(Matrix, Option<Matrix>)> {
    let total = task.images.len() + task.queries.as_ref().map_or(0, |queries| queries.len());
    let mut report = |done, total| {
        super::super::viewing::show_images(console, "retrieval", (done, total), "forward pass");
        std::ops::ControlFlow::Continue(())
    };
    vectors.require_memory(total, 0)?;
    let progress = &mut Progress::new(total, &mut report);
    let mut bank = vectors.of_all(&task.images, &[], progress)?;
    let queries = task.queries.as_ref();
    let mut queries =
        queries.map(|queries| vectors.of_all(queries, &task.boxes, progress)).transpose()?;
    console.end_progress();
    bank.normalize();
    queries.iter_mut().for_each(Matrix::normalize);
    Ok((bank, queries))
}

/// Ranks all images for each query and scores the ranking. Only the rankings of a few queries are held.
fn rank(
    task: &Task,
    bank: &Matrix,
    queries: Option<&Matrix>,
    console: &mut Console,
) -> Vec<(&'static str, Vec<Precision>)> {
    let lists: &[(&str, Difficulty)] = match queries {
        Some(_) => &[
            ("easy", Difficulty::Easy),
            ("medium", Difficulty::Medium),
            ("hard", Difficulty::Hard),
        ],
        None => &[("classes", Difficulty::Easy)],
    };
    let vectors: Vec<&[f32]> = queries.unwrap_or(bank).rows().collect();
    let bank: Vec<&[f32]> = bank.rows().collect();
    let score_query = |query: usize| -> Vec<Option<Precision>> {
        let itself = queries.is_none().then_some(query);
        let ranking = [ranking(vectors[query], &bank, itself)];
        let relevant = [task.relevant(query)];
        let of = |(_, difficulty): &(&str, Difficulty)| {
            let found = score(&ranking, &relevant, *difficulty);
            found.map.zip(found.precision)
        };
        lists.iter().map(of).collect()
    };
    let mut scored: Vec<Vec<Option<Precision>>> = Vec::with_capacity(vectors.len());
    while scored.len() < vectors.len() {
        let (first, last) = (scored.len(), vectors.len().min(scored.len() + QUERIES));
        scored.par_extend((first..last).into_par_iter().map(score_query));
        let (done, total) = (scored.len() as u64, vectors.len() as u64);
        let text = " queries ranked".to_owned();
        console.progress(&crate::console::Progress { what: "ranking", done, total, text }, false);
    }
    console.end_progress();
    let of_list = |place: usize| scored.iter().filter_map(|of| of[place]).collect();
    lists.iter().enumerate().map(|(place, (name, _))| (*name, of_list(place))).collect()
}

/// All images but the query itself, the most alike first; of equal ones the earlier image first.
pub(super) fn ranking(query: &[f32], bank: &[&[f32]], itself: Option<usize>) -> Vec<u32> {
    let cosine = |row: &&[f32]| -> f32 { row.iter().zip(query).map(|(x, y)| x * y).sum() };
    let cosines: Vec<f32> = bank.iter().map(cosine).collect();
    let mut order: Vec<u32> =
        (0..bank.len()).filter(|row| Some(*row) != itself).map(|row| row as u32).collect();
    order.sort_by(|a, b| cosines[*b as usize].total_cmp(&cosines[*a as usize]));
    order
}
