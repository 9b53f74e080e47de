//! What `neighbors` says: text, JSON, a table, pictures.

use std::path::Path;

use anyhow::Result;
use probe::similarity::Neighbor;
use serde_json::{Value, json};

use super::queries::Queries;
use crate::commands::compared::Bank;
use crate::commands::pictures::{Board, Picture, Row, Section, thumbnail};
use crate::commands::table_file::write_table;
use crate::console::Console;

/// Most queries that a page or a sheet shows.
const SHOWN: usize = 200;
/// Most neighbors of a query there.
const SHOWN_NEIGHBORS: usize = 30;

/// The neighbors of all queries.
pub(super) struct Answer<'a> {
    pub(super) source: String,
    pub(super) features: String,
    pub(super) bank: &'a Bank,
    pub(super) queries: &'a Queries,
    pub(super) found: &'a [Vec<Neighbor>],
}

impl Answer<'_> {
    fn name(&self, query: usize) -> String {
        let (bank, row) = self.queries.locate(self.bank, query);
        bank.name(row)
    }

    pub(super) fn print(&self, console: &mut Console) {
        console.text(format!("nearest images of {}, by {}", self.source, self.features));
        for (query, found) in self.found.iter().enumerate() {
            console.text(self.name(query));
            for Neighbor { row, cosine } in found {
                let class = self.bank.class(*row).map(|class| format!("  ({class})"));
                let (name, class) = (self.bank.name(*row), class.unwrap_or_default());
                console.text(format!("  {cosine:.4}  {name}{class}"));
            }
        }
        let record = json!({
            "source": self.source,
            "features": self.features,
            "images": self.bank.features.images().len(),
            "queries": (0..self.found.len()).map(|query| self.record(query)).collect::<Vec<_>>(),
        });
        console.event("neighbors", &record);
    }

    fn record(&self, query: usize) -> Value {
        let neighbor = |Neighbor { row, cosine }: &Neighbor| {
            json!({
                "index": self.bank.place(*row), "name": self.bank.name(*row),
                "class": self.bank.class(*row), "cosine": cosine,
            })
        };
        let (bank, row) = self.queries.locate(self.bank, query);
        let neighbors: Vec<Value> = self.found[query].iter().map(neighbor).collect();
        json!({ "index": bank.place(row), "name": bank.name(row), "neighbors": neighbors })
    }

    pub(super) fn write_csv(&self, path: &Path, console: &mut Console) -> Result<()> {
        let head = ["query", "rank", "cosine", "index", "name", "class"];
        let rows = self.found.iter().enumerate().flat_map(|(query, found)| {
            found.iter().enumerate().map(move |(rank, Neighbor { row, cosine })| {
                [
                    self.name(query),
                    (rank + 1).to_string(),
                    cosine.to_string(),
                    self.bank.place(*row).to_string(),
                    self.bank.name(*row),
                    self.bank.class(*row).unwrap_or_default().to_owned(),
                ]
            })
        });
        write_table(path, head, rows, console)
    }

    /// The first queries, each with its nearest images.
    pub(super) fn board(&self) -> Result<Board> {
        let shown = &self.found[..self.found.len().min(SHOWN)];
        let of_bank = shown.iter().flat_map(|found| found.iter().take(SHOWN_NEIGHBORS));
        let places = of_bank.map(|neighbor| self.bank.place(neighbor.row)).collect();
        let images = thumbnail::load(self.bank.images.dataset(), &self.bank.decode, places)?;
        let row = |(query, found): (usize, &Vec<Neighbor>)| -> Result<Row> {
            let (bank, row) = self.queries.locate(self.bank, query);
            let place = bank.place(row);
            let of_query = thumbnail::load(bank.images.dataset(), &bank.decode, vec![place])?;
            let of_query = of_query.into_values().map(|image| Picture {
                image,
                caption: format!("query {}", bank.class(row).unwrap_or_default()),
                name: bank.name(row),
                marked: true,
            });
            let neighbors = found.iter().take(SHOWN_NEIGHBORS).map(|Neighbor { row, cosine }| {
                let class = self.bank.class(*row).unwrap_or_default();
                Picture {
                    image: images[&self.bank.place(*row)].clone(),
                    caption: format!("{cosine:.3} {class}"),
                    name: self.bank.name(*row),
                    marked: false,
                }
            });
            Ok(Row { heading: String::new(), pictures: of_query.chain(neighbors).collect() })
        };
        let rows = shown.iter().enumerate().map(row).collect::<Result<_>>()?;
        let rest = self.found.len() - shown.len();
        let rest = if rest > 0 { format!("; {rest} more are not shown") } else { String::new() };
        Ok(Board {
            title: "Nearest images".to_owned(),
            subtitle: format!("of {}, by {}", self.source, self.features),
            tiles: Vec::new(),
            figures: Vec::new(),
            sections: vec![Section {
                title: match shown.len() {
                    1 => "1 query".to_owned(),
                    count => format!("{count} queries"),
                },
                note: format!(
                    "Each query is framed; the images beside it are the nearest ones with their cosines{rest}."
                ),
                rows,
            }],
        })
    }
}
