//! What `attention` and `parts` share: whole images, one after the other, and where pictures of them go.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueHint};
use dino::memory;
use dino::open::Opened;
use engine::ops::patch_embed::Images;
use image::{ImageFormat, RgbImage};
use multicrop::dataset::ImageFiles;
use multicrop::image::Rect;
use multicrop::loader::{BadImage, BadImages};
use multicrop::resize::crop_resize;
use multicrop::whole_view::{Whole, WholeView};
use multicrop::{Dataset, Image8, decode};
use probe::Encoder;
use report::number::counted;
use vit::Crops;

use super::candidates::names;
use super::drawing::file::{format_of, save};
use super::image_memory::require_image;
use super::network_role::NetworkRole;
use super::opening::CheckpointFlag;
use super::output_file::{check_file, refuse_folder_of_images, refuse_source, warn_among_images};
use super::threads::Threads;
use super::viewing::show_images;
use crate::console::Console;
use crate::usage::Usage;

/// Images on a sheet where no number is given.
const ON_A_SHEET: usize = 8;
/// Largest height and width of a picture on a sheet, in pixels.
const CELL: (u32, u32) = (192, 288);

/// Which images, which network, and where pictures go.
#[derive(Debug, Args)]
pub(crate) struct Looking {
    /// An image, a folder of images or frames, or any other source that `pretrain` reads
    ///
    /// Images come in the order of their names, `frame9` before `frame10`. `:train` or `:test` behind the name
    /// picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    #[command(flatten)]
    checkpoint: CheckpointFlag,
    /// A picture such as NAME.png for a sheet of all images, or a folder for a file for each image
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    out: Option<PathBuf>,
    /// Take the first N images; by default 8 on a sheet, and all for a folder
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    images: Option<u32>,
    /// Length of the shorter side after resizing; `none` keeps the size of the images
    ///
    /// By default 480, or twice the side that the network's position table is made for if that is less. Aspect
    /// ratios are kept. Both sides are then cut down to whole patches, around the center. Of images longer than
    /// 4 : 1, the middle is taken.
    #[arg(long, value_name = "PIXELS", value_parser = side, allow_negative_numbers = true)]
    #[arg(add = names(&["none"]))]
    resize: Option<Side>,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    #[command(flatten)]
    threads: Threads,
}

/// The length of a shorter side; `None` keeps it.
#[derive(Debug, Clone, Copy)]
struct Side(Option<u32>);

fn side(text: &str) -> Result<Side, String> {
    if text == "none" {
        return Ok(Side(None));
    }
    let pixels = text.parse().ok().filter(|pixels| (1..=8192).contains(pixels));
    pixels.map(|pixels| Side(Some(pixels))).ok_or("must be from 1 to 8192, or `none`".to_owned())
}

/// The shorter side for a network whose position table is made for images of this side: far beyond it, positions
/// and details are unlike those of training.
pub(crate) fn default_side(image_size: usize) -> u32 {
    (2 * image_size).min(480) as u32
}

/// Where pictures go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    /// Into one picture.
    Sheet(PathBuf, ImageFormat),
    /// Each into a file of its own in this folder.
    Folder(PathBuf),
}

/// A checkpoint and images that are open.
pub(crate) struct Look<'a> {
    flags: &'a Looking,
    pub(crate) opened: Opened,
    dataset: Arc<dyn Dataset>,
    /// Places in the source, in the order in which images come.
    pub(crate) order: Vec<usize>,
    view: WholeView,
    decode: decode::Options,
    pub(crate) out: Out,
}

/// An image as the network sees it.
pub(crate) struct Seen {
    /// Its number among the images, from 0.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) picture: Image8,
    pixels: Vec<f32>,
    images: Images,
}

impl Looking {
    /// Opens the checkpoint and the images. `default` is the sheet that is written without `--out`.
    ///
    /// # Errors
    /// The checkpoint or the images cannot be read, or `--out` names no format.
    pub(crate) fn open(&self, default: &str, console: &mut Console) -> Result<Look<'_>> {
        let out = self.out(default)?;
        self.threads.start()?;
        let opened = self.checkpoint.named().open(console)?;
        self.network.require(&opened)?;
        self.require_patch(opened.network.backbone.shape().patch_size)?;
        let data = &opened.config.data;
        let dataset: Arc<dyn Dataset> = match ImageFiles::open(Path::new(&self.source))? {
            Some(image) => Arc::new(image),
            None => data.open(&self.source)?,
        };
        match &out {
            Out::Sheet(path, _) => {
                check_file(path)?;
                refuse_source(&[("--out", Some(path))], dataset.as_ref())?;
            }
            Out::Folder(folder) => refuse_folder_of_images("--out", folder, dataset.as_ref())?,
        }
        for note in multicrop::dataset::notes(dataset.as_ref()) {
            console.warn(note);
        }
        warn_among_images([out.path()], &self.source, console);
        let given = self.images.map(|images| images as usize);
        let most = given.unwrap_or(match out {
            Out::Sheet(..) => ON_A_SHEET,
            Out::Folder(_) => usize::MAX,
        });
        let mut order = in_order(dataset.as_ref());
        if given.is_none() && order.len() > most {
            console.note(format!(
                "the first {most} of {}; `--images` shows more",
                counted(order.len(), "image")
            ));
        }
        order.truncate(most);
        let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
        let shape = opened.network.backbone.shape();
        let view = WholeView {
            resize: self.resize.map_or_else(|| Some(default_side(shape.image_size)), |side| side.0),
            patch_size: shape.patch_size as u32,
            mean: single(data.mean()),
            std: single(data.std()),
        };
        // Training may decode JPEGs in a reduced size, which is too small here.
        let decode = decode::Options { reduced_for: None, ..data.decode_options() };
        Ok(Look { flags: self, opened, dataset, order, view, decode, out })
    }

    /// Refuses images without a whole patch.
    fn require_patch(&self, patch_size: usize) -> Result<()> {
        let Some(Side(Some(side))) = self.resize else { return Ok(()) };
        let message = format!(
            "`--resize {side}` leaves no whole patch: the network's have {patch_size} pixels"
        );
        ensure!(side as usize >= patch_size, Usage(message));
        Ok(())
    }

    fn out(&self, default: &str) -> Result<Out> {
        let path = self.out.clone().unwrap_or_else(|| default.into());
        if path.is_dir() {
            return Ok(Out::Folder(path));
        }
        Ok(match format_of(&path, "--out")? {
            Some(format) => Out::Sheet(path, format),
            None => Out::Folder(path),
        })
    }
}

impl Out {
    fn path(&self) -> &Path {
        match self {
            Self::Sheet(path, _) | Self::Folder(path) => path,
        }
    }
}

impl Look<'_> {
    /// The network with its weights.
    pub(crate) fn encoder(&self) -> Encoder<'_> {
        self.flags.network.encoder(&self.opened)
    }

    /// Side of a patch in pixels.
    pub(crate) fn patch_size(&self) -> u32 {
        self.view.patch_size
    }

    /// The network and the images in a line of text.
    pub(crate) fn describe(&self) -> String {
        let size = match self.view.resize {
            Some(side) => format!("shorter side {side} pixels"),
            None => "at their own size".to_owned(),
        };
        format!(
            "{} of {}, {}; {}, {size}",
            self.flags.network.name(),
            self.opened.path.display(),
            self.opened.origin,
            self.dataset.describe()
        )
    }

    /// Visits the images in their order. Those that cannot be read are left out, with a warning. Returns the
    /// number of the others.
    ///
    /// # Errors
    /// Too many images cannot be read, or one has more patches than there is memory; what `visit` returns.
    pub(crate) fn for_each(
        &self,
        what: &'static str,
        console: &mut Console,
        visit: &mut dyn FnMut(Seen) -> Result<()>,
    ) -> Result<usize> {
        let (mut bad, total, mut seen) = (BadImages::default(), self.order.len(), 0);
        for (number, &index) in self.order.iter().enumerate() {
            let name = self.dataset.name(index);
            match self.dataset.load(index, &self.decode) {
                Ok(image) => {
                    let Whole { picture, pixels } = self.view.of(&image);
                    let (height, width) = (picture.height() as usize, picture.width() as usize);
                    let images = Images { count: 1, channels: picture.channels(), height, width };
                    require_image(&self.opened, &images, "try a smaller `--resize`")?;
                    visit(Seen { number, name, picture, pixels, images })?;
                    seen += 1;
                }
                Err(fault) => {
                    console.warn(format!("image `{name}` is left out: {fault}"));
                    bad.add(total, &[BadImage::new(index, name, &fault)])?;
                }
            }
            show_images(console, what, (number + 1, total), "forward pass");
        }
        console.end_progress();
        if let (0, Some(first)) = (seen, bad.first()) {
            anyhow::bail!("no image can be read; the first is `{}`: {}", first.name, first.reason);
        }
        Ok(seen)
    }

    /// Refuses a sheet that is larger than the memory. `cells` pictures are drawn of each image.
    ///
    /// # Errors
    /// There is too little memory.
    pub(crate) fn require_sheet(&self, cells: usize) -> Result<()> {
        let pictures = (self.order.len() * cells) as f64;
        let what = format!("a sheet of {}", counted(self.order.len(), "image"));
        let bytes = 2.0 * 3.0 * pictures * f64::from(CELL.0) * f64::from(CELL.1);
        Ok(memory::require_bytes(what, bytes, "try fewer `--images`, or a folder as `--out`")?)
    }
}

impl Seen {
    /// The image as the input of a network.
    pub(crate) fn crops(&self) -> [Crops<'_>; 1] {
        [Crops::new(&self.pixels, self.images)]
    }

    /// Rows and columns of patches.
    pub(crate) fn grid(&self, patch_size: u32) -> (usize, usize) {
        self.images.grid(patch_size as usize)
    }

    /// The name of a file of this image, without an extension: its number, so that files sort as the images
    /// come, and its own name.
    pub(crate) fn file_name(&self) -> String {
        let stem = Path::new(&self.name).file_stem().unwrap_or_default().to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let plain: String = stem.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        format!("{:06}-{plain}", self.number)
    }
}

/// The picture as it fits on a sheet.
pub(crate) fn reduced(picture: &Image8) -> Image8 {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let scale = (f64::from(CELL.0) / height).min(f64::from(CELL.1) / width).min(1.0);
    let side = |length: f64| ((length * scale).round() as u32).max(1);
    crop_resize(picture, Rect::whole(picture), side(width), side(height))
}

/// Writes a picture into a folder; returns its path.
///
/// # Errors
/// Those of the file system.
pub(crate) fn save_in(folder: &Path, name: &str, picture: &RgbImage) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.png"));
    save(picture, &path, ImageFormat::Png)?;
    Ok(path)
}

/// Creates the folder for pictures.
///
/// # Errors
/// Those of the file system.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    let created = std::fs::create_dir_all(folder);
    created.with_context(|| format!("cannot create the folder `{}`", folder.display()))
}

/// An RGB picture without a caption.
pub(crate) fn plain(picture: Image8) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    RgbImage::from_raw(width, height, picture.into_pixels()).expect("a picture of three channels")
}

/// All images in the order of their names, with numbers in names compared as numbers.
fn in_order(dataset: &dyn Dataset) -> Vec<usize> {
    let mut named: Vec<_> = (0..dataset.len()).map(|index| (dataset.name(index), index)).collect();
    named.sort_by(|(a, i), (b, j)| natural(a, b).then(i.cmp(j)));
    named.into_iter().map(|(_, index)| index).collect()
}

/// Compares names. Runs of digits are compared as numbers.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (x, y) = (take_number(&mut a), take_number(&mut b));
            x.len().cmp(&y.len()).then(x.cmp(y))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            first.cmp(second)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Takes the digits that a name starts with, without leading zeros.
fn take_number<'a>(name: &mut &'a [u8]) -> &'a [u8] {
    let end = name.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(name.len());
    let (number, rest) = name.split_at(end);
    *name = rest;
    &number[number.iter().position(|digit| *digit != b'0').unwrap_or(end)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_in_the_order_of_their_numbers() {
        let mut names = ["b/f1.png", "a/f10.png", "a/f9.png", "a/f09b.png", "a/f.png", "a/f00.png"];
        names.sort_by(|a, b| natural(a, b));
        let expected = ["a/f.png", "a/f00.png", "a/f9.png", "a/f09b.png", "a/f10.png", "b/f1.png"];
        assert_eq!(names, expected);
    }

    #[test]
    fn large_pictures_are_reduced() {
        let size = |width, height| {
            let picture = reduced(&Image8::filled(width, height, &[0; 3]));
            (picture.width(), picture.height())
        };
        assert_eq!(
            (size(960, 480), size(384, 384), size(20, 10)),
            ((288, 144), (192, 192), (20, 10))
        );
    }
}
