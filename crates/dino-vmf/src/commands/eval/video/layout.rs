//! Folders in the layout of DAVIS 2017: frames, masks and lists of videos.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use report::number::counted;

use super::super::super::looking::natural;
use super::super::folders::{entries, file_name};
use super::mask;
use crate::console::Console;

/// Folders of one resolution, the first that exists is taken; the last is none.
const RESOLUTIONS: [&str; 3] = ["480p", "Full-Resolution", ""];
/// Extensions of frames.
const FRAMES: [&str; 3] = ["jpg", "jpeg", "png"];

/// Videos with their masks.
pub(super) struct Davis {
    /// The folder of frames, for the protocol.
    pub(super) frames: PathBuf,
    /// The folder of masks.
    pub(super) masks: PathBuf,
    /// Where the names of the videos come from.
    pub(super) listed_in: String,
    pub(super) videos: Vec<Video>,
    /// Videos in the folder that are not on the list.
    pub(super) not_listed: usize,
}

/// A video whose frames all have a mask of their size.
pub(super) struct Video {
    pub(super) name: String,
    pub(super) frames: Vec<Frame>,
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    /// Objects in the first mask, ascending.
    pub(super) objects: Vec<u8>,
}

/// The files of a frame.
pub(super) struct Frame {
    pub(super) picture: PathBuf,
    pub(super) mask: PathBuf,
}

impl Frame {
    /// The name of the frame's files, without an extension.
    pub(super) fn name(&self) -> String {
        stem(&self.picture)
    }
}

impl Davis {
    /// Finds the videos of a folder, and checks that all frames have masks of their size. `list` is a file with names
    /// of videos.
    ///
    /// # Errors
    /// A folder, frame or mask is missing or has another size; a video on the list is not there; a first mask shows no
    /// object.
    pub(super) fn open(root: &Path, list: Option<&Path>, console: &mut Console) -> Result<Self> {
        let (frames, masks) = folders(root)?;
        let all: BTreeSet<String> = subfolders(&frames)?;
        ensure!(!all.is_empty(), "`{}` has no folders of frames", frames.display());
        let official = root.join("ImageSets").join("2017").join("val.txt");
        let list = list.or_else(|| official.is_file().then_some(official.as_path()));
        let (names, listed_in) = match list {
            Some(list) => (read_list(list, &all, &frames)?, list.display().to_string()),
            None => (all.iter().cloned().collect(), frames.display().to_string()),
        };
        let not_listed = all.len() - names.len();
        let open = |name: &String| {
            let video = Video::open(name, &frames.join(name), &masks.join(name), console);
            video.with_context(|| format!("video `{name}` cannot be evaluated"))
        };
        let videos = names.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { frames, masks, listed_in, videos, not_listed })
    }
}

/// The folders of frames and of masks, of the first resolution that there is.
fn folders(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let frames = root.join("JPEGImages");
    ensure!(
        frames.is_dir(),
        "`{}` has no folder `JPEGImages`: give a folder in the layout of DAVIS 2017, with \
         `JPEGImages/480p/VIDEO/00000.jpg` and `Annotations/480p/VIDEO/00000.png`",
        root.display()
    );
    let found = RESOLUTIONS.iter().find(|resolution| frames.join(resolution).is_dir());
    let resolution = found.copied().unwrap_or_default();
    let join = |folder: &Path| match resolution {
        "" => folder.to_owned(),
        resolution => folder.join(resolution),
    };
    let (frames, masks) = (join(&frames), join(&root.join("Annotations")));
    ensure!(
        masks.is_dir(),
        "`{}` has no masks: there is no folder `{}`",
        root.display(),
        masks.display()
    );
    Ok((frames, masks))
}

/// Names of the folders in a folder.
fn subfolders(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = entries(folder)?.into_iter().filter(|path| path.is_dir());
    Ok(entries.map(|path| file_name(&path)).collect())
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names in a list, one a line.
fn read_list(list: &Path, all: &BTreeSet<String>, frames: &Path) -> Result<Vec<String>> {
    let shown = list.display();
    let text = fs::read_to_string(list).with_context(|| format!("cannot read `{shown}`"))?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    ensure!(!names.is_empty(), "`{shown}` names no video");
    let mut seen = BTreeSet::new();
    for name in &names {
        ensure!(
            all.contains(name),
            "`{shown}` names the video `{name}`, but `{}` has no such folder",
            frames.display()
        );
        ensure!(seen.insert(name), "`{shown}` names the video `{name}` twice");
    }
    Ok(names)
}

impl Video {
    fn open(name: &str, frames: &Path, masks: &Path, console: &mut Console) -> Result<Self> {
        let frames = files(frames, &FRAMES, console)?;
        ensure!(masks.is_dir(), "it has no masks: there is no folder `{}`", masks.display());
        let masks = files(masks, &["png"], console)?;
        let frames = paired(frames, masks)?;
        ensure!(
            frames.len() >= 3,
            "it has {}, and at least 3 are needed: the first and the last are not scored",
            counted(frames.len(), "frame")
        );
        let size = image_size(&frames[0].picture)?;
        for frame in &frames {
            require_size(&frame.picture, image_size(&frame.picture)?, size, "the first frame")?;
            require_size(&frame.mask, mask::size(&frame.mask)?, size, "its frame")?;
        }
        let first = mask::read(&frames[0].mask)?;
        let objects = mask::objects(&first, &frames[0].mask)?;
        Ok(Self { name: name.to_owned(), frames, size, objects })
    }
}

/// Files with these extensions in the order of their names. Says what else the folder holds.
fn files(folder: &Path, extensions: &[&str], console: &mut Console) -> Result<Vec<PathBuf>> {
    let is_wanted = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        extensions.contains(&extension.as_str())
    };
    let (mut files, others): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(is_wanted);
    if let Some(other) = others.iter().min() {
        console.warn(format!(
            "left out: {} of `{}`, such as `{}`; {} are read",
            counted(others.len(), "file"),
            folder.display(),
            file_name(other),
            extensions.join(", ")
        ));
    }
    ensure!(!files.is_empty(), "`{}` holds no {}", folder.display(), extensions.join(", "));
    files.sort_by(|a, b| natural(&file_name(a), &file_name(b)));
    Ok(files)
}

/// Frames with their masks, which have the same names.
fn paired(frames: Vec<PathBuf>, mut masks: Vec<PathBuf>) -> Result<Vec<Frame>> {
    let names: BTreeSet<String> = frames.iter().map(|path| stem(path)).collect();
    ensure!(names.len() == frames.len(), "two of its frames have the same name");
    if let Some(mask) = masks.iter().find(|mask| !names.contains(&stem(mask))) {
        let count = masks.iter().filter(|mask| !names.contains(&stem(mask))).count();
        bail!(
            "{} without a frame, such as `{}`",
            if count == 1 {
                "there is 1 mask".to_owned()
            } else {
                format!("there are {count} masks")
            },
            mask.display()
        );
    }
    let total = frames.len();
    let mut paired = Vec::with_capacity(total);
    let mut missing = Vec::new();
    for picture in frames {
        match masks.iter().position(|mask| stem(mask) == stem(&picture)) {
            Some(place) => paired.push(Frame { mask: masks.swap_remove(place), picture }),
            None => missing.push(picture),
        }
    }
    if let Some(first) = missing.first() {
        bail!(
            "{} of {} have no mask, such as `{}`: all masks are needed to score a video",
            missing.len(),
            counted(total, "frame"),
            first.display()
        );
    }
    Ok(paired)
}

/// Width and height of an image, from the start of its file.
fn image_size(path: &Path) -> Result<(u32, u32)> {
    let read = || image::ImageReader::open(path)?.with_guessed_format();
    let reader = read().with_context(|| format!("cannot read the frame `{}`", path.display()))?;
    let size = reader.into_dimensions();
    size.with_context(|| format!("cannot read the frame `{}`", path.display()))
}

fn require_size(path: &Path, found: (u32, u32), size: (u32, u32), of: &str) -> Result<()> {
    ensure!(
        found == size,
        "`{}` has {} x {} pixels, but {of} has {} x {}",
        path.display(),
        found.0,
        found.1,
        size.0,
        size.1
    );
    Ok(())
}
