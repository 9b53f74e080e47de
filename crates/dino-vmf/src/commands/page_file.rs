//! The file that a page is written to.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use askama::Template;
use report::page::Page;

use super::output_file::{check_file, require_ending};
use crate::console::Console;

/// Checks that the page of `--html` can be written to `path`, before the computation starts.
///
/// # Errors
/// As [`check_file`]; another ending than that of a page.
pub fn check_page(path: &Path) -> Result<()> {
    require_ending("--html", path, &["html", "htm"])?;
    check_file(path)
}

/// Writes a page and prints its path and size.
///
/// # Errors
/// The file cannot be written.
pub fn write_file(path: &Path, page: &Page<impl Template>, console: &mut Console) -> Result<()> {
    let html = page.render()?;
    fs::write(path, &html).with_context(|| format!("cannot write `{}`", path.display()))?;
    console.note(format!("page: {} ({:.1} MB)", path.display(), html.len() as f64 / 1e6));
    Ok(())
}
