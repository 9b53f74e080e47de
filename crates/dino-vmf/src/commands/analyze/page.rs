//! The parts that both pages consist of, and the file that a page is written to.
//!
//! A page is one HTML file that loads nothing else: style, script, plots and images are inside. Its
//! templates in `templates/` extend `page.html` and draw these parts with the macros of `parts.html`.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};
use askama::Template;

use super::plot::Plot;
use crate::console::Console;

/// Style sheet of all pages.
pub(super) const STYLE: &str = include_str!("../../../templates/page.css");
/// Version in the footer of all pages.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A large number at the top of a page.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// What the value is compared with, for example the number of all prototypes.
    pub(super) note: String,
}

/// A plot with a title, a legend and a sentence below it.
pub(super) struct Figure {
    pub(super) title: &'static str,
    pub(super) plot: Plot,
    /// Empty if there is only one series.
    pub(super) legend: Vec<LegendEntry>,
    pub(super) note: String,
}

/// A series of a plot.
pub(super) struct LegendEntry {
    /// CSS class of the series, which sets its color.
    pub(super) class: &'static str,
    pub(super) name: &'static str,
}

/// A table: a name, values and their meaning in each row.
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Checks that a page can be written to `path`, before the computation starts. Leaves the folder as
/// it is.
///
/// # Errors
/// The folder does not exist, or the file cannot be opened.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!(
            "cannot write `{}`, because there is no folder `{}`",
            path.display(),
            folder.display()
        );
    }
    let is_new = fs::symlink_metadata(path).is_err();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("cannot write `{}`", path.display()))?;
    if is_new {
        fs::remove_file(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

/// Writes a page and prints its path and size.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_file(path: &Path, page: &impl Template, console: &mut Console) -> Result<()> {
    let html = page.render()?;
    fs::write(path, &html).with_context(|| format!("cannot write `{}`", path.display()))?;
    console.note(format!("page: {} ({:.1} MB)", path.display(), html.len() as f64 / 1e6));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_a_file_leaves_everything_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new.html"), folder.path().join("old.html"));
        fs::write(&old, "a page").unwrap();
        check_file(&new).unwrap();
        check_file(&old).unwrap();
        assert!(!new.exists());
        assert_eq!(fs::read_to_string(&old).unwrap(), "a page");
        assert!(check_file(folder.path()).is_err());
    }

    #[derive(Template)]
    #[template(
        ext = "html",
        source = "{% extends \"page.html\" %}{% import \"parts.html\" as parts %}\
                  {% block content %}{{ parts::table(table) }}{% endblock %}"
    )]
    struct TablePage {
        title: &'static str,
        subtitle: &'static str,
        table: Table,
    }

    #[test]
    fn names_of_files_cannot_break_the_page() {
        let table = Table { head: vec!["a"], rows: vec![vec!["<script>\"'&".to_owned()]] };
        let page = TablePage { title: "<t>", subtitle: "s", table }.render().unwrap();
        assert!(page.contains("<title>&#60;t&#62;</title>"), "{page}");
        assert!(page.contains("<td>&#60;script&#62;&#34;&#39;&#38;</td>"), "{page}");
    }
}
