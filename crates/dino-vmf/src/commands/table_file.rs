//! The file that a table is written to, as CSV.

use std::path::Path;

use anyhow::{Context, Result};

use super::output_file::{check_file, require_ending};
use crate::console::Console;

/// Checks that the table of `--csv` can be written to `path`, before the computation starts.
///
/// # Errors
/// As [`check_file`]; another ending than that of a table.
pub(crate) fn check_table(path: &Path) -> Result<()> {
    require_ending("--csv", path, &["csv"])?;
    check_file(path)
}

/// Writes a table and prints its path.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_table<const N: usize>(
    path: &Path,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    console: &mut Console,
) -> Result<()> {
    let write = || -> csv::Result<()> {
        let mut table = csv::Writer::from_path(path)?;
        table.write_record(head)?;
        for row in rows {
            table.write_record(&row)?;
        }
        Ok(table.flush()?)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))?;
    console.note(format!("table: {}", path.display()));
    Ok(())
}
