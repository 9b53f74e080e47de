//! `dino-vmf outliers`: images that do not look like the others, by their likelihood under the mixture.

mod output;
mod score;

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use dino::open::Opened;
use multicrop::Dataset;
use probe::Subset;
use probe::sets::own_copies;
use report::number::counted;

use super::network_role::NetworkRole;
use super::opening::CheckpointFlag;
use super::own_neighbors::Sought;
use super::pictures::PictureFiles;
use super::table_file::check_table;
use super::viewing::Viewing;
use crate::console::Console;
use output::Answer;
use score::{Measure, Scored, Scorer};

/// Find images that do not look like the others: those of low likelihood under the mixture
///
/// The prototypes of a network are a mixture of von Mises-Fisher distributions, so every image has a likelihood:
/// log f(y), in nats, of its head's vector. Images are sorted by it, the least likely first. docs/similar.md says
/// what it finds and what it does not, with measured numbers.
///
/// With `--train OTHER` each score has a quantile: the share of images of OTHER that score as low or lower. Without
/// it the quantile is among the images themselves, and says their order alone.
///
/// Other scores: `--score cosine` is the largest cosine with a mean direction of the mixture, `--score knn` the
/// mean cosine with the `--k` nearest images (of OTHER, or of the other images). `knn` needs no head. In all of
/// them low is unusual.
///
/// Example: dino-vmf outliers new/ --checkpoint runs/photos --train photos/ --html outliers.html
#[derive(Debug, Args)]
pub(crate) struct Outliers {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    ///
    /// `:train` or `:test` behind the name picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    #[command(flatten)]
    checkpoint: CheckpointFlag,
    /// Images that are usual, for quantiles: best the images that the run was trained on
    #[arg(long, value_name = "OTHER", value_hint = ValueHint::AnyPath)]
    train: Option<String>,
    /// What is low for an outlier
    #[arg(long, value_name = "SCORE", default_value = "likelihood")]
    score: Measure,
    /// Nearest images that `--score knn` takes the mean of
    #[arg(long, value_name = "K", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000), allow_negative_numbers = true)]
    k: u32,
    /// Outliers that are printed and shown
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=2000), allow_negative_numbers = true)]
    most: u32,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    #[command(flatten)]
    viewing: Viewing,
    /// Write all images as a table, the least likely first: rank, score, quantile, index, name, class
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    pictures: PictureFiles,
}

impl Outliers {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.pictures.check()?;
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        let opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        self.network.require(&opened)?;
        let open = |source: &str| -> Result<Subset> {
            let dataset: Arc<dyn Dataset> = opened.config.data.open(source)?;
            Ok(Subset::new(dataset, None, 0))
        };
        let images = open(&self.source)?;
        let train = self.train.as_deref().map(open).transpose()?;
        for images in [Some(&images), train.as_ref()].into_iter().flatten() {
            self.pictures.refuse_source(&[("--csv", self.csv.as_deref())], images.dataset())?;
            images.notes().iter().for_each(|text| console.warn(text));
        }
        for source in iter::once(&self.source).chain(&self.train) {
            self.pictures.warn_among_images(source, console);
        }
        if self.score == Measure::Knn {
            self.check_neighbors(&images, train.as_ref(), console)?;
        }
        let (scored, reference) = self.score(&opened, &images, train.as_ref(), console)?;
        if scored.scores.is_empty() {
            bail!("no image of {} could be scored", images.dataset().describe());
        }
        let answer = Answer {
            measure: self.score,
            network: format!(
                "the {} of `{}`, {}",
                self.network.name(),
                self.checkpoint.named().path.display(),
                opened.origin
            ),
            images: &images,
            train: train.as_ref(),
            order: scored.order(),
            quantiles: scored.quantiles(reference.as_ref().unwrap_or(&scored)),
            scored: &scored,
            reference: reference.as_ref(),
            most: self.most as usize,
        };
        answer.print(console);
        if let Some(path) = &self.csv {
            answer.write_csv(path, console)?;
        }
        match self.pictures.any() {
            true => {
                let decode = opened.config.data.decode_options();
                self.pictures.write(answer.board(&decode)?, console)
            }
            false => Ok(()),
        }
    }

    /// Warns of images that find themselves, and of fewer neighbors than `--k`.
    ///
    /// # Errors
    /// All images find themselves.
    fn check_neighbors(
        &self,
        images: &Subset,
        train: Option<&Subset>,
        console: &mut Console,
    ) -> Result<()> {
        let others = train.map_or(images.len() - 1, Subset::len);
        if self.k as usize > others {
            let (k, found) = (self.k, counted(others, "image"));
            console.warn(format!("`--k {k}`: neighbors are sought among {found}, so all count"));
        }
        let Some(train) = train else {
            own_copies(images).iter().for_each(|text| console.warn(text));
            return Ok(());
        };
        let advice = "leave `--train` out to score each image by the others";
        Sought { images, source: &self.source, train, advice }.check(console)
    }

    /// Scores of the images, and of those of `train`.
    fn score(
        &self,
        opened: &Opened,
        images: &Subset,
        train: Option<&Subset>,
        console: &mut Console,
    ) -> Result<(Scored, Option<Scored>)> {
        let scorer = Scorer { opened, network: self.network, k: self.k as usize };
        match self.score {
            Measure::Knn => scorer.by_neighbors(images, train, console),
            Measure::Likelihood | Measure::Cosine => {
                let reference =
                    train.map(|train| scorer.in_mixture(self.score, train, console)).transpose()?;
                Ok((scorer.in_mixture(self.score, images, console)?, reference))
            }
        }
    }
}
