//! Which labelled images a run is evaluated on, if its preset knows only its own.

use super::Facts;
use crate::config::{Config, Origin};

/// Images that are enough to judge features, unless the settings say otherwise.
const ENOUGH_TRAIN: usize = 10_000;
const ENOUGH_TEST: usize = 2_000;

/// The two parts of a source: names that can be opened if the source has such parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Images whose neighbors vote.
    pub train: String,
    /// Images that are classified.
    pub test: String,
}

/// The parts of `data.source` that take the place of a preset's own images in an evaluation; `None` if the
/// settings stay as they are.
///
/// They stay for an existing run, for sources that a person named for this run, for a preset that is
/// trained on its own images, and where nothing is evaluated.
pub fn parts_to_evaluate(config: &Config) -> Option<Parts> {
    let source = &config.data.source;
    let name = source.strip_suffix(":train").or(source.strip_suffix(":test")).unwrap_or(source);
    if name == "shapes" || config.is_of_run() || config.is_set("eval.train") {
        return None;
    }
    let [data, train, most] =
        ["data.source", "eval.train", "eval.max_train"].map(|key| config.origin(key));
    // A `--config` file may be a preset with its own images, and `--data` comes after it.
    let data_is_later = data.on_command_line() && !train.on_command_line();
    let by_hand = train.by_hand() && !data_is_later;
    let eval = &config.eval;
    let evaluates = eval.train.is_some() || eval.max_train.is_some();
    let is_foreign = eval.train.as_deref().is_none_or(|train| train.starts_with("shapes"));
    // Without an origin, a program has set it.
    let is_of_program = train == Origin::Default && most == Origin::Default;
    let applies = evaluates && is_foreign && !by_hand && !is_of_program;
    applies.then(|| Parts { train: format!("{name}:train"), test: format!("{name}:test") })
}

/// The settings with [`parts_to_evaluate`] in place of the preset's own images if they have labels, and
/// without an evaluation otherwise.
pub(super) fn on_own_images(config: &Config, facts: &Facts) -> Config {
    let mut config = config.clone();
    let Some(Parts { train, test }) = parts_to_evaluate(&config) else { return config };
    if !facts.has_labelled_parts {
        (config.eval.train, config.eval.test) = (None, None);
        return config;
    }
    let (eval, size) = (&mut config.eval, config.data.global_size);
    (eval.train, eval.test) = (Some(train), Some(test));
    eval.max_train.get_or_insert(ENOUGH_TRAIN);
    eval.max_test.get_or_insert(ENOUGH_TEST);
    let crop = *eval.crop.get_or_insert(size);
    eval.resize.get_or_insert(crop);
    config
}
