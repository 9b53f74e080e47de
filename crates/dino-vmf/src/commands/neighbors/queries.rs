//! The query images: files, a source, or images of the source itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use features::Store;
use multicrop::dataset::{Dataset, ImageFiles, spread};
use probe::sets::Identities;
use probe::similarity::Rows;

use crate::commands::compared::{Bank, Compared};
use crate::console::Console;
use crate::usage::Usage;

/// Queries if none are given.
const DEFAULT: usize = 8;

/// What the flags ask for.
pub(super) struct Wanted<'a> {
    pub(super) query: &'a [String],
    pub(super) index: &'a [usize],
}

/// Queries whose images are open.
pub(super) enum Opened<'a> {
    /// Numbers of images of the source, and whether somebody chose them.
    Own(&'a [usize]),
    Other(Arc<dyn Dataset>),
}

/// Queries with their features.
pub(super) enum Queries {
    /// Images of the source: their rows.
    Own { rows: Vec<Option<usize>>, features: Store },
    /// Images that were named on their own. Some may be images of the source: their rows there.
    Other { rows: Vec<Option<usize>>, bank: Bank },
}

impl<'a> Wanted<'a> {
    /// Opens the images, before anything is computed.
    ///
    /// # Errors
    /// A file or source cannot be opened.
    pub(super) fn open(&self, compared: &Compared<'_>, source: &str) -> Result<Opened<'a>> {
        if self.query.is_empty() {
            return Ok(Opened::Own(self.index));
        }
        let other = match ImageFiles::new(self.query.iter().map(PathBuf::from).collect()) {
            Ok(files) => return Ok(Opened::Other(Arc::new(files))),
            Err(other) => other,
        };
        let [other] = self.query else {
            bail!(Usage(format!(
                "`{}` in `--query` is no image file; give image files, or one source",
                other.display()
            )));
        };
        if other == source {
            let text = "is the source itself: choose images of it by `--index`";
            bail!(Usage(format!("`--query {other}` {text}")));
        }
        Ok(Opened::Other(compared.open_source(other)?))
    }
}

impl Opened<'_> {
    /// The features of the queries.
    ///
    /// # Errors
    /// They cannot be computed; the source has no such image, or it could not be read.
    pub(super) fn features(
        self,
        compared: &Compared<'_>,
        bank: &Bank,
        console: &mut Console,
    ) -> Result<Queries> {
        let places = match self {
            Self::Other(dataset) => {
                let queries = compared.bank_of(dataset, None, console)?;
                let rows = rows_of(&queries, bank);
                let own = rows.iter().flatten().count();
                if own > 0 {
                    let all = rows.len();
                    console.note(format!(
                        "queries that are images of the source, so no neighbors of themselves: {own} of {all}"
                    ));
                }
                return Ok(Queries::Other { rows, bank: queries });
            }
            Self::Own([]) => {
                let rows = spread(bank.features.len(), DEFAULT);
                rows.map(|row| bank.place(row)).collect()
            }
            Self::Own(places) => places.to_vec(),
        };
        let row = |place: usize| -> Result<usize> {
            let images = bank.images.len();
            match bank.row_of(place) {
                Some(row) => Ok(row),
                None if place < images => {
                    bail!("image {place}, `{}`, has no features", bank.images.dataset().name(place))
                }
                None => {
                    let last = images - 1;
                    bail!(Usage(format!("`--index {place}`: the source has images 0 to {last}")))
                }
            }
        };
        let rows: Vec<usize> = places.into_iter().map(row).collect::<Result<_>>()?;
        let features = bank.features.select(&rows)?;
        Ok(Queries::Own { rows: rows.into_iter().map(Some).collect(), features })
    }
}

impl Queries {
    pub(super) fn features(&self) -> &Store {
        match self {
            Self::Own { features, .. } => features,
            Self::Other { bank, .. } => &bank.features,
        }
    }

    /// For each query its row of the bank, if it is an image of it.
    pub(super) fn rows_of_bank(&self) -> &[Option<usize>] {
        match self {
            Self::Own { rows, .. } | Self::Other { rows, .. } => rows,
        }
    }

    /// The images that a query is one of, and its row there.
    pub(super) fn locate<'a>(&'a self, bank: &'a Bank, query: usize) -> (&'a Bank, usize) {
        match self {
            Self::Own { rows, .. } => (bank, rows[query].unwrap_or(0)),
            Self::Other { bank: own, .. } => (own, query),
        }
    }
}

/// For each query its row of the bank, if it is an image of it.
fn rows_of(queries: &Bank, bank: &Bank) -> Vec<Option<usize>> {
    let mut identities = Identities::default();
    let mut of = |bank: &Bank, row: usize| identities.of(bank.images.dataset(), bank.place(row));
    let rows: HashMap<u64, usize> =
        (0..bank.features.len()).map(|row| (of(bank, row), row)).collect();
    (0..queries.features.len()).map(|row| rows.get(&of(queries, row)).copied()).collect()
}
