//! `dino-vmf eval ood`: how well scores of a network tell images of unknown kinds from known ones.

mod page;
mod scores;

use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueHint};
use dino::evaluation;
use dino::open::Opened;
use probe::separation::Separation;
use probe::sets::Shared;
use probe::{Preprocess, Subset};
use report::number::{counted, short};
use serde_json::json;

use super::super::network_role::NetworkRole;
use super::super::opening::Checkpoint;
use super::super::own_neighbors::{Sought, own_neighbors};
use super::super::pictures::PictureFiles;
use super::super::table_file::{check_table, write_table};
use super::super::threads::Threads;
use super::super::viewing::Sizes;
use super::score::Score;
use crate::console::Console;
use crate::usage::Usage;
use scores::{Measure, Scored, Scorer};

/// Tell images of unknown kinds from known ones, without training: AUROC and FPR95
///
/// Three scores, each low for an image that the network does not know: the log likelihood of the image under the
/// mixture of the prototypes, its largest cosine with a mean direction, and its cosine with the K-th nearest
/// training image. The first two need a head with prototypes, the third needs `--train`.
///
/// AUROC is the probability that a random unknown image scores lower than a random known one: 50 percent is chance.
/// FPR95 is the share of known images that are taken for unknown where 95 percent of the unknown ones are found.
///
/// Example: dino-vmf eval ood runs/a --train cifar10:train --known cifar10:test --unknown textures/ --unknown digits/
#[derive(Debug, Args)]
pub(crate) struct Ood {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    flags: Flags,
    /// Write the scores of all images as a table: set, image, score, value
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    pictures: PictureFiles,
    #[command(flatten)]
    threads: Threads,
}

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Images of known kinds that the network has not seen, for example `photos:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    known: String,
    /// Images of unknown kinds; each source gets rows of its own
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, required = true)]
    unknown: Vec<String>,
    /// Images of known kinds among which neighbors are sought, for example `photos:train`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    train: Option<String>,
    /// Numbers of the neighbor whose cosine is the score; each gets a row
    #[arg(long, value_name = "K,K", value_delimiter = ',', default_value = "1,10,50")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000), allow_negative_numbers = true)]
    k: Vec<u32>,
    #[command(flatten)]
    sizes: Sizes,
}

/// What to do about images that are their own neighbors.
const OTHER_IMAGES: &str = "give images to `--train` that are in no other set";

/// All images, opened.
struct Sets {
    known: Subset,
    unknown: Vec<Subset>,
    /// Those among which neighbors are sought.
    train: Option<Subset>,
}

/// The scores of all sets.
struct Found {
    measures: Vec<Measure>,
    known: Scored,
    known_images: Subset,
    unknown: Vec<Scored>,
    unknown_images: Vec<Subset>,
}

impl Ood {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        self.pictures.check()?;
        self.threads.start()?;
        let mut opened = self.checkpoint.named().open(console)?;
        let sets = self.flags.open(&mut opened, console)?;
        for images in [&sets.known].into_iter().chain(&sets.unknown).chain(&sets.train) {
            self.pictures.refuse_source(&[("--csv", self.csv.as_deref())], images.dataset())?;
        }
        let Flags { known, unknown, train, .. } = &self.flags;
        for source in iter::once(known).chain(unknown).chain(train) {
            self.pictures.warn_among_images(source, console);
        }
        let found = self.flags.score(sets, &opened, console)?;
        found.print(&opened, console)?;
        self.csv.as_deref().map_or(Ok(()), |path| found.write(path, console))?;
        if self.pictures.any() {
            let decode = opened.config.data.decode_options();
            let subtitle = format!("{}; known: {}", opened.path.display(), found.known.source);
            self.pictures.write(page::board(&found, subtitle, &decode)?, console)?;
        }
        Ok(())
    }
}

impl Flags {
    /// AUROC of each unknown set and measure, for a comparison of checkpoints.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &mut Opened, console: &mut Console) -> Result<Vec<Score>> {
        let sets = self.open(opened, console)?;
        let found = self.score(sets, opened, console)?;
        let mut scores = Vec::new();
        for (unknown, source) in found.unknown.iter().zip(&self.unknown) {
            let left_out = match found.known.left_out + unknown.left_out {
                0 => String::new(),
                count => format!(", {count} left out"),
            };
            let counts = format!(
                "{} known and {} unknown images{left_out}",
                found.known.names.len(),
                unknown.names.len()
            );
            for (place, measure) in found.measures.iter().enumerate() {
                let Separation { auroc, .. } = found.separation(place, unknown)?;
                let column = format!("AUROC of {source} by {}", measure.column());
                scores.push(Score::alone(column, 100.0 * auroc, counts.clone()));
            }
        }
        Ok(scores)
    }

    /// Refuses sources that are named twice.
    ///
    /// # Errors
    /// Two sources are the same.
    pub(super) fn check(&self) -> Result<()> {
        for source in &self.unknown {
            let message = format!("`{source}` is both known and unknown: give two sets");
            ensure!(*source != self.known, Usage(message));
        }
        let mut sets = self.unknown.iter().chain([&self.known]);
        if let Some(source) = sets.find(|source| self.train.as_ref() == Some(source)) {
            bail!(own_neighbors(source, OTHER_IMAGES));
        }
        Ok(())
    }

    /// Opens all images, with the size that the flags give.
    fn open(&self, opened: &mut Opened, console: &mut Console) -> Result<Sets> {
        self.sizes.set(opened);
        opened.config.validate()?;
        let mut open = |source: &String| open(opened, source, console);
        let sets = Sets {
            known: open(&self.known)?,
            train: self.train.as_ref().map(&mut open).transpose()?,
            unknown: self.unknown.iter().map(&mut open).collect::<Result<_>>()?,
        };
        self.check_images(&sets, console)?;
        Ok(sets)
    }

    /// Scores all images.
    fn score(&self, sets: Sets, opened: &Opened, console: &mut Console) -> Result<Found> {
        let measures = self.measures(opened, console)?;
        let Sets { known: known_images, unknown: unknown_images, train } = sets;
        let preprocess = alike(opened, &known_images)?;
        let mut scorer = Scorer::new(opened, &preprocess, &measures);
        if let Some(train) = &train {
            scorer.learn(train, console)?;
        }
        let known = scorer.score(&known_images, "known", console)?;
        let scored = unknown_images.iter().map(|images| scorer.score(images, "unknown", console));
        let unknown = scored.collect::<Result<Vec<_>>>()?;
        Ok(Found { measures, known, known_images, unknown, unknown_images })
    }

    /// The scores that this checkpoint and these flags allow; says which are left out, and why.
    fn measures(&self, opened: &Opened, console: &mut Console) -> Result<Vec<Measure>> {
        let mut measures = Vec::new();
        match opened.head.is_some() {
            true => measures.extend([Measure::Likelihood, Measure::Cosine]),
            false => console.note(format!(
                "`{}` has no head with prototypes: log likelihood and largest cosine are left out",
                opened.path.display()
            )),
        }
        match self.train.is_some() {
            true => {
                let mut k: Vec<usize> = self.k.iter().map(|k| *k as usize).collect();
                k.sort_unstable();
                k.dedup();
                measures.extend(k.into_iter().map(Measure::Neighbor));
            }
            false => console.note(
                "without `--train`, the score of the nearest neighbors is left out".to_owned(),
            ),
        }
        if measures.is_empty() {
            bail!(
                "nothing can be measured: `{}` has no head with prototypes, so give training images by `--train SOURCE`",
                opened.path.display()
            );
        }
        Ok(measures)
    }

    /// Warns of images in two sets.
    ///
    /// # Errors
    /// Two sets have the same images; there are fewer training images than neighbors.
    fn check_images(&self, sets: &Sets, console: &mut Console) -> Result<()> {
        for (images, source) in sets.unknown.iter().zip(&self.unknown) {
            let Some(Shared { count, first }) = Shared::of(images, &sets.known) else { continue };
            let (all, known) = (images.len(), &self.known);
            let message = format!(
                "all images of `--unknown {source}` are also in `--known {known}`: give two sets"
            );
            ensure!(count < all, Usage(message));
            console.warn(format!(
                "{count} of {all} images of `--unknown {source}` are also known, such as `{first}`, so nothing tells \
                 them apart: leave them out of one set"
            ));
        }
        let Some(train) = &sets.train else { return Ok(()) };
        let compared = [(&sets.known, &self.known)].into_iter();
        for (images, source) in compared.chain(sets.unknown.iter().zip(&self.unknown)) {
            Sought { images, source, train, advice: OTHER_IMAGES }.check(console)?;
        }
        let most = self.k.iter().copied().max().unwrap_or(0) as usize;
        let images = counted(train.len(), "image");
        ensure!(most <= train.len(), Usage(format!("`--k {most}`: `--train` has {images}")));
        Ok(())
    }
}

impl Found {
    /// How well a measure, at its place among all, tells an unknown set from the known one.
    fn separation(&self, place: usize, unknown: &Scored) -> Result<Separation> {
        // The unknown images, whose scores are low, are the positives.
        let [known, unknown] = [&self.known, unknown]
            .map(|set| set.values[place].iter().map(|x| -x).collect::<Vec<_>>());
        Separation::of(&known, &unknown)
            .context("a set has no image that could be read, or a score is not a number")
    }

    fn print(&self, opened: &Opened, console: &mut Console) -> Result<()> {
        let Self { known, unknown, .. } = self;
        let images = counted(known.names.len(), "image");
        console.text(format!("known from unknown images, percent; {images} of {}", known.source));
        for set in unknown {
            let images = counted(set.names.len(), "image");
            console.text(format!("unknown: {images} of {}", set.source));
            let [score, auroc, fpr95, mean] = ["score", "AUROC", "FPR95", "mean known"];
            console
                .text(format!("{score:>24}{auroc:>9}{fpr95:>9}{mean:>14}{:>14}", "mean unknown"));
            for place in 0..self.measures.len() {
                self.print_row(opened, place, set, console)?;
            }
        }
        console.note(
            "protocol: teacher, center crop, all sets resized alike; unknown images are the positives; k-NN as Sun \
             et al. 2022 on [CLS] of unit length; likelihood under the mixture of the prototypes, whose weights follow \
             from the center"
                .to_owned(),
        );
        Ok(())
    }

    /// Prints how well a measure, at its place among all, tells an unknown set from the known one.
    fn print_row(
        &self,
        opened: &Opened,
        place: usize,
        set: &Scored,
        console: &mut Console,
    ) -> Result<()> {
        let (known, measure) = (&self.known, self.measures[place]);
        let Separation { auroc, fpr95 } = self.separation(place, set)?;
        let [mean_known, mean_unknown] = [known, set].map(|set| {
            let scores = &set.values[place];
            scores.iter().sum::<f64>() / scores.len() as f64
        });
        let title = measure.title();
        let [shown_known, shown_unknown] = [mean_known, mean_unknown].map(short);
        let (percent, wrong) = (100.0 * auroc, 100.0 * fpr95);
        console.text(format!(
            "{title:>24}{percent:>9.2}{wrong:>9.2}{shown_known:>14}{shown_unknown:>14}"
        ));
        let record = json!({
            "checkpoint": opened.path, "step": opened.step, "known": known.source,
            "unknown": set.source, "known_images": known.names.len(),
            "unknown_images": set.names.len(), "known_left_out": known.left_out,
            "unknown_left_out": set.left_out, "score": measure.name(),
            "k": measure.k(), "auroc": percent, "fpr95": wrong, "mean_known": mean_known,
            "mean_unknown": mean_unknown,
        });
        console.event("ood", &record);
        Ok(())
    }

    /// Writes the scores of all images.
    fn write(&self, path: &Path, console: &mut Console) -> Result<()> {
        let known = [("known", &self.known)].into_iter();
        let sets = known.chain(self.unknown.iter().map(|set| ("unknown", set)));
        let rows = sets.flat_map(|(role, set)| {
            self.measures.iter().zip(&set.values).flat_map(move |(measure, values)| {
                set.names.iter().zip(values).map(move |(name, value)| {
                    let set = set.source.clone();
                    [role.to_owned(), set, name.clone(), measure.column(), value.to_string()]
                })
            })
        });
        write_table(path, ["role", "set", "image", "score", "value"], rows, console)
    }
}

/// Opens a source with all its images, and prints what is worth a warning.
fn open(opened: &Opened, source: &str, console: &mut Console) -> Result<Subset> {
    let images = Subset::new(opened.config.data.open(source)?, None, 0);
    images.notes().iter().for_each(|text| console.warn(text));
    Ok(images)
}

/// How images of all sets become the input of the network. The crop is that of the known images. Without a size
/// after resizing, images of other sizes would show another part of the scene, which alone separates sets.
fn alike(opened: &Opened, known: &Subset) -> Result<Preprocess> {
    let mut preprocess = evaluation::preprocess(&opened.config, known.dataset())?;
    let crop = preprocess.view.crop;
    preprocess.view.resize.get_or_insert(crop);
    Ok(preprocess)
}

/// The network whose features are scored.
const NETWORK: NetworkRole = NetworkRole::Teacher;
