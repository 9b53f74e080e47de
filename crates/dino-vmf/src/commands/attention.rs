//! `dino-vmf attention`: which patches the \[CLS\] token attends to.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use multicrop::Image8;
use probe::{Encoder, strongest};
use report::number::counted;
use serde_json::json;
use vit::{Crops, Tokens};

use super::candidates::names;
use super::drawing::file::save;
use super::drawing::grid::{Cell, Grid};
use super::drawing::maps::{PatchMap, heat, heat_over, mask_over};
use super::looking::{Look, Looking, Out, Seen, create_folder, plain, reduced, save_in};
use crate::console::Console;
use crate::usage::Usage;

/// Draw which patches the CLS token attends to, for each head of the last block
///
/// Each image has rows of pictures, with a column for the mean of all heads and for each head: `heat` shows the
/// attention, `overlay` shows it over the image, `mask` shows the strongest patches that hold 60 % of it
/// (`--mass`), as in the figures of DINO. Heat is scaled by the largest value of its picture.
///
/// Example: dino-vmf attention photos/ --checkpoint runs/photos --out attention.png
#[derive(Debug, Args)]
pub(crate) struct Attention {
    #[command(flatten)]
    looking: Looking,
    /// Pictures to draw: `heat`, `overlay`, `mask`
    ///
    /// With one kind, one of `--maps` and a folder as `--out`, files are that picture alone, for example frames
    /// of a video.
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',', default_value = "heat,overlay")]
    draw: Vec<Kind>,
    /// Maps to draw: `mean` of all heads, `all` heads one by one, or their numbers from 0
    #[arg(long, value_name = "MAP,MAP", value_delimiter = ',', default_value = "mean,all")]
    #[arg(value_parser = heads, add = names(&["mean", "all"]))]
    maps: Vec<Heads>,
    /// Share of the attention to patches that a mask holds, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 60.0, value_parser = percent)]
    #[arg(allow_negative_numbers = true)]
    mass: f64,
    /// Also write the attention as NAME.npy, [heads, rows, columns], into the folder `--out`
    ///
    /// The rest to one is the attention to CLS itself and to registers.
    #[arg(long)]
    raw: bool,
}

/// A way to draw a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Heat,
    Overlay,
    Mask,
}

/// Some of the heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    Mean,
    All,
    One(usize),
}

fn heads(text: &str) -> Result<Heads, String> {
    match text {
        "mean" => Ok(Heads::Mean),
        "all" => Ok(Heads::All),
        _ => text.parse().map(Heads::One).map_err(|_| "use `mean`, `all` or a number".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| *value > 0.0 && *value <= 100.0);
    value.ok_or_else(|| "must be above 0 and at most 100".to_owned())
}

/// A map with its caption.
struct Map {
    name: String,
    values: Vec<f32>, // [patches]
}

impl Attention {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let look = self.looking.open("attention.png", console)?;
        let drawn = self.heads(look.opened.network.backbone.shape().heads)?;
        match &look.out {
            Out::Sheet(..) if self.raw => {
                bail!(Usage("`--raw` needs a folder as `--out`".to_owned()))
            }
            Out::Sheet(..) => look.require_sheet(self.draw.len() * (1 + drawn.len()))?,
            Out::Folder(folder) => create_folder(folder)?,
        }
        let mut grid = Grid { heading: [self.title(&look), self.legend()], rows: Vec::new() };
        let mut files = Vec::new();
        let seen = look.for_each("attention", console, &mut |seen| {
            let (rows, columns) = seen.grid(look.patch_size());
            let attention = heads_of(&look.encoder(), &seen.crops(), rows * columns);
            let maps = drawn.iter().map(|head| map(&attention, *head)).collect::<Vec<_>>();
            match &look.out {
                Out::Sheet(..) => {
                    grid.rows.extend(self.rows(&look, &seen, &maps, &reduced));
                }
                Out::Folder(folder) => {
                    let picture = self.picture(&look, &seen, &maps);
                    files.push(save_in(folder, &seen.file_name(), &picture)?);
                    if self.raw {
                        let path = folder.join(seen.file_name() + ".npy");
                        let array = features::npy::array(
                            &[attention.len(), rows, columns],
                            &attention.concat(),
                        );
                        fs::write(&path, array)
                            .with_context(|| format!("cannot write `{}`", path.display()))?;
                        files.push(path);
                    }
                }
            }
            Ok(())
        })?;
        if let Out::Sheet(path, format) = &look.out {
            save(&grid.draw(), path, *format)?;
            files.push(path.clone());
        }
        self.report(&look, seen, &files, console);
        Ok(())
    }

    fn report(&self, look: &Look<'_>, seen: usize, files: &[PathBuf], console: &mut Console) {
        let written: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        console.event("attention", &json!({ "images": seen, "files": written }));
        let images = counted(seen, "image");
        console.text(match &look.out {
            Out::Sheet(path, _) => format!("{}: attention of {images}", path.display()),
            Out::Folder(folder) => {
                format!(
                    "{}: {}, attention of {images}",
                    folder.display(),
                    counted(written.len(), "file")
                )
            }
        });
    }

    /// The heads to draw; `None` is the mean of all.
    fn heads(&self, count: usize) -> Result<Vec<Option<usize>>> {
        let mut drawn = Vec::new();
        for heads in &self.maps {
            match heads {
                Heads::Mean => drawn.push(None),
                Heads::All => drawn.extend((0..count).map(Some)),
                Heads::One(head) if *head < count => drawn.push(Some(*head)),
                Heads::One(head) => {
                    let last = count - 1;
                    bail!(Usage(format!(
                        "head {head} in `--maps`: the network has the heads 0 to {last}"
                    )))
                }
            }
        }
        Ok(drawn)
    }

    fn title(&self, look: &Look<'_>) -> String {
        format!("attention of [CLS] in the last block: {}", look.describe())
    }

    fn legend(&self) -> String {
        let mut legend =
            "heat: dark is none, bright is the largest value of the picture".to_owned();
        if self.draw.contains(&Kind::Mask) {
            legend += &format!("; masks hold {} % of the attention to patches", self.mass);
        }
        legend
    }

    /// The file of an image: the only picture alone, or all with their captions.
    fn picture(&self, look: &Look<'_>, seen: &Seen, maps: &[Map]) -> image::RgbImage {
        if let ([kind], [map]) = (&self.draw[..], maps) {
            return plain(self.draw(look, seen, map, *kind));
        }
        let rows = self.rows(look, seen, maps, &Image8::clone);
        Grid { heading: [self.title(look), self.legend()], rows }.draw()
    }

    /// A row of cells for each kind of pictures, the image in front of the first.
    fn rows(
        &self,
        look: &Look<'_>,
        seen: &Seen,
        maps: &[Map],
        size: &dyn Fn(&Image8) -> Image8,
    ) -> Vec<Vec<Cell>> {
        let image = Cell::new(size(&seen.picture), &seen.name);
        let row = |(i, kind): (usize, &Kind)| {
            let first = if i == 0 { image.clone() } else { image.blank() };
            let cell = |map: &Map| Cell::new(size(&self.draw(look, seen, map, *kind)), &map.name);
            [first].into_iter().chain(maps.iter().map(cell)).collect()
        };
        self.draw.iter().enumerate().map(row).collect()
    }

    fn draw(&self, look: &Look<'_>, seen: &Seen, map: &Map, kind: Kind) -> Image8 {
        let (columns, patch_size) = (seen.grid(look.patch_size()).1, look.patch_size());
        let largest = map.values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let scaled: Vec<f64> = map.values.iter().map(|x| f64::from(x / largest)).collect();
        let values = PatchMap { values: &scaled, columns, patch_size };
        match kind {
            Kind::Heat => values.paint(&seen.picture, |_, value| heat(value)),
            Kind::Overlay => values.paint(&seen.picture, heat_over),
            Kind::Mask => {
                let inside = strongest(&map.values, self.mass / 100.0);
                PatchMap { values: &inside, columns, patch_size }.paint(&seen.picture, mask_over)
            }
        }
    }
}

/// The attention of \[CLS\] to the patches of an image, `[patches]` for each head.
pub(crate) fn heads_of(
    encoder: &Encoder<'_>,
    crops: &[Crops<'_>],
    patches: usize,
) -> Vec<Vec<f32>> {
    let backbone = &encoder.network.backbone;
    let weights = backbone.last_attention(encoder.params, crops, Tokens::Cls);
    let heads = weights.first().map(|weights| weights.host()).unwrap_or_default();
    let tokens = (heads.len() / backbone.shape().heads).max(1);
    heads.chunks_exact(tokens).map(|head| head[tokens - patches..].to_vec()).collect()
}

/// The mean of all heads, `[patches]`.
pub(crate) fn mean_of(heads: &[Vec<f32>]) -> Vec<f32> {
    let mean = |patch: usize| {
        let sum: f64 = heads.iter().map(|head| f64::from(head[patch])).sum();
        (sum / heads.len() as f64) as f32
    };
    (0..heads.first().map_or(0, Vec::len)).map(mean).collect()
}

/// The map of a head, or of the mean of all.
fn map(attention: &[Vec<f32>], head: Option<usize>) -> Map {
    match head {
        Some(head) => Map { name: format!("head {head}"), values: attention[head].clone() },
        None => Map { name: "mean".to_owned(), values: mean_of(attention) },
    }
}
