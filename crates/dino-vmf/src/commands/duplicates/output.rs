//! What `duplicates` says: text, JSON, a list to drop, a table.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use probe::analysis::distribution::Histogram;
use probe::similarity::Neighbor;
use probe::similarity::duplicates::{Found, Group};
use report::number::counted;
use serde_json::{Value, json};

use super::pixels::Looks;
use crate::commands::compared::Bank;
use crate::commands::table_file::write_table;
use crate::console::Console;

/// Groups that are printed.
const PRINTED: usize = 10;

/// What was found.
pub(super) struct Answer<'a> {
    pub(super) compared: String,
    pub(super) threshold: f32,
    pub(super) bank: &'a Bank,
    /// The source that SOURCE is compared with.
    pub(super) other: Option<&'a Bank>,
    pub(super) found: &'a Found,
    pub(super) groups: &'a [Group],
    pub(super) looks: &'a Looks,
}

/// What a list to drop has.
struct ToDrop {
    rows: Vec<usize>,
    /// The names of images that it does not have, because their files are kept.
    also_kept: Vec<String>,
}

/// How many images are concerned.
pub(super) struct Counts {
    pub(super) images: usize,
    pub(super) groups: usize,
    pub(super) dropped: usize,
    /// Those among them that are equal to the kept image pixel by pixel.
    pub(super) equal: usize,
}

impl Answer<'_> {
    /// The images that are kept.
    pub(super) fn kept(&self) -> &Bank {
        self.other.unwrap_or(self.bank)
    }

    pub(super) fn is_equal(&self, group: &Group, dropped: &Neighbor) -> bool {
        self.looks.equal(group.kept, dropped.row)
    }

    pub(super) fn counts(&self) -> Counts {
        let equal = |group: &Group| {
            group.dropped.iter().filter(|dropped| self.is_equal(group, dropped)).count()
        };
        Counts {
            images: self.bank.features.images().len(),
            groups: self.groups.len(),
            dropped: self.groups.iter().map(|group| group.dropped.len()).sum(),
            equal: self.groups.iter().map(equal).sum(),
        }
    }

    /// The cosine of each image with its most similar one.
    pub(super) fn nearest_cosines(&self) -> Vec<f64> {
        self.found.nearest.iter().flatten().map(|near| f64::from(near.cosine)).collect()
    }

    /// A histogram of these cosines.
    pub(super) fn histogram(&self) -> Histogram {
        let cosines = self.nearest_cosines();
        let low = cosines.iter().copied().fold(1.0, f64::min);
        Histogram::between(low.min(f64::from(self.threshold)), 1.0, &cosines)
    }

    pub(super) fn summary(&self) -> String {
        let Counts { images, groups, dropped, equal } = self.counts();
        let source = self.bank.images.dataset().describe();
        let (images, threshold) = (counted(images, "image"), format!("{:.4}", self.threshold));
        let equal = if equal == 0 {
            "none of them equal pixel by pixel".to_owned()
        } else {
            format!("{equal} of them equal pixel by pixel")
        };
        let of = match self.other {
            Some(other) => format!(
                "{} have a near-duplicate in {} at a cosine of {threshold} or above",
                counted(dropped, "image"),
                other.images.dataset().describe()
            ),
            None => format!(
                "{} of near-duplicates at a cosine of {threshold} or above, {} to drop",
                counted(groups, "group"),
                counted(dropped, "image")
            ),
        };
        format!("{source}, {images}: {of}, {equal}")
    }

    pub(super) fn print(&self, console: &mut Console) {
        console.text(self.summary());
        for group in self.groups.iter().take(PRINTED) {
            console.text(format!("keep  {}", self.kept().name(group.kept)));
            for dropped in &group.dropped {
                let equal = if self.is_equal(group, dropped) { "  equal" } else { "" };
                let (cosine, name) = (dropped.cosine, self.bank.name(dropped.row));
                console.text(format!("  {cosine:.4}  {name}{equal}"));
            }
        }
        if let Some(rest) = self.groups.len().checked_sub(PRINTED).filter(|rest| *rest > 0) {
            console.text(format!("and {}; --csv writes all", counted(rest, "more group")));
        }
        let Counts { images, dropped, equal, .. } = self.counts();
        let histogram = self.histogram();
        console.event(
            "duplicates",
            &json!({
                "source": self.bank.images.dataset().describe(),
                "against": self.other.map(|other| other.images.dataset().describe()),
                "features": self.compared,
                "images": images,
                "threshold": self.threshold,
                "pairs": self.found.pairs.len(),
                "dropped": dropped,
                "equal": equal,
                "groups": self.groups.iter().map(|group| self.record(group)).collect::<Vec<_>>(),
                "nearest": histogram,
            }),
        );
    }

    fn record(&self, group: &Group) -> Value {
        let dropped = |dropped: &Neighbor| {
            json!({
                "index": self.bank.place(dropped.row), "name": self.bank.name(dropped.row),
                "cosine": dropped.cosine, "equal": self.is_equal(group, dropped),
            })
        };
        json!({
            "kept": { "index": self.kept().place(group.kept), "name": self.kept().name(group.kept) },
            "dropped": group.dropped.iter().map(dropped).collect::<Vec<_>>(),
        })
    }

    /// Writes the names to drop, one in each line. People remove the files of such a list. So a name that takes two
    /// lines and a file that is also kept are left out, and bytes that are not UTF-8 stay as they are.
    pub(super) fn write_drop(&self, path: &Path, console: &mut Console) -> Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        let ToDrop { rows, also_kept } = self.rows_to_drop();
        let mut of_two_lines = Vec::new();
        for row in rows {
            let own_file = self.bank.images.dataset().file_of(self.bank.place(row));
            let name = own_file
                .map_or_else(|| OsString::from(self.bank.name(row)), PathBuf::into_os_string);
            let mut line = name.into_encoded_bytes();
            if line.contains(&b'\n') {
                of_two_lines.push(self.bank.name(row));
                continue;
            }
            line.push(b'\n');
            file.write_all(&line)?;
        }
        if let Some(first) = of_two_lines.first() {
            let count = counted(of_two_lines.len(), "name");
            console.warn(format!(
                "`{}` lacks {count} with a line break, such as `{first}`; --csv has all",
                path.display()
            ));
        }
        if let Some(first) = also_kept.first() {
            let count = counted(also_kept.len(), "image");
            console.warn(format!(
                "`{}` lacks {count} whose file is also kept, such as `{first}`",
                path.display()
            ));
        }
        Ok(file.flush()?)
    }

    /// The rows of the images to drop, ascending. A source may name a file twice, or have a link to it: if it is kept once,
    /// it is not dropped.
    fn rows_to_drop(&self) -> ToDrop {
        let real = |bank: &Bank, row| {
            let file = bank.images.dataset().file_of(bank.place(row));
            file.and_then(|file| file.canonicalize().ok())
        };
        let kept: HashSet<PathBuf> =
            self.groups.iter().filter_map(|group| real(self.kept(), group.kept)).collect();
        let is_kept = |row: &usize| real(self.bank, *row).is_some_and(|file| kept.contains(&file));
        let dropped = self.groups.iter().flat_map(|group| &group.dropped).map(|of| of.row);
        let (also_kept, mut rows): (Vec<_>, Vec<_>) = dropped.partition(is_kept);
        rows.sort_unstable();
        ToDrop { rows, also_kept: also_kept.into_iter().map(|row| self.bank.name(row)).collect() }
    }

    pub(super) fn write_csv(&self, path: &Path, console: &mut Console) -> Result<()> {
        let head = ["group", "kept", "name", "index", "cosine", "equal"];
        let rows = self.groups.iter().enumerate().flat_map(|(number, group)| {
            group.dropped.iter().map(move |dropped| {
                [
                    (number + 1).to_string(),
                    self.kept().name(group.kept),
                    self.bank.name(dropped.row),
                    self.bank.place(dropped.row).to_string(),
                    dropped.cosine.to_string(),
                    self.is_equal(group, dropped).to_string(),
                ]
            })
        });
        write_table(path, head, rows, console)
    }
}
