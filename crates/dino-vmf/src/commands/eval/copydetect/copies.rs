//! The folders of copies, and which originals they have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use multicrop::dataset::ImageFiles;
use probe::Subset;

use super::super::folders::entries;

/// A kind of copies.
pub(super) struct Block {
    /// Its folder, relative to the data.
    pub(super) name: String,
    pub(super) copies: Subset,
    /// For each copy, the places of its originals.
    pub(super) originals: Vec<Vec<usize>>,
}

/// The originals and the kinds of copies in a folder. Names of a copy and of its original begin with the same `prefix`
/// characters.
///
/// # Errors
/// A folder without originals or copies, a file that is no image, a copy without an original.
pub(super) fn open(data: &Path, prefix: usize) -> Result<(Subset, Vec<Block>)> {
    let shown = data.display();
    let folder = data.join("original");
    ensure!(folder.is_dir(), "`{shown}` has no folder `original` with the originals");
    let originals = image_files(&folder)?;
    ensure!(!originals.is_empty(), "`{}` has no image", folder.display());
    let mut folders = Vec::new();
    folders_below(data, &mut folders)?;
    let mut blocks = Vec::new();
    for folder in folders.into_iter().filter(|other| !other.starts_with(&folder)) {
        let copies = image_files(&folder)?;
        if !copies.is_empty() {
            let of = |copy: &PathBuf| originals_of(copy, &originals, prefix);
            let right = copies.iter().map(of).collect::<Result<Vec<_>>>()?;
            let name = folder.strip_prefix(data).unwrap_or(&folder).display().to_string();
            blocks.push(Block { name, copies: subset(copies)?, originals: right });
        }
    }
    ensure!(!blocks.is_empty(), "`{shown}` has no folder of copies beside `original`");
    Ok((subset(originals)?, blocks))
}

fn originals_of(copy: &Path, originals: &[PathBuf], prefix: usize) -> Result<Vec<usize>> {
    let start = |path: &Path| -> String {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        name.chars().take(prefix).collect()
    };
    let wanted = start(copy);
    let same = (0..originals.len()).filter(|&place| start(&originals[place]) == wanted);
    let found: Vec<usize> = same.collect();
    ensure!(
        !found.is_empty(),
        "`{}` has no original: no name in `original` begins with `{wanted}`; `--prefix` says how many characters count",
        copy.display()
    );
    Ok(found)
}

fn subset(paths: Vec<PathBuf>) -> Result<Subset> {
    let images = ImageFiles::new(paths);
    let images = images.map_err(|path| anyhow::anyhow!("`{}` is no image", path.display()))?;
    Ok(Subset::new(Arc::new(images), None, 0))
}

/// The files of a folder by name, without hidden ones.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

fn folders_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        found.push(path.clone());
        folders_below(&path, found)?;
    }
    Ok(())
}
