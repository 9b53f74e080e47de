//! `dino-vmf duplicates`: near-duplicates of a data set, or between two.

mod board;
mod output;
mod pixels;

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum, ValueHint};
use multicrop::Dataset;
use probe::Subset;
use probe::sets::Shared;
use probe::similarity::Rows;
use probe::similarity::duplicates::{
    Found, Outcome, Search, groups, groups_against, search, suggest,
};
use report::number::counted;

use super::compared::{Bank, Compared, ComparedFlags, comparing};
use super::output_file::{check_file, require_ending};
use super::pictures::PictureFiles;
use super::table_file::check_table;
use crate::console::Console;
use crate::usage::Usage;
use output::Answer;
use pixels::Looks;

/// More pairs than this are no near-duplicates: 240 MB of them.
const MOST_PAIRS: usize = 10_000_000;

/// Find near-duplicates in a data set, or between two: groups, and a list of images to drop
///
/// Two images are near-duplicates if the cosine of their features is at least `--threshold`. All pairs are compared.
/// Of each group one image is kept, the one with most pixels (`--keep`); every other image of the group is a
/// near-duplicate of that one, and no two kept images are near-duplicates of each other. Images that are equal pixel
/// by pixel are named as such.
///
/// With `--against OTHER`, images of SOURCE are compared with those of OTHER and not with each other: what leaks from
/// a test set into a training set. All of OTHER is kept.
///
/// Cosines mean something else for every network, so the threshold is measured: an image within a fifth of the usual
/// distance to the nearest image is a near-duplicate. Look before you drop: `--html` shows the groups, the pairs just
/// above and just below the threshold, and a histogram. docs/similar.md says how to choose another one.
///
/// Example: dino-vmf duplicates photos/ --checkpoint runs/photos --html duplicates.html --drop drop.txt
#[derive(Debug, Args)]
pub(crate) struct Duplicates {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    ///
    /// `:train` or `:test` behind the name picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    #[command(flatten)]
    compared: ComparedFlags,
    /// Compare with the images of this source, such as a test set, and drop from SOURCE alone
    #[arg(long, value_name = "OTHER", value_hint = ValueHint::AnyPath)]
    against: Option<String>,
    /// File of features of OTHER, as `--from` is of SOURCE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "against")]
    against_from: Option<PathBuf>,
    /// Smallest cosine of near-duplicates, up to 1; by default measured on the images
    #[arg(long, value_name = "COSINE", value_parser = cosine, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Image of a group to keep: that with most pixels, of equal ones the first; or the first of the source
    #[arg(long, value_name = "WHICH", default_value = "largest")]
    keep: Keep,
    /// Write the names of the images to drop to this file, one in each line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    drop: Option<PathBuf>,
    /// Write all groups as a table: group, kept, name, index, cosine, equal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    pictures: PictureFiles,
}

/// Which image of a group is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keep {
    Largest,
    First,
}

impl Duplicates {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.pictures.check()?;
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        if let Some(file) = &self.drop {
            require_ending("--drop", file, &["txt", "list", "lst"])?;
            check_file(file)?;
        }
        let compared = self.compared.open(console)?;
        let dataset = compared.open_source(&self.source)?;
        let other = self.against.as_deref().map(|other| compared.open_source(other)).transpose()?;
        for images in [Some(&dataset), other.as_ref()].into_iter().flatten() {
            let others = [("--csv", self.csv.as_deref()), ("--drop", self.drop.as_deref())];
            self.pictures.refuse_source(&others, images.as_ref())?;
        }
        for source in iter::once(&self.source).chain(&self.against) {
            self.pictures.warn_among_images(source, console);
        }
        if let Some(other) = &other {
            check_shared(&dataset, other, console)?;
        }
        let bank = compared.bank_of(dataset, self.compared.from.as_deref(), console)?;
        let other =
            other.map(|other| compared.bank_of(other, self.against_from.as_deref(), console));
        let other = other.transpose()?;
        let threshold = self.threshold(&bank, other.as_ref(), console)?;
        let found = search_all(&bank, other.as_ref(), threshold, console)?;
        let looks = Looks::of(&found, &bank, other.as_ref(), console)?;
        let groups = match &other {
            Some(_) => groups_against(&found, threshold),
            None => groups(&found.pairs, |row| match self.keep {
                Keep::Largest => looks.pixels(row),
                Keep::First => 0,
            }),
        };
        let answer = Answer {
            compared: compared.describe(),
            threshold,
            bank: &bank,
            other: other.as_ref(),
            found: &found,
            groups: &groups,
            looks: &looks,
        };
        answer.print(console);
        self.write(&answer, &compared, console)
    }

    /// The threshold that is given, or one that is measured.
    fn threshold(&self, bank: &Bank, other: Option<&Bank>, console: &mut Console) -> Result<f32> {
        if let Some(other) = other.map(|other| other.features.width())
            && other != bank.features.width()
        {
            let width = bank.features.width();
            bail!("the features of both sources differ: {width} values and {other}");
        }
        if let Some(threshold) = self.threshold {
            return Ok(threshold);
        }
        let against = other.map(|other| &other.features as &dyn Rows);
        let found = suggest(&bank.features, against, &mut comparing(console));
        console.end_progress();
        let threshold = found.context("cannot read the features")?.context("stopped")?;
        console.note(format!(
            "threshold {threshold:.4}: a fifth of the usual distance to the nearest image; choose another by \
             `--threshold`"
        ));
        Ok(threshold)
    }

    fn write(
        &self,
        answer: &Answer<'_>,
        compared: &Compared<'_>,
        console: &mut Console,
    ) -> Result<()> {
        if let Some(path) = &self.drop {
            answer
                .write_drop(path, console)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            console.note(format!("to drop: {}", path.display()));
        }
        if let Some(path) = &self.csv {
            answer.write_csv(path, console)?;
        }
        match self.pictures.any() {
            true => self.pictures.write(board::new(answer, &compared.describe())?, console),
            false => Ok(()),
        }
    }
}

/// Warns of images that both sources have: they are near-duplicates of themselves.
///
/// # Errors
/// All are the same.
fn check_shared(
    images: &Arc<dyn Dataset>,
    other: &Arc<dyn Dataset>,
    console: &mut Console,
) -> Result<()> {
    let [images, other] = [images, other].map(|images| Subset::new(images.clone(), None, 0));
    let Some(Shared { count, first }) = Shared::of(&images, &other) else { return Ok(()) };
    if count == images.len() {
        bail!(Usage(
            "`--against` has all images of SOURCE: leave it out to find near-duplicates within SOURCE"
                .to_owned()
        ));
    }
    console.warn(format!(
        "SOURCE and `--against` share {}, such as `{first}`: they are near-duplicates of themselves, and `--drop` leaves \
         them out",
        counted(count, "image")
    ));
    Ok(())
}

fn search_all(
    bank: &Bank,
    other: Option<&Bank>,
    threshold: f32,
    console: &mut Console,
) -> Result<Found> {
    let against = other.map(|other| &other.features as &dyn Rows);
    let what = Search { rows: &bank.features, against, threshold, most: MOST_PAIRS };
    let outcome = search(what, &mut comparing(console));
    console.end_progress();
    match outcome.context("cannot read the features")? {
        Outcome::Done(found) => Ok(found),
        Outcome::Stopped => bail!("stopped"),
        Outcome::TooMany => bail!(
            "more than {MOST_PAIRS} pairs have a cosine of {threshold} or above, so that is no sign of a \
             duplicate here: choose a larger `--threshold`"
        ),
    }
}

/// Parses a threshold.
fn cosine(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|x| (-1.0..=1.0).contains(x));
    number.ok_or_else(|| "must be a number from -1 to 1, such as 0.95".to_owned())
}
