//! Flags and code of commands that compare images by their features: from a checkpoint, or from a file of features.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueHint};
use dino::config::Config;
use dino::evaluation;
use dino::open::Opened;
use features::{Store, Table};
use multicrop::{Dataset, decode};
use probe::{Kind, Pass, Progress, Subset, Views};

use super::candidates::names;
use super::features::vectors;
use super::network_role::NetworkRole;
use super::opening::Foreign;
use super::viewing::{Viewing, show_images};
use crate::console::{self, Console};

/// Which features of images are compared.
#[derive(Debug, Args)]
pub(crate) struct ComparedFlags {
    /// Run folder (its newest checkpoint), checkpoint folder, or a file of another program
    ///
    /// DINO, iBOT, DINOv2, timm, Hugging Face: `dino-vmf checkpoint inspect FILE` shows what is in a file.
    #[arg(long, value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath, required_unless_present = "from")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    foreign: Foreign,
    /// File of features of SOURCE that `dino-vmf features` wrote: nothing is computed again
    ///
    /// .npy, .safetensors or .parquet, of this program or another one. The names in it must be those of SOURCE.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) from: Option<PathBuf>,
    /// Features to compare: `cls`, `mean`, `last-N` or `head`; of a file, a column. `cls` by default
    #[arg(long, value_name = "NAME", add = names(&["cls", "mean", "last-4", "head"]))]
    features: Option<String>,
    /// Network: `teacher`, which evaluations use, or `student`
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    #[command(flatten)]
    viewing: Viewing,
}

/// [`ComparedFlags`] whose checkpoint, if there is one, is open.
pub(crate) struct Compared<'a> {
    flags: &'a ComparedFlags,
    opened: Option<Opened>,
    config: Config,
}

/// Images, and their features.
pub(crate) struct Bank {
    pub(crate) images: Subset,
    pub(crate) features: Store,
    pub(crate) decode: decode::Options,
}

impl ComparedFlags {
    /// Opens the checkpoint.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(&self, console: &mut Console) -> Result<Compared<'_>> {
        let opened = match &self.checkpoint {
            Some(path) => {
                let opened = self.viewing.read(self.foreign.of(path), console, |_| ())?;
                self.network.require(&opened)?;
                Some(opened)
            }
            None => {
                self.viewing.start_threads()?;
                None
            }
        };
        let config = opened.as_ref().map_or_else(Config::default, |opened| opened.config.clone());
        Ok(Compared { flags: self, opened, config })
    }
}

impl Compared<'_> {
    /// The features that are compared, in words.
    pub(crate) fn describe(&self) -> String {
        let features = self.flags.features.as_deref().unwrap_or("cls");
        match (&self.flags.from, &self.opened) {
            (Some(file), _) => format!("features of `{}`", file.display()),
            (None, Some(opened)) => format!(
                "{features} of the {} of `{}`, {}",
                self.flags.network.name(),
                opened.path.display(),
                opened.origin
            ),
            (None, None) => features.to_owned(),
        }
    }

    /// Opens a source with the settings of the checkpoint.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open_source(&self, source: &str) -> Result<Arc<dyn Dataset>> {
        Ok(self.config.data.open(source)?)
    }

    /// Images of a source, and their features: of the file `from`, or computed.
    ///
    /// # Errors
    /// The file cannot be read, or is one of other images; there is neither a file nor a checkpoint.
    pub(crate) fn bank_of(
        &self,
        dataset: Arc<dyn Dataset>,
        from: Option<&Path>,
        console: &mut Console,
    ) -> Result<Bank> {
        let images = Subset::new(dataset, None, 0);
        images.notes().iter().for_each(|text| console.warn(text));
        let features = match from {
            Some(file) => self.read(file, images.dataset())?,
            None => self.compute(&images, console)?,
        };
        Ok(Bank { images, features, decode: self.config.data.decode_options() })
    }

    fn compute(&self, images: &Subset, console: &mut Console) -> Result<Store> {
        let Some(opened) = &self.opened else {
            bail!(
                "features of {} are not in the file: give the `--checkpoint` that it was made with",
                images.dataset().describe()
            );
        };
        let name = self.flags.features.as_deref().unwrap_or("cls");
        let kind = vectors(name).filter(|kind| !kind.is_of_patches());
        let kind = kind.with_context(|| {
            format!("`--features {name}`: use `cls`, `mean`, `last-N` such as `last-4`, or `head`")
        })?;
        let depth = opened.network.backbone.shape().depth;
        if matches!(kind, Kind::LastCls(blocks) if blocks > depth) {
            bail!("`--features {name}`: the network has {depth} blocks");
        }
        if kind == Kind::Bottleneck {
            opened.head()?;
        }
        compute(opened, self.flags.network, kind, images, console)
    }

    fn read(&self, file: &Path, dataset: &dyn Dataset) -> Result<Store> {
        let table = Table::open(file, self.flags.features.as_deref())?;
        if let Some(opened) = &self.opened {
            require_same_network(&table, opened, self.flags.network)?;
        }
        Ok(Store::of_table(&table, &places(&table, dataset)?)?)
    }
}

impl Bank {
    /// The row of the image at this place of the source, if it could be read.
    pub(crate) fn row_of(&self, place: usize) -> Option<usize> {
        self.features.images().binary_search(&place).ok()
    }

    /// The place in the source of the image of a row.
    pub(crate) fn place(&self, row: usize) -> usize {
        self.features.images()[row]
    }

    /// The name of the image of a row.
    pub(crate) fn name(&self, row: usize) -> String {
        self.images.dataset().name(self.place(row))
    }

    /// The class of the image of a row, if it has one.
    pub(crate) fn class(&self, row: usize) -> Option<&str> {
        self.images.dataset().class(self.place(row))
    }
}

/// The features of images that a network makes, with progress and a warning about images that cannot be read.
///
/// # Errors
/// Too many images cannot be read, or have features that are not finite.
pub(crate) fn compute(
    opened: &Opened,
    network: NetworkRole,
    kind: Kind,
    images: &Subset,
    console: &mut Console,
) -> Result<Store> {
    let preprocess = evaluation::preprocess(&opened.config, images.dataset())?;
    let pass = Pass { images, preprocess: &preprocess, views: Views::Square };
    let mut report = |done, total| {
        show_images(console, "features", (done, total), "forward pass");
        ControlFlow::Continue(())
    };
    let progress = &mut Progress::new(images.len(), &mut report);
    let computed = Store::compute(&pass, &network.encoder(opened), kind, progress);
    console.end_progress();
    let (store, left_out) = computed?;
    left_out.iter().for_each(|text| console.warn(text));
    Ok(store)
}

/// Refuses to compare features of a file with those that this network would give.
fn require_same_network(table: &Table, opened: &Opened, network: NetworkRole) -> Result<()> {
    let step = opened.step.map_or("unknown".to_owned(), |step| step.to_string());
    let pairs = [("step", step), ("network", network.name().to_owned())];
    for (name, wanted) in pairs {
        if let Some(found) = table.metadata(name).filter(|found| *found != wanted) {
            let file = table.path().display();
            bail!(
                "`{file}` was made with {name} `{found}` and cannot be compared with {name} `{wanted}`"
            );
        }
    }
    Ok(())
}

/// Place in the source of the image of each row of a file: by its names, which are in the order of the source.
fn places(table: &Table, dataset: &dyn Dataset) -> Result<Vec<usize>> {
    let (file, source) = (table.path().display(), dataset.describe());
    let Some(names) = table.names()? else {
        if table.rows() != dataset.len() {
            let (rows, images) = (table.rows(), dataset.len());
            bail!("`{file}` has {rows} rows and no names, but {source} has {images} images");
        }
        return Ok((0..dataset.len()).collect());
    };
    let mut next = 0;
    let mut place = |name: &String| {
        let found = (next..dataset.len()).find(|&place| dataset.name(place) == *name);
        next = found? + 1;
        found
    };
    let mut places = Vec::with_capacity(names.len());
    for (row, name) in names.iter().enumerate() {
        places.push(place(name).with_context(|| {
            format!(
                "row {row} of `{file}` is of `{name}`, which {source} does not have there: give the source as \
                 it was given to `dino-vmf features`"
            )
        })?);
    }
    Ok(places)
}

/// Shows how many million cosines are computed.
pub(crate) fn comparing(console: &mut Console) -> impl FnMut(usize, usize) -> ControlFlow<()> {
    move |done, total| {
        let (done, total) = (done as u64, total as u64);
        let text = " million pairs of images".to_owned();
        console.progress(&console::Progress { what: "comparing", done, total, text }, false);
        ControlFlow::Continue(())
    }
}
