//! `dino-vmf parts`: principal components of patch tokens as colors.

mod spool;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use multicrop::Image8;
use probe::Kind;
use probe::Source as _;
use probe::components::{Components, Moments};
use report::number::counted;
use serde_json::json;

use super::drawing::file::save;
use super::drawing::grid::{Cell, Grid};
use super::drawing::maps::PatchMap;
use super::looking::{Look, Looking, Out, Seen, create_folder, plain, reduced, save_in};
use crate::console::Console;
use spool::Spool;

/// Standard deviations that span the colors, to either side of the mean.
const RANGE: f64 = 2.0;
/// Color of the background.
const BACKGROUND: [u8; 3] = [0; 3];
/// Images side by side on a sheet.
const COLUMNS: usize = 3;

/// Color the parts of images: similar patches have similar colors, in all images
///
/// The first three principal components of the patch tokens of all images become red, green and blue. So a color
/// means the same in every image of the call. Mean and two standard deviations to either side span each color.
///
/// Example: dino-vmf parts photos/ --checkpoint runs/photos --foreground --out parts.png
#[derive(Debug, Args)]
pub(crate) struct Parts {
    #[command(flatten)]
    looking: Looking,
    /// Color the foreground alone
    ///
    /// The first component splits all patches at its mean. The foreground is the side that has the smaller share of
    /// the patches at the borders of images. Colors are then components of the foreground's patches alone, as in
    /// the figures of DINOv2.
    #[arg(long)]
    foreground: bool,
}

/// The side of the first component that is the foreground.
#[derive(Debug, Clone)]
struct Foreground {
    components: Components,
    /// Whether it is the side above the mean.
    above: bool,
}

impl Foreground {
    fn holds(&self, token: &[f32]) -> bool {
        (self.components.coordinate(0, token) > 0.0) == self.above
    }
}

/// An image whose tokens are on the disk.
struct Known {
    name: String,
    file_name: String,
    /// Rows and columns of patches.
    grid: (usize, usize),
    /// As it fits on a sheet; for a folder only its size counts.
    size: (u32, u32),
    small: Option<Image8>,
}

impl Parts {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let look = self.looking.open("parts.png", console)?;
        let beside = match &look.out {
            Out::Sheet(path, _) => {
                look.require_sheet(2)?;
                path.parent().map_or(PathBuf::new(), Path::to_owned)
            }
            Out::Folder(folder) => {
                create_folder(folder)?;
                folder.clone()
            }
        };
        let width = look.opened.network.backbone.shape().embed_dim;
        let mut spool = Spool::create(&beside, width)?;
        let (mut known, mut moments) = (Vec::new(), Moments::new(width));
        look.for_each("parts", console, &mut |seen| {
            let tokens = tokens(&look, &seen);
            moments.add(&tokens);
            spool.push(&tokens)?;
            known.push(remember(&look, seen));
            Ok(())
        })?;
        let all = moments.components(3);
        let foreground = match self.foreground {
            true => Some(foreground(&known, &mut spool, all.clone())?),
            false => None,
        };
        let components = match &foreground {
            None => all,
            Some(foreground) => components_of(foreground, &known, &mut spool, width)?,
        };
        let files = paint(&look, &known, &mut spool, (&components, foreground.as_ref()))?;
        report(&look, known.len(), &components, &files, console);
        Ok(())
    }
}

/// The patch tokens of an image, `[patches, d]`.
fn tokens(look: &Look<'_>, seen: &Seen) -> Vec<f32> {
    let [crops] = seen.crops();
    let mut tokens = Vec::new();
    look.encoder().infer(&crops, &[Kind::Patches], &mut |_, rows| tokens.extend_from_slice(rows));
    tokens
}

fn remember(look: &Look<'_>, seen: Seen) -> Known {
    let is_sheet = matches!(look.out, Out::Sheet(..));
    Known {
        file_name: seen.file_name(),
        grid: seen.grid(look.patch_size()),
        size: (seen.picture.width(), seen.picture.height()),
        small: is_sheet.then(|| reduced(&seen.picture)),
        name: seen.name,
    }
}

/// Which side of the first component is the foreground: that which has the smaller share of border patches.
fn foreground(known: &[Known], spool: &mut Spool, components: Components) -> Result<Foreground> {
    let (mut above, mut all) = ([0usize; 2], [0usize; 2]); // of inner and of border patches
    spool.for_each(known.iter().map(Known::patches), &mut |image, tokens| {
        let (rows, columns) = known[image].grid;
        for (patch, token) in tokens.enumerate() {
            let (row, column) = (patch / columns, patch % columns);
            let is_border = row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
            all[usize::from(is_border)] += 1;
            above[usize::from(is_border)] += usize::from(components.coordinate(0, token) > 0.0);
        }
    })?;
    let total = (above[0] + above[1]) as f64 / (all[0] + all[1]).max(1) as f64;
    let border = above[1] as f64 / all[1].max(1) as f64;
    Ok(Foreground { components, above: border <= total })
}

/// Components of the foreground's patches alone.
fn components_of(
    foreground: &Foreground,
    known: &[Known],
    spool: &mut Spool,
    width: usize,
) -> Result<Components> {
    let mut moments = Moments::new(width);
    spool.for_each(known.iter().map(Known::patches), &mut |_, tokens| {
        let inside = tokens.filter(|token| foreground.holds(token));
        moments.add(&inside.flatten().copied().collect::<Vec<f32>>());
    })?;
    Ok(moments.components(3))
}

impl Known {
    fn patches(&self) -> usize {
        self.grid.0 * self.grid.1
    }
}

/// Draws all images; returns the files.
fn paint(
    look: &Look<'_>,
    known: &[Known],
    spool: &mut Spool,
    (components, foreground): (&Components, Option<&Foreground>),
) -> Result<Vec<PathBuf>> {
    let (mut files, mut failure, mut cells) = (Vec::new(), None, Vec::new());
    spool.for_each(known.iter().map(Known::patches), &mut |image, tokens| {
        let image = &known[image];
        let color = |token: &[f32]| color(token, components, foreground);
        let colors: Vec<[u8; 3]> = tokens.map(color).collect();
        let map =
            PatchMap { values: &colors, columns: image.grid.1, patch_size: look.patch_size() };
        let empty = Image8::filled(image.size.0, image.size.1, &[0]);
        let picture = map.paint(&empty, |_, color| color);
        match (&look.out, &image.small) {
            (Out::Sheet(..), Some(small)) => {
                cells.push(Cell::new(small.clone(), &image.name));
                cells.push(Cell::new(reduced(&picture), "parts"));
            }
            (Out::Folder(folder), _) if failure.is_none() => {
                match save_in(folder, &image.file_name, &plain(picture)) {
                    Ok(path) => files.push(path),
                    Err(error) => failure = Some(error),
                }
            }
            _ => {}
        }
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    if let Out::Sheet(path, format) = &look.out {
        let heading = [
            format!("parts: {}", look.describe()),
            format!("red, green, blue: components with {} of the variance", shares(components)),
        ];
        let rows = cells.chunks(2 * COLUMNS).map(<[Cell]>::to_vec).collect();
        save(&Grid { heading, rows }.draw(), path, *format)?;
        files.push(path.clone());
    }
    Ok(files)
}

/// The color of a patch.
fn color(token: &[f32], components: &Components, foreground: Option<&Foreground>) -> [u8; 3] {
    if foreground.is_some_and(|foreground| !foreground.holds(token)) {
        return BACKGROUND;
    }
    std::array::from_fn(|k| {
        let place = components.coordinate(k, token) / RANGE;
        (255.0 * (0.5 + 0.5 * place)).round() as u8 // `as` clamps to 0..=255
    })
}

/// Shares in the variance, such as `31 %, 12 %, 9 %`.
fn shares(components: &Components) -> String {
    let shares = components.explained.iter().map(|share| format!("{:.0} %", 100.0 * share));
    shares.collect::<Vec<_>>().join(", ")
}

fn report(
    look: &Look<'_>,
    images: usize,
    components: &Components,
    files: &[PathBuf],
    console: &mut Console,
) {
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    console.event(
        "parts",
        &json!({ "images": images, "files": names, "explained": components.explained }),
    );
    let place = match &look.out {
        Out::Sheet(path, _) | Out::Folder(path) => path.display(),
    };
    let images = counted(images, "image");
    console.text(format!("{place}: parts of {images}; {} of the variance", shares(components)));
}
