//! The file that a page is written to.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};
use askama::Template;
use report::page::Page;

use crate::console::Console;

/// Checks that a page can be written to `path`, before the computation starts. Leaves the folder as
/// it is.
///
/// # Errors
/// The folder does not exist, or the file cannot be opened.
pub fn check_file(path: &Path) -> Result<()> {
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
pub fn write_file(path: &Path, page: &Page<impl Template>, console: &mut Console) -> Result<()> {
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
}
