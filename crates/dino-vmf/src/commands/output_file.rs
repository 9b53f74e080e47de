//! Files that flags name and commands write.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use multicrop::Dataset;
use probe::sets::Identities;

use crate::console::Console;
use crate::usage::Usage;

/// Checks that a file can be written to `path`, before the computation starts. Leaves the folder as
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

/// Refuses to write to a file that is read: the source itself, or one of its images. Each of `outputs` is a flag with its
/// value, if it is given.
///
/// # Errors
/// The first such file.
pub(super) fn refuse_source(
    outputs: &[(&'static str, Option<&Path>)],
    dataset: &dyn Dataset,
) -> Result<()> {
    let mut identities = Identities::default();
    for (flag, path) in outputs {
        let Some(path) = path.filter(|path| path.exists()) else { continue };
        let (written, target) = (identities.real(path), path.canonicalize().ok());
        let mut is_read = |index: usize| {
            let files = [dataset.file_of(index), dataset.container_of(index)];
            // The image may be a link to the file that is written, or the other way round.
            files
                .into_iter()
                .flatten()
                .any(|file| identities.real(&file) == written || file.canonicalize().ok() == target)
        };
        let message = format!(
            "`{flag} {}` would replace a file of {}, which is read: write to another place",
            path.display(),
            dataset.describe()
        );
        ensure!(!(0..dataset.len()).any(&mut is_read), Usage(message));
    }
    Ok(())
}

/// Refuses to write pictures into a folder from which images are read: one could replace an image, and all of them would be
/// images from then on. Beside a single image they have other names.
///
/// # Errors
/// An image lies in `folder`.
pub(super) fn refuse_folder_of_images(
    flag: &str,
    folder: &Path,
    dataset: &dyn Dataset,
) -> Result<()> {
    let Ok(written) = folder.canonicalize() else { return Ok(()) };
    let mut identities = Identities::default();
    let mut is_written = |index: usize| {
        let file = dataset.file_of(index);
        file.is_some_and(|file| {
            let target = file.canonicalize().ok();
            [Some(identities.real(&file)), target]
                .iter()
                .flatten()
                .any(|file| file.parent() == Some(&written))
        })
    };
    let message = format!(
        "`{flag} {}` is a folder of images that are read: write to another one",
        folder.display()
    );
    ensure!(dataset.len() == 1 || !(0..dataset.len()).any(&mut is_written), Usage(message));
    Ok(())
}

/// Warns of pictures that a command writes into a folder of images: they are images of it from then on.
pub(super) fn warn_among_images<'a>(
    pictures: impl IntoIterator<Item = &'a Path>,
    source: &str,
    console: &mut Console,
) {
    let without_part = source.rsplit_once(':').map_or(source, |(folder, _)| folder);
    let folders = [source, without_part].map(Path::new);
    let Some(folder) = folders.into_iter().find(|folder| folder.is_dir()) else { return };
    let Ok(images) = folder.canonicalize() else { return };
    let mut identities = Identities::default();
    for path in pictures {
        if identities.real(path).starts_with(&images) {
            console.warn(format!(
                "`{}` lies in the folder of images `{}`, so what is written there counts as images from now on: better choose \
                 another place",
                path.display(),
                folder.display()
            ));
        }
    }
}

/// Refuses the name of a file of another kind, such as a picture that a table would replace. A name without an ending is
/// taken, such as `/dev/stdout`, but not `-`, which many programs take for it.
///
/// # Errors
/// The ending is none of `endings`.
pub(super) fn require_ending(flag: &str, path: &Path, endings: &[&str]) -> Result<()> {
    let stdout = format!("`{flag} -` is no file name: for standard output give `/dev/stdout`");
    ensure!(path != Path::new("-"), Usage(stdout));
    let Some(found) = path.extension() else { return Ok(()) };
    let fits = endings.iter().any(|ending| found.eq_ignore_ascii_case(ending));
    let message = format!("`{flag} {}` must end in .{}", path.display(), endings[0]);
    ensure!(fits, Usage(message));
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
