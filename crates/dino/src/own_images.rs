//! Chooses a recipe for somebody's own images: a [`Wish`] becomes [`Settings`].
//!
//! ```text
//! Wish ─▶ draft ─▶ open data.source ─▶ Look (number, side, channels) ─┐
//!                                      Machine (cores, memory) ───────┴▶ rules ─▶ Settings
//! ```
//!
//! `pretrain`, `data preview` and `data inspect` all come here, so they agree. The rules, with their
//! reasons, are in `docs/recipes.md`. They write keys between the preset and what a person wrote
//! (`--config`, `--set`, flags), and they adapt to what a person wrote: a batch that was set decides the
//! number of prototypes, a network that was set decides the learning rate.

mod look;
mod machine;
mod networks;
mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

use multicrop::Dataset;
use report::number::counted;

use crate::config::{Config, ConfigFile, Flag, Origin, Precision, Recommended, is_built_in, keys};
use crate::error::Result;
use crate::preset;
use crate::start::settings::{self, OfCheckpoint};

pub use look::Look;
pub use machine::Machine;

/// Preset for images of color, if nothing else is asked for.
const PHOTOS: &str = "photos";
/// Preset for gray images and images with more bands than a photograph.
const INSTRUMENTS: &str = "microscopy";

/// What somebody asks for on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// `--preset`.
    pub preset: Option<&'a str>,
    /// `--config`.
    pub file: Option<&'a ConfigFile>,
    /// Each `--set`.
    pub sets: &'a [String],
    /// All other flags that set a key.
    pub flags: &'a [Flag],
}

/// All settings of a run, and how they came about.
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The name of the preset, for the run folder.
    pub name: String,
    /// What was chosen and why, for people; `None` if a preset was asked for that has one size.
    pub chosen: Option<String>,
    /// `data.source`, if it was opened to look at it.
    pub dataset: Option<Arc<dyn Dataset>>,
}

impl Settings {
    /// The settings of an existing run, which need no choice.
    pub fn of_run(config: Config) -> Self {
        Self { config, name: preset::DEFAULT.to_owned(), chosen: None, dataset: None }
    }
}

impl Wish<'_> {
    /// The settings before any image was looked at, unchecked: good for `data.source`, how it is read, and
    /// `run.threads`.
    ///
    /// # Errors
    /// An unknown preset or key, or a value of the wrong type.
    pub fn draft(&self) -> Result<Config> {
        Ok(Config::draft(self.preset, self.file, self.sets, self.flags)?)
    }

    /// The settings of the run. Opens `data.source` if they depend on it.
    ///
    /// # Errors
    /// The source cannot be opened, or the settings are invalid.
    pub fn settle(&self, machine: &Machine) -> Result<Settings> {
        let draft = self.draft()?;
        match self.preset {
            Some(name) if !preset::find(name)?.fits_images() => self.plain(name, None),
            // These have presets of their own.
            None if is_built_in(&draft.data.source) => {
                let file = self.file.filter(|_| !draft.origin("data.source").by_hand());
                let note = file.map(|file| {
                    format!(
                        "`{}` and the command line name no images, so the run has the images and all other \
                         settings of preset `{}`; name yours with `--data`",
                        file.path.display(),
                        preset::DEFAULT
                    )
                });
                self.plain(preset::DEFAULT, note)
            }
            asked => self.fitted(asked, &draft, machine),
        }
    }

    fn plain(&self, name: &str, chosen: Option<String>) -> Result<Settings> {
        let mut keys = rules::Keys::default();
        let start = self.start_from(name, &mut keys)?;
        let config = self.on(name, &keys)?;
        let chosen = chosen.into_iter().chain(start.iter().map(|start| start.text(&config)));
        let chosen: Vec<_> = chosen.collect();
        start.map_or(Ok(()), |start| start.check(&config))?;
        let chosen = (!chosen.is_empty()).then(|| chosen.join("\n"));
        Ok(Settings { config, name: name.to_owned(), chosen, dataset: None })
    }

    /// What follows from the checkpoint that the run starts from, if there is one. Its keys go into `keys`.
    fn start_from(&self, name: &str, keys: &mut rules::Keys) -> Result<Option<OfCheckpoint>> {
        let recommended = Recommended { preset: name, keys: keys.to_pairs() };
        let base = Config::draft_fitted(Some(recommended), self.file, self.sets, self.flags)?;
        let start = settings::of_checkpoint(&base)?;
        for (key, value) in start.iter().flat_map(|start| &start.keys) {
            keys.set(key, value.clone());
        }
        Ok(start)
    }

    /// The settings that fit the images.
    fn fitted(&self, asked: Option<&str>, draft: &Config, machine: &Machine) -> Result<Settings> {
        let dataset = draft.data.open(&draft.data.source)?;
        let look = Look::at(dataset.as_ref(), &draft.data);
        let name = asked.unwrap_or(if look.is_photographic() { PHOTOS } else { INSTRUMENTS });
        let base = Config::draft(Some(name), self.file, self.sets, self.flags)?;
        base.check_bases()?;
        let mut keys = rules::keys(&base, &look, machine);
        let start = self.start_from(name, &mut keys)?;
        let mut config = self.on(name, &keys)?;
        while rules::halve_batch(&mut keys, &config, machine) {
            config = self.on(name, &keys)?;
        }
        let mut chosen = sentence(name, asked.is_some(), &look, machine, &config);
        if let Some(start) = start {
            start.check(&config)?;
            chosen = format!("{chosen}\n{}", start.text(&config));
        }
        let chosen = Some(chosen);
        Ok(Settings { config, name: name.to_owned(), chosen, dataset: Some(dataset) })
    }

    fn on(&self, name: &str, keys: &rules::Keys) -> Result<Config> {
        let recommended = Recommended { preset: name, keys: keys.to_pairs() };
        Ok(Config::resolve_fitted(recommended, self.file, self.sets, self.flags)?)
    }
}

/// The settings that a preset which fits its images would have for such images.
///
/// # Errors
/// There is no such preset.
pub fn example(name: &str, look: &Look, machine: &Machine) -> Result<Config> {
    let wish = Wish { preset: Some(name), file: None, sets: &[], flags: &[] };
    wish.on(name, &rules::keys(&wish.draft()?, look, machine))
}

/// What was chosen and why, in one line.
fn sentence(name: &str, asked: bool, look: &Look, machine: &Machine, config: &Config) -> String {
    let (model, data, optim) = (&config.model, &config.data, &config.optim);
    let length = match (optim.epochs, optim.steps) {
        (_, Some(steps)) => counted(steps as usize, "step"),
        (epochs, None) => match epochs.unwrap_or_default() {
            whole if whole.fract() == 0.0 => counted(whole as usize, "epoch"),
            epochs => format!("{epochs} epochs"),
        },
    };
    let other = if asked { "" } else { "; choose another by `--preset`, see `dino-vmf presets`" };
    format!(
        "recipe `{name}` for {look} on {machine}: {} with patches of {}, crops of {} and {} pixels, batches \
         of {}, {length}, {} prototypes{other}",
        networks::describe(model),
        model.patch_size,
        data.global_size,
        data.local_size,
        optim.batch_size,
        model.prototypes,
    )
}

#[cfg(test)]
mod tests;

/// The keys whose values a preset takes from the images and the machine, and those that follow from these keys. None for a
/// preset that does not fit itself to images.
///
/// # Errors
/// There is no such preset.
pub fn keys_that_follow(name: &str) -> Result<BTreeSet<String>> {
    if !preset::find(name)?.fits_images() {
        return Ok(BTreeSet::new());
    }
    let wish = Wish { preset: Some(name), file: None, sets: &[], flags: &[] };
    let (base, alone) = (wish.draft()?, Config::resolve(Some(name), None, &[], &[])?);
    let machine = Machine { cores: 1, memory: None, precision: Precision::Bf16 };
    // Small crops have keys that large ones do not have, gray images one that color does not have.
    let mut follow = BTreeSet::new();
    for (side, channels) in [(32, 1), (32, 3), (256, 3)] {
        let look = Look { images: 10_000, side, channels: Some(channels), is_deep: false };
        let keys = rules::keys(&base, &look, &machine);
        let fitted = wish.on(name, &keys)?;
        let is_own = |key: &str| base.origin(key) != Origin::Default;
        follow.extend(keys.to_pairs().into_iter().map(|(key, _)| key).filter(|key| !is_own(key)));
        let differ = keys::all().filter(|key| key.value_in(&fitted) != key.value_in(&alone));
        follow.extend(differ.map(|key| key.path()));
    }
    Ok(follow)
}
