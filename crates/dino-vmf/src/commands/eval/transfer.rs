//! `dino-vmf eval transfer`: logistic regression on frozen features of other data sets.

mod images;
mod kept;
mod known;
mod measure;
mod set;
mod table;
mod voc;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueHint};
use dino::open::Opened;

use super::super::opening::Checkpoint;
use super::super::output_file::refuse_source;
use super::super::table_file::check_table;
use super::super::threads::Threads;
use super::super::viewing::Sizes;
use super::labelled::Vectors;
use super::score::Score;
use crate::console::Console;
use kept::Kept;
use known::{Known, Metric};
use measure::{Measured, measure};
use set::{Entry, Set, read_sets};
use table::Table;

/// Fit linear classifiers to frozen features of other data sets
///
/// L2-regularized logistic regression, to the optimum. The weight decay is chosen among 45 values on validation images;
/// then training and validation images are fitted together, and the test images are classified once.
///
/// `--dataset` names a standard data set: the command then takes its usual measure, and images of 224 pixels. VOC 2007
/// has several classes in an image; its folder with `ImageSets/Main` is read as it is, and so is a list with lines such
/// as `1.jpg,cat;dog`. `--sets` measures several data sets and their mean. Finished ones are kept in `--out`.
///
/// Example: dino-vmf eval transfer runs/a --dataset pets --data pets/
#[derive(Debug, Args)]
pub(crate) struct Transfer {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    flags: Flags,
    /// Several data sets, as TOML: a `[[set]]` with `name`, `train`, `test`, and perhaps `val`, `metric`, for each
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["data", "train", "val", "test", "dataset", "metric"])]
    sets: Option<PathBuf>,
    /// Folder in which the finished data sets of `--sets` are kept
    #[arg(long, value_name = "DIR", default_value = "transfer", value_hint = ValueHint::DirPath)]
    out: PathBuf,
    /// Write the results as a table, a row for each data set
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Labelled images with parts: the same as `--train SOURCE:train --test SOURCE:test`, and `--val SOURCE:val` if
    /// there is such a part
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    #[arg(conflicts_with_all = ["train", "val", "test"])]
    data: Option<String>,
    /// Labelled images to learn from, for example `pets:train`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "test")]
    train: Option<String>,
    /// Labelled images on which the weight decay is chosen; by default a fifth of the training images
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "train")]
    val: Option<String>,
    /// Labelled images to classify, for example `pets:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "train")]
    test: Option<String>,
    /// Standard data set, whose measure and size of images are taken
    #[arg(long, value_name = "NAME")]
    dataset: Option<Known>,
    /// What is reported, and decides the weight decay; by default that of `--dataset`, or else `top1`
    #[arg(long, value_name = "MEASURE")]
    metric: Option<Metric>,
    /// Features of an image
    #[arg(long, value_name = "VECTORS", default_value = "cls")]
    features: Vectors,
    /// Draws the validation split where there is no `--val`
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    sizes: Sizes,
}

impl Transfer {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        let entries = match &self.sets {
            Some(path) => read_sets(path)?,
            None => vec![self.flags.entry().context("`--sets FILE` is not given, either")?],
        };
        self.threads.start()?;
        let mut opened = self.checkpoint.named().open(console)?;
        let sets = self.flags.open(&entries, &mut opened, console)?;
        for images in sets.iter().flat_map(|set| set.parts.all()) {
            refuse_source(&[("--csv", self.csv.as_deref())], images.subset.dataset())?;
        }
        let Flags { features, seed, .. } = self.flags;
        let mut kept = self.sets.as_ref().map(|_| Kept::open(&self.out, &opened)).transpose()?;
        let mut table = Table::new(&opened.path, opened.step, seed);
        table.head(console);
        let mut failed = 0;
        for set in &sets {
            match self.one(set, &opened, kept.as_mut(), console) {
                Ok(found) => table.add(&set.name, found, console),
                Err(error) if kept.is_some() => {
                    console.end_progress();
                    console.warn(format!("data set `{}` failed: {error:#}", set.name));
                    failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let (_, vectors) = features.of(&opened);
        table.finish(sets.len(), &vectors, console);
        if let Some(path) = &self.csv {
            table.write(path, console)?;
        }
        match failed {
            0 => Ok(()),
            _ => bail!(
                "{failed} of {} data sets failed; the same command line tries them again",
                sets.len()
            ),
        }
    }

    /// The result of a data set: a kept one, or a new one, which is kept.
    fn one(
        &self,
        set: &Set,
        opened: &Opened,
        kept: Option<&mut Kept>,
        console: &mut Console,
    ) -> Result<Measured> {
        let Flags { features, seed, .. } = self.flags;
        let Some(kept) = kept else { return measure(set, opened, features, seed, console) };
        let (_, vectors) = features.of(opened);
        let key = kept.key(set, &vectors, seed);
        if let Some(found) = kept.find(&key) {
            let (name, out) = (&set.name, self.out.display());
            console.note(format!("`{name}` is finished in `{out}` and is not computed again"));
            return Ok(found.clone());
        }
        let found = measure(set, opened, features, seed, console)?;
        kept.add(key, found.clone())?;
        Ok(found)
    }
}

impl Flags {
    /// The measure of the data set, for a comparison of checkpoints.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &mut Opened, console: &mut Console) -> Result<Vec<Score>> {
        let sets = self.open(&[self.entry()?], opened, console)?;
        let score = |set: &Set| {
            let found = measure(set, opened, self.features, self.seed, console)?;
            let counts = format!(
                "{} training, {} validation and {} test images",
                found.train_images, found.validation_images, found.test_images
            );
            Ok(Score::alone(found.metric.title().to_owned(), found.value, counts))
        };
        sets.iter().map(score).collect()
    }

    /// Refuses flags without images.
    ///
    /// # Errors
    /// No images are named.
    pub(super) fn check(&self) -> Result<()> {
        self.entry().and_then(|entry| require_sources(&entry))
    }

    /// Opens the images of data sets.
    fn open(
        &self,
        entries: &[Entry],
        opened: &mut Opened,
        console: &mut Console,
    ) -> Result<Vec<Set>> {
        self.sizes.set(opened);
        opened.config.validate()?;
        let open = |entry: &Entry| {
            let name = &entry.name;
            let set = Set::open(entry, opened, self.sizes.given());
            set.with_context(|| format!("data set `{name}`"))
        };
        let sets = entries.iter().map(open).collect::<Result<Vec<_>>>()?;
        for set in &sets {
            let warn = |console: &mut Console| set.notes.iter().for_each(|note| console.warn(note));
            match sets.len() {
                1 => warn(console),
                _ => console.about(format!("data set `{}`", set.name), warn),
            }
        }
        Ok(sets)
    }

    /// The data set that the flags name.
    fn entry(&self) -> Result<Entry> {
        let given = self.data.clone().or(self.train.clone());
        let source = given.context(
            "no images are named: give `--data SOURCE`, or `--train SOURCE --test SOURCE`",
        )?;
        let known = self.dataset.map(Known::name);
        Ok(Entry {
            name: known.unwrap_or(source),
            data: self.data.clone(),
            train: self.train.clone(),
            val: self.val.clone(),
            test: self.test.clone(),
            metric: self.metric,
            resize: None,
            crop: None,
        })
    }
}

/// Refuses a command line that says nothing about the images.
fn require_sources(entry: &Entry) -> Result<()> {
    let pair = entry.train.is_some() && entry.test.is_some();
    ensure!(
        entry.data.is_some() != pair,
        "give either `data`, or `train` and `test`, as the images of the data set"
    );
    Ok(())
}
