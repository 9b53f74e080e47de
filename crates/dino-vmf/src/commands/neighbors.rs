//! `dino-vmf neighbors`: the images of a source that are nearest to query images.

mod output;
mod queries;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueHint};
use probe::similarity::{Near, Neighbor, Rows, nearest};

use super::compared::{Bank, ComparedFlags, comparing};
use super::pictures::PictureFiles;
use super::table_file::check_table;
use crate::console::Console;
use output::Answer;
use queries::Queries;

/// Find the images of a source that are nearest to query images
///
/// Nearness is the cosine of features. Every image is compared, so the answer is exact; of equally near images
/// the earlier one comes first. Queries are files (`--query`), another source (`--query`), or images of the
/// source itself (`--index`). Without either, eight images of the source are the queries. No image is a neighbor of
/// itself, however it is named.
///
/// Features are computed with a checkpoint, or read from a file that `dino-vmf features` wrote (`--from`). Memory
/// does not grow with the source: features lie in a temporary file.
///
/// Example: dino-vmf neighbors photos/ --checkpoint runs/photos --query cat.jpg --html cat.html
#[derive(Debug, Args)]
pub(crate) struct Neighbors {
    /// Images among which neighbors are sought: a folder, list, tar, parquet, IDX, CIFAR binaries, or `shapes`
    ///
    /// `:train` or `:test` behind the name picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    #[command(flatten)]
    compared: ComparedFlags,
    /// Image files to find neighbors of, or a source of images
    #[arg(long, value_name = "FILE", num_args = 1.., value_hint = ValueHint::AnyPath)]
    query: Vec<String>,
    /// Images of SOURCE to find neighbors of, by their number from 0
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "query")]
    index: Vec<usize>,
    /// Neighbors of each query
    #[arg(long, short = 'n', value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000), allow_negative_numbers = true)]
    neighbors: u32,
    /// Write all neighbors as a table: query, rank, cosine, index, name, class
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    pictures: PictureFiles,
}

impl Neighbors {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.pictures.check()?;
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        let compared = self.compared.open(console)?;
        let wanted = queries::Wanted { query: &self.query, index: &self.index };
        let opened = wanted.open(&compared, &self.source)?;
        let dataset = compared.open_source(&self.source)?;
        self.pictures.refuse_source(&[("--csv", self.csv.as_deref())], dataset.as_ref())?;
        self.pictures.warn_among_images(&self.source, console);
        let bank = compared.bank_of(dataset, self.compared.from.as_deref(), console)?;
        let queries = opened.features(&compared, &bank, console)?;
        let found = self.find(&queries, &bank, console)?;
        let answer = Answer {
            source: bank.images.dataset().describe(),
            features: compared.describe(),
            bank: &bank,
            queries: &queries,
            found: &found,
        };
        answer.print(console);
        if let Some(path) = &self.csv {
            answer.write_csv(path, console)?;
        }
        if self.pictures.any() {
            self.pictures.write(answer.board()?, console)?;
        }
        Ok(())
    }

    fn find(
        &self,
        queries: &Queries,
        bank: &Bank,
        console: &mut Console,
    ) -> Result<Vec<Vec<Neighbor>>> {
        let count = self.neighbors as usize;
        let near = Near {
            queries: queries.features(),
            bank: &bank.features,
            count,
            itself: queries.rows_of_bank(),
        };
        anyhow::ensure!(
            queries.features().width() == bank.features.width(),
            "the features of the queries have {} values, those of the source {}",
            queries.features().width(),
            bank.features.width()
        );
        let found = nearest(near, &mut comparing(console));
        console.end_progress();
        found.context("cannot read the features")?.context("stopped")
    }
}
