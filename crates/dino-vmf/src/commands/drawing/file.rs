//! Where pictures go: the formats of picture files, by extension.

use std::path::Path;

use anyhow::{Context, Result};
use dino::config::{self, Origin};
use image::{ImageFormat, RgbImage};

/// Extensions and the formats that they name.
const KNOWN: [(&str, ImageFormat); 7] = [
    ("png", ImageFormat::Png),
    ("jpg", ImageFormat::Jpeg),
    ("jpeg", ImageFormat::Jpeg),
    ("webp", ImageFormat::WebP),
    ("bmp", ImageFormat::Bmp),
    ("tif", ImageFormat::Tiff),
    ("tiff", ImageFormat::Tiff),
];

/// The format that the extension of the value of `flag` names; `None` without an extension.
///
/// # Errors
/// Another extension, or `-`, which many programs take for standard output.
pub(crate) fn format_of(path: &Path, flag: &str) -> Result<Option<ImageFormat>, config::Error> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if extension.is_none() && path != Path::new("-") {
        return Ok(None);
    }
    let found = KNOWN.iter().find(|(name, _)| extension.as_deref() == Some(*name));
    found.map(|(_, format)| Some(*format)).ok_or_else(|| config::Error::BadValue {
        key: flag.to_owned(),
        origin: Origin::Default,
        found: format!("`{}`", path.display()),
        needed: "end in .png, .jpg, .webp, .bmp or .tiff, the formats that can be written"
            .to_owned(),
    })
}

/// Writes a picture.
///
/// # Errors
/// Those of the file system.
pub(crate) fn save(picture: &RgbImage, path: &Path, format: ImageFormat) -> Result<()> {
    let saved = picture.save_with_format(path, format);
    saved.with_context(|| format!("cannot write `{}`", path.display()))
}
