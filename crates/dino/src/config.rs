//! A [`Config`] holds all settings of a run, as somebody wrote them.
//!
//! Default < preset < `--config` file < `--set key=value` < flag ([`Config::resolve`]). Keys that follow
//! from others are `None` until somebody sets them; methods such as [`Model::sizes`] give their values. A
//! [`Plan`](crate::plan::Plan) is a configuration with the data set taken into account, which is what
//! a run is made of.
//!
//! The doc comments of the fields in `config/*.rs` are the reference of the keys: [`keys`] holds them at
//! run time, and `docs/configuration.md` ([`mod@reference`]) is made from them.

mod check;
mod data;
mod error;
mod eval;
mod identity;
mod init;
pub mod keys;
mod layers;
mod locate;
mod masking;
mod model;
mod objective;
mod optim;
mod origin;
mod range;
mod recipe;
pub mod reference;
mod resolve;
mod run;
mod text;
mod value;

use serde::{Deserialize, Serialize};

pub use data::{Data, Pages};
pub use error::{Error, Result};
pub use eval::{During, Eval};
pub use identity::Difference;
pub(crate) use identity::earlier_fingerprint;
pub use init::{GuardAction, Init};
pub(crate) use locate::is_built_in;
pub use masking::{MaskShape, Masking};
pub use model::{Arch, MlpKind, Model, PositionOffset, Precision, Sizes};
pub use objective::{Centering, DebyeTerms, Method, Objective, PrototypeNorm};
pub use optim::{Horizon, Optim};
pub(crate) use optim::{to_steps, total_steps};
pub use origin::{Flag, Origin};
pub use range::{Measured, Range, percentiles};
pub use run::{OnCollapse, Recompute, Run};

use check::{Check, MAX_SIDE};
use identity::Settings;
use origin::Origins;
pub(crate) use resolve::Recommended;
pub use text::ConfigFile;

/// A sentence that somebody should read and that stops nothing. The library prints nothing itself.
pub type Warning = String;

/// All settings of a run. A file has the keys of each section under its name in brackets, such as
/// `[optim]`; `seed` stands above all sections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of every random number: weights, order of images, crops, masks, drop path. The same seed and
    /// settings give the same bits for any number of threads. Change it to see how much results vary.
    pub seed: u64,
    /// The checkpoint that the run starts from.
    pub init: Init,
    /// Backbone and head.
    pub model: Model,
    /// Images and how they are cropped.
    pub data: Data,
    /// Prototypes, temperatures, centering.
    pub objective: Objective,
    /// Which patches are hidden from the student.
    pub masking: Masking,
    /// Length of the run, optimizer and the teacher's momentum.
    pub optim: Optim,
    /// Evaluations during training.
    pub eval: Eval,
    /// Threads, folders, checkpoints.
    pub run: Run,
    /// Who wrote which key.
    #[serde(skip)]
    origins: Origins,
}

impl Config {
    /// Who wrote `key` (with its section, such as `optim.lr`).
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// Evaluates on these sources. They are those of a command line: a relative path starts from the
    /// working directory, not from the folder in which a run was started.
    pub fn evaluate_on(&mut self, train: String, test: String) {
        (self.eval.train, self.eval.test) = (Some(train), Some(test));
        for (key, flag) in [("eval.train", "--train"), ("eval.test", "--test")] {
            self.origins.keys.insert(key.to_owned(), Origin::Flag(flag.to_owned()));
        }
    }

    /// Evaluates on images in these sizes, where they are given by flags of these names: the shorter side after
    /// resizing, and the side of the center crop.
    pub fn evaluate_in(&mut self, resize: (&str, Option<usize>), crop: (&str, Option<usize>)) {
        let eval = &mut self.eval;
        for (key, place, (flag, side)) in
            [("eval.resize", &mut eval.resize, resize), ("eval.crop", &mut eval.crop, crop)]
        {
            if side.is_some() {
                *place = side;
                self.origins.keys.insert(key.to_owned(), Origin::Flag(flag.to_owned()));
            }
        }
    }

    /// Whether a `--set` gave `key` a value, or turned it off by `none`.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.origins.turned_off.contains(key) || self.origin(key) == Origin::Set
    }

    /// Whether the settings are those of an existing run, read from its `config.toml`.
    pub(crate) fn is_of_run(&self) -> bool {
        self.origins.of_run
    }

    /// `optim.epochs` and `optim.steps` of the preset alone.
    pub(crate) fn preset_length(&self) -> (Option<f64>, Option<u64>) {
        self.origins.preset_length.unwrap_or_default()
    }

    /// Keys of a run's `config.toml` that this version does not know, each with its place.
    pub fn unknown_keys(&self) -> &[String] {
        &self.origins.unknown
    }

    /// Side of the image that the position table is made for: as set, else that of global crops.
    pub fn image_size(&self) -> usize {
        self.model.image_size.unwrap_or(self.data.global_size)
    }

    /// The same settings with a value for every key that follows from others.
    pub fn completed(&self) -> Self {
        let mut config = self.clone();
        let Sizes { embed_dim, depth, heads } = self.model.sizes();
        config.model.embed_dim = Some(embed_dim);
        config.model.depth = Some(depth);
        config.model.heads = Some(heads);
        config.model.image_size = Some(self.image_size());
        config.data.mean = Some(self.data.mean());
        config.data.std = Some(self.data.std());
        config.objective.prototype_norm = Some(self.objective.prototype_norm());
        config.objective.centering = Some(self.objective.centering());
        config.objective.debye_terms = Some(self.objective.debye_terms());
        config.optim.epochs = self.optim.epochs();
        config
    }

    /// The loss of a student that gives every prototype the same probability: ln K for each set of K prototypes,
    /// times the weight of its term, in nats. A student that has learned something is below; one that is surely
    /// wrong is above. KoLeo is not part of it.
    pub fn chance_loss(&self) -> f64 {
        let (objective, prototypes) = (&self.objective, self.model.prototypes);
        let patches = self.model.patch_prototypes.unwrap_or(prototypes);
        let of_patches = match objective.method.masks() {
            true => objective.lambda_patch * (patches as f64).ln(),
            false => 0.0,
        };
        objective.lambda_cls * (prototypes as f64).ln() + of_patches
    }

    /// The configuration as TOML, every key written out (options that are off are left out).
    pub fn to_toml(&self) -> String {
        // Numbers, strings, lists of numbers and tables always serialize.
        toml::to_string(&self.completed().to_table()).unwrap_or_default()
    }

    fn to_table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    /// All keys and values that may not change while a run lasts.
    pub fn settings(&self) -> Settings {
        identity::settings(self.completed().to_table())
    }

    /// Whether `other` describes the same run: all keys that change results are equal.
    ///
    /// # Errors
    /// A key that differs, with both values.
    pub fn same_run(&self, other: &Self) -> Result<(), Difference> {
        compare(&self.settings(), &other.settings())
    }

    /// As [`Config::same_run`], but `other` may be longer, if `optim.extended` has one more entry there.
    ///
    /// # Errors
    /// A key that differs, with both values.
    pub(crate) fn same_run_so_far(&self, other: &Self) -> Result<(), Difference> {
        let (ours, theirs) = (&self.optim.extended, &other.optim.extended);
        let is_longer = theirs.len() == ours.len() + 1 && theirs.starts_with(ours);
        if is_longer {
            compare_without_length(self.settings(), other.settings())
        } else {
            self.same_run(other)
        }
    }

    /// SHA-256, in hexadecimal, of all that identifies a run; see [`Config::same_run`].
    pub fn fingerprint(&self) -> String {
        identity::hash(self.settings())
    }

    /// Refuses settings with which nothing can be trained. [`Config::resolve`] has called it; call it
    /// after a change.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first key, in the order of the sections.
    pub fn validate(&self) -> Result<()> {
        let check = Check(&self.origins);
        let patch_size = self.model.patch_size;
        check.at_most("seed", self.seed, i64::MAX as u64)?;
        self.init.check(&check)?;
        self.model.check(&check)?;
        self.data.check(&check, patch_size)?;
        check.multiple("model.image_size", self.image_size(), patch_size)?;
        self.objective.check(&check)?;
        self.check_prototypes(&check)?;
        self.masking.check_values(&check)?;
        if self.objective.method.masks() {
            self.masking.check(&check, self.data.global_size, patch_size)?;
        }
        self.optim.check(&check)?;
        self.eval.check(&check, patch_size)?;
        self.run.check(&check)
    }

    /// Checks the values from which the rules for own images compute others, each alone, so that an error names the value
    /// and not what follows from it.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub(crate) fn check_bases(&self) -> Result<()> {
        let check = Check(&self.origins);
        self.model.check_sizes(&check)?;
        check.count("data.global_size", self.data.global_size, MAX_SIDE)?;
        self.optim.check_length(&check)
    }

    /// Checks what the objective needs of the batch and of the prototypes.
    fn check_prototypes(&self, check: &Check<'_>) -> Result<()> {
        let sinkhorn = self.objective.centering() == Centering::Sinkhorn;
        let (parts, prototypes) = (self.optim.accumulate, self.model.prototypes);
        let needed = "be 1 with `objective.centering` = `sinkhorn`, which balances a whole batch";
        check.require(!sinkhorn || parts == 1, "optim.accumulate", parts, needed)?;
        let enough = prototypes >= 2;
        let needed =
            "be 2 or more where `objective.centering` = `sinkhorn` shares a batch among them";
        check.require(!sinkhorn || enough, "model.prototypes", prototypes, needed)?;
        let koleo = self.objective.lambda_koleo != 0.0;
        let needed = "be 2 or more where `objective.lambda_koleo` asks for distances between them";
        check.require(!koleo || enough, "model.prototypes", prototypes, needed)
    }
}

/// Compares settings; see [`Config::same_run`].
///
/// # Errors
/// A key that differs, with both values.
pub(crate) fn compare(ours: &Settings, theirs: &Settings) -> Result<(), Difference> {
    let mut defaults = Config::default().settings();
    // A run has either epochs or steps: that one is missing does not mean its default.
    defaults.remove("optim.epochs");
    identity::compare(ours, theirs, &defaults)
}

/// Compares the settings of a checkpoint with those of its run, which may have been made longer since.
///
/// # Errors
/// A key that differs, with both values.
pub(crate) fn compare_so_far(saved: &Settings, run: &Config, step: u64) -> Result<(), Difference> {
    let was_shorter = run.optim.extended.iter().any(|[at, _]| *at >= step);
    compare(saved, &run.settings()).or_else(|difference| match was_shorter {
        true => compare_without_length(saved.clone(), run.settings()),
        false => Err(difference),
    })
}

fn compare_without_length(mut ours: Settings, mut theirs: Settings) -> Result<(), Difference> {
    for key in ["optim.epochs", "optim.steps", "optim.extended"] {
        ours.remove(key);
        theirs.remove(key);
    }
    compare(&ours, &theirs)
}

#[cfg(test)]
mod tests;
