//! `dino-vmf features`: features of images as a file.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use dino::evaluation;
use dino::open::Opened;
use features::{Column, Export, Exported, Measure, Values};
use probe::analysis::membership::Members;
use probe::{Encoder, Kind, Preprocess, Subset};
use report::number::counted;
use serde_json::json;

use super::candidates::names;
use super::network_role::NetworkRole;
use super::opening::CheckpointFlag;
use super::viewing::{Viewing, show_images};
use crate::console::Console;
use crate::usage::Usage;

/// Write features of images to a file: NumPy, safetensors or parquet
///
/// Each image becomes a row, in the order of the source. The columns are `cls` (the CLS token after the final
/// norm), `mean` (the mean of the patch tokens), `patches` (all patch tokens, `[patches, width]`), `last-N` (the
/// CLS tokens of the last N blocks side by side), `head` and `head-patches` (the head's unit vectors of the
/// CLS token and of the patches). Nothing is scaled. `mixture` stands for four columns of one value each, about
/// the vMF mixture of the prototypes: `component` (the most probable one), `responsibility` (its probability),
/// `entropy` (of the assignment) and `log_likelihood` (of the image under the mixture), in nats.
///
/// A .parquet file also has each image's name, label and class, and a .safetensors file the labels. Beside .npy
/// and .safetensors a .csv file has the names. Images that cannot be read have no row; they are counted.
///
/// If the command is stopped, the same command continues.
///
/// Example: dino-vmf features --checkpoint runs/photos photos/ --out photos.parquet --features cls,mixture
#[derive(Debug, Args)]
pub(crate) struct Features {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    ///
    /// `:train` or `:test` behind the name picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    #[command(flatten)]
    checkpoint: CheckpointFlag,
    /// The file, which must not exist; .npy, .safetensors or .parquet says the format
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Columns of the file: `cls`, `mean`, `patches`, `last-N`, `head`, `head-patches`, `mixture` or one of its four
    ///
    /// A .npy file has one.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', default_value = "cls")]
    #[arg(value_parser = asked, add = names(&NAMES))]
    features: Vec<Asked>,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    #[command(flatten)]
    viewing: Viewing,
}

/// Words for columns, as completion offers them.
const NAMES: [&str; 11] = [
    "cls",
    "mean",
    "patches",
    "last-4",
    "head",
    "head-patches",
    "mixture",
    "component",
    "responsibility",
    "entropy",
    "log_likelihood",
];

/// A word in `--features`.
#[derive(Debug, Clone)]
enum Asked {
    Features(String, Kind),
    /// Columns about the mixture.
    Mixture(Vec<Measure>),
}

/// The vectors that a word such as `cls` or `last-4` stands for.
pub(crate) fn vectors(name: &str) -> Option<Kind> {
    Some(match name {
        "cls" => Kind::Cls,
        "mean" => Kind::Mean,
        "patches" => Kind::Patches,
        "head" => Kind::Bottleneck,
        "head-patches" => Kind::PatchBottleneck,
        _ => {
            let blocks = name.strip_prefix("last-")?.parse().ok();
            Kind::LastCls(blocks.filter(|blocks| *blocks > 0)?)
        }
    })
}

/// Parses such a word.
fn asked(text: &str) -> Result<Asked, String> {
    if text == "mixture" {
        return Ok(Asked::Mixture(Measure::ALL.into()));
    }
    let spelled = text.replace('-', "_");
    if let Some(measure) = Measure::ALL.into_iter().find(|measure| measure.name() == spelled) {
        return Ok(Asked::Mixture(vec![measure]));
    }
    let kind = vectors(text).ok_or(
        "use `cls`, `mean`, `patches`, `last-N` such as `last-4`, `head`, `head-patches`, `mixture`, or one \
             of the columns `component`, `responsibility`, `entropy`, `log_likelihood`",
    )?;
    Ok(Asked::Features(text.to_owned(), kind))
}

impl Features {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        self.network.require(&opened)?;
        self.check_head(&opened)?;
        let dataset = opened.config.data.open(&self.source)?;
        let preprocess = evaluation::preprocess(&opened.config, dataset.as_ref())?;
        let images = Subset::new(dataset, None, 0);
        images.notes().iter().for_each(|text| console.warn(text));
        let encoder = self.network.encoder(&opened);
        self.check_depth(&opened)?;
        let columns = self.columns(&encoder, &preprocess)?;
        let is_measured = |column: &Column| matches!(column.values, Values::Mixture(_));
        let is_measured = columns.iter().any(is_measured);
        let mixture = is_measured.then(|| self.network.components(&opened)).transpose()?;
        let mut description = self.description(&opened, &images, &preprocess);
        if let Some(mixture) = &mixture {
            let uniform = Members::new(mixture).uniform_log_likelihood();
            description.push(("uniform log_likelihood".to_owned(), uniform.to_string()));
        }
        let export = Export {
            images: &images,
            preprocess: &preprocess,
            source: &encoder,
            mixture: mixture.as_ref(),
            columns: &columns,
            description: &description,
            out: &self.out,
        };
        let exported = export.run(&mut |done, total| {
            show_images(console, "features", (done, total), "forward pass");
            ControlFlow::Continue(())
        });
        console.end_progress();
        let source = images.dataset().describe();
        print(&exported?, &source, &columns, console);
        Ok(())
    }

    /// The columns; none twice.
    fn columns(&self, encoder: &Encoder<'_>, preprocess: &Preprocess) -> Result<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        for asked in &self.features {
            let more = match asked {
                Asked::Features(name, kind) => {
                    vec![Column::new(name, *kind, encoder, preprocess)]
                }
                Asked::Mixture(measures) => {
                    measures.iter().copied().map(Column::of_mixture).collect()
                }
            };
            for column in more {
                if columns.iter().any(|other| other.name == column.name) {
                    bail!(Usage(format!("`{}` stands twice in `--features`", column.name)));
                }
                columns.push(column);
            }
        }
        Ok(columns)
    }

    /// Refuses features of a head that the checkpoint does not have.
    fn check_head(&self, opened: &Opened) -> Result<()> {
        let of_head = |asked: &Asked| match asked {
            Asked::Features(_, kind) => matches!(kind, Kind::Bottleneck | Kind::PatchBottleneck),
            Asked::Mixture(_) => true,
        };
        if self.features.iter().any(of_head) {
            opened.head()?;
        }
        Ok(())
    }

    /// Refuses more blocks than the network has.
    fn check_depth(&self, opened: &Opened) -> Result<()> {
        let depth = opened.network.backbone.shape().depth;
        for asked in &self.features {
            if let Asked::Features(name, Kind::LastCls(blocks)) = asked
                && *blocks > depth
            {
                let blocks = counted(depth, "block");
                bail!(Usage(format!("`{name}` in `--features`: the network has {blocks}")));
            }
        }
        Ok(())
    }

    /// What the file says about itself.
    fn description(
        &self,
        opened: &Opened,
        images: &Subset,
        preprocess: &Preprocess,
    ) -> Vec<(String, String)> {
        let view = &preprocess.view;
        let resize = view.resize.map_or("none".to_owned(), |side| side.to_string());
        let entries = [
            ("program", format!("dino-vmf {}", env!("CARGO_PKG_VERSION"))),
            ("checkpoint", opened.path.display().to_string()),
            ("step", opened.step.map_or("unknown".to_owned(), |step| step.to_string())),
            ("origin", opened.origin.clone()),
            ("network", self.network.name().to_owned()),
            ("images", images.dataset().describe()),
            ("resize", resize),
            ("crop", view.crop.to_string()),
            ("mean", format!("{:?}", view.mean)),
            ("std", format!("{:?}", view.std)),
        ];
        entries.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Says what was written, and of which images: a source with parts may have given one of them.
fn print(exported: &Exported, source: &str, columns: &[Column], console: &mut Console) {
    let Exported { images, left_out, note, continued_at, files } = exported;
    if let Some(note) = note {
        console.warn(note);
    }
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let shapes = columns.iter().map(|column| (column.name.clone(), json!(column.shape)));
    console.event(
        "features",
        &json!({
            "images": images, "left_out": left_out, "continued_at": continued_at,
            "columns": serde_json::Map::from_iter(shapes), "files": names, "source": source,
        }),
    );
    let shapes: Vec<String> =
        columns.iter().map(|column| format!("{} {:?}", column.name, column.shape)).collect();
    let mut text =
        format!("{} of {} in `{}`", counted(*images, "row"), shapes.join(", "), names[0]);
    if let Some(table) = names.get(1) {
        text += &format!(", names and labels in `{table}`");
    }
    text += &format!("; from {source}");
    if *continued_at > 0 {
        text += &format!("; continued at image {continued_at}");
    }
    if *left_out > 0 {
        text += &format!("; {} left out", counted(*left_out, "image"));
    }
    console.text(text);
}
