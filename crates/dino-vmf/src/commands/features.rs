//! `dino-vmf features`: features of images as a file.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use dino::evaluation;
use dino::open::Opened;
use features::{Column, Export, Exported};
use probe::{Kind, Preprocess, Subset};
use report::number::counted;
use serde_json::json;

use super::network_role::NetworkRole;
use super::viewing::{Viewing, show_images};
use crate::console::Console;

/// Write features of images to a file: NumPy, safetensors or parquet
///
/// Each image becomes a row, in the order of the source. The columns are `cls` (the CLS token after the final
/// norm), `mean` (the mean of the patch tokens), `patches` (all patch tokens, `[patches, width]`), `last-N` (the
/// CLS tokens of the last N blocks side by side), `head` and `head-patches` (the head's unit vectors of the
/// CLS token and of the patches). Nothing is scaled.
///
/// A .parquet file also has each image's name, label and class, and a .safetensors file the labels. Beside .npy
/// and .safetensors a .csv file has the names. Images that cannot be read have no row; they are counted.
///
/// If the command is stopped, the same command continues.
///
/// Example: dino-vmf features --checkpoint runs/photos photos/ --out photos.parquet --features cls,mean
#[derive(Debug, Args)]
pub(crate) struct Features {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    ///
    /// `:train` or `:test` behind the name picks a part.
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Run folder (its newest checkpoint), checkpoint folder, or its `model.safetensors`
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    checkpoint: PathBuf,
    /// The file, which must not exist; .npy, .safetensors or .parquet says the format
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Columns of the file: `cls`, `mean`, `patches`, `last-N`, `head`, `head-patches`
    ///
    /// A .npy file has one.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', default_value = "cls")]
    #[arg(value_parser = kind)]
    features: Vec<(String, Kind)>,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    #[command(flatten)]
    viewing: Viewing,
}

/// Parses the name of a kind of features.
fn kind(text: &str) -> Result<(String, Kind), String> {
    let blocks = || text.strip_prefix("last-")?.parse().ok().filter(|blocks| *blocks > 0);
    let kind = match text {
        "cls" => Kind::Cls,
        "mean" => Kind::Mean,
        "patches" => Kind::Patches,
        "head" => Kind::Bottleneck,
        "head-patches" => Kind::PatchBottleneck,
        _ => Kind::LastCls(blocks().ok_or(
            "use `cls`, `mean`, `patches`, `last-N` such as `last-4`, `head` or `head-patches`",
        )?),
    };
    Ok((text.to_owned(), kind))
}

impl Features {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.check_columns()?;
        let opened = self.viewing.read(&self.checkpoint, console, |_| ())?;
        let dataset = opened.config.data.open(&self.source)?;
        let preprocess = evaluation::preprocess(&opened.config, dataset.as_ref())?;
        let images = Subset::new(dataset, None, 0);
        images.notes().iter().for_each(|text| console.warn(text));
        let encoder = self.network.encoder(&opened);
        self.check_depth(&opened)?;
        let column =
            |(name, kind): &(String, Kind)| Column::new(name, *kind, &encoder, &preprocess);
        let columns: Vec<Column> = self.features.iter().map(column).collect();
        let export = Export {
            images: &images,
            preprocess: &preprocess,
            source: &encoder,
            columns: &columns,
            description: &self.description(&opened, &images, &preprocess),
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

    /// Refuses a column that is asked for twice.
    fn check_columns(&self) -> Result<()> {
        for (i, (name, _)) in self.features.iter().enumerate() {
            if self.features[..i].iter().any(|(other, _)| other == name) {
                bail!("`{name}` stands twice in `--features`");
            }
        }
        Ok(())
    }

    /// Refuses more blocks than the network has.
    fn check_depth(&self, opened: &Opened) -> Result<()> {
        let depth = opened.network.backbone.shape().depth;
        for (name, kind) in &self.features {
            if matches!(kind, Kind::LastCls(blocks) if *blocks > depth) {
                bail!("`{name}` in `--features`: the network has {depth} blocks");
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
            ("step", opened.step.to_string()),
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
