//! Reads images whose paths are in a parquet file.

use std::path::{Path, PathBuf};

use crate::dataset::Sample;
use crate::dataset::bytes::{read_file, read_start};
use crate::decode;
use crate::error::SampleError;

/// True for `https://…` and the like; `datasets` also writes `zip://image.jpg::archive.zip`.
pub(super) fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// True for the beginning of an image that is stored as base64 text.
pub(super) fn is_base64(text: &str) -> bool {
    let starts = ["data:image/", "/9j/", "iVBORw0KGgo", "R0lGODlh", "R0lGODdh", "UklGR"];
    starts.iter().any(|start| text.starts_with(start))
}

/// Resolves a path in the parquet file `table`, relative to the folder of that file.
pub(super) fn resolve(table: &Path, path: &str) -> PathBuf {
    table.parent().unwrap_or(Path::new("")).join(path)
}

/// True if there is an image file at `path`.
pub(super) fn is_image(path: &Path) -> bool {
    path.is_file() && read_start(path).is_ok_and(|(bytes, _)| decode::format(&bytes).is_some())
}

/// True if `path` is a name without a folder, and there is no such file.
pub(super) fn is_missing_name(table: &Path, path: &str) -> bool {
    !path.contains(['/', '\\']) && !resolve(table, path).exists()
}

/// Reads the image at a path in the parquet file `table`.
pub(super) fn read(table: &Path, path: &str) -> Result<Sample<'static>, SampleError> {
    if is_url(path) {
        let what = "an image at a URL (nothing is downloaded)".into();
        return Err(SampleError::Unsupported { what });
    }
    let file = resolve(table, path);
    read_file(&file).map_err(|error| match error {
        SampleError::Unreadable { reason } => {
            SampleError::Unreadable { reason: format!("`{}`: {reason}", file.display()) }
        }
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_not_a_path() {
        for url in ["https://a.b/c.jpg", "s3://bucket/x.png", "zip://a.jpg::/data/b.zip"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["a/b.jpg", "/a/b://c", "C:\\a.png", "://x", "1a://b", ""] {
            assert!(!is_url(path), "{path}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_folder_of_the_file() {
        assert_eq!(resolve(Path::new("data/a.parquet"), "x/1.png"), Path::new("data/x/1.png"));
        assert_eq!(resolve(Path::new("a.parquet"), "1.png"), Path::new("1.png"));
        #[cfg(unix)]
        assert_eq!(resolve(Path::new("data/a.parquet"), "/x/1.png"), Path::new("/x/1.png"));
    }
}
