//! Files and folders that a new run has created, so that a refused run can remove them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};

/// New files and folders, in the order of their creation.
#[derive(Debug, Default)]
pub(super) struct Made {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    /// Creates a folder and those above it.
    pub(super) fn folder(&mut self, path: &Path) -> Result<()> {
        let missing = path.ancestors().take_while(|folder| {
            !folder.as_os_str().is_empty() && matches!(folder.try_exists(), Ok(false))
        });
        let missing: Vec<_> = missing.map(Path::to_owned).collect();
        let made = fs::create_dir_all(path).map_err(io_error("create", path));
        self.folders.extend(missing.into_iter().rev());
        made.inspect_err(|_| self.remove())
    }

    /// Notes a folder that was created.
    pub(super) fn made_folder(&mut self, path: &Path) {
        self.folders.push(path.to_owned());
    }

    /// Notes a file that is about to be created, unless it exists.
    pub(super) fn file_unless_there(&mut self, path: &Path) {
        if matches!(path.try_exists(), Ok(false)) {
            self.file(path);
        }
    }

    /// Notes a file that was created.
    pub(super) fn file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// Removes the files, then the folders that are empty. Failures are ignored: the error that led here is
    /// the one to report.
    pub(super) fn remove(&mut self) {
        for file in self.files.drain(..) {
            drop(fs::remove_file(file));
        }
        for folder in self.folders.drain(..).rev() {
            drop(fs::remove_dir(folder));
        }
    }
}
