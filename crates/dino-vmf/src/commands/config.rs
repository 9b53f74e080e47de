//! `dino-vmf config`: the reference of the keys, and all keys of a preset.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::Args;
use dino::config::keys::{self, Key, SECTIONS};
use dino::config::{self, Origin, reference};
use dino::{own_images, preset};
use serde_json::json;

use super::candidates::{key_names, presets};
use crate::console::Console;

/// List the keys of a configuration, or explain one
///
/// Without arguments, lists every key with its default and its first sentence. With KEY, explains one: what it
/// does, how to choose it, what it allows, and what the presets set. KEY may also be a section, such as `optim`,
/// or a name without its section, such as `lr`. docs/configuration.md is the same text.
///
/// `--preset NAME` alone prints all keys with the preset's values as a file for `--config`; `"none"` marks what
/// is off. Keys that `photos`, `microscopy` and `satellite` take from the images and the machine are comments in it;
/// give `--preset` beside such a file.
///
/// Example: dino-vmf config optim.lr
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Key to explain, such as `optim.lr`
    #[arg(add = key_names())]
    key: Option<String>,
    /// Show the values of this preset instead of the defaults
    #[arg(long, value_name = "NAME", add = presets())]
    preset: Option<String>,
}

/// The values that are shown: those of a preset, or the defaults.
struct Shown {
    preset: Option<String>,
    config: config::Config,
    /// Keys whose values follow from the images and the machine.
    follow: BTreeSet<String>,
}

impl Config {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let preset = self.preset.as_deref();
        let shown = Shown {
            preset: self.preset.clone(),
            config: config::Config::resolve(preset, None, &[], &[])?,
            follow: preset.map(own_images::keys_that_follow).transpose()?.unwrap_or_default(),
        };
        match &self.key {
            Some(key) => explain(key, &shown, console),
            None if preset.is_some() => {
                print_file(&shown, console);
                Ok(())
            }
            None => {
                keys::all().for_each(|key| print_line(&key, &shown, console));
                Ok(())
            }
        }
    }
}

/// Explains one key, or lists those of a section.
fn explain(name: &str, shown: &Shown, console: &mut Console) -> Result<()> {
    if let Some(section) = SECTIONS.iter().find(|section| section.name == name) {
        print_wrapped(section.doc, console);
        console.text("");
        section.keys().for_each(|key| print_line(&key, shown, console));
        return Ok(());
    }
    let found: Vec<_> = keys::find(name).into_iter().chain(keys::named(name)).collect();
    let Some(first) = found.first() else {
        return Err(keys::unknown(name, Origin::Default).into());
    };
    // `seed` is the path of a key and its name.
    let found = if first.path() == name { &found[..1] } else { &found };
    for (i, key) in found.iter().enumerate() {
        if i > 0 {
            console.text("");
        }
        print_key(key, shown, console)?;
    }
    Ok(())
}

fn print_key(key: &Key, shown: &Shown, console: &mut Console) -> Result<()> {
    let (path, value) = (key.path(), shown.value_of(key));
    let whose = shown
        .preset
        .as_ref()
        .map_or_else(|| "the default".to_owned(), |preset| format!("in preset `{preset}`"));
    console.text(format!("{path} = {value}  ({whose})"));
    console.text("");
    print_wrapped(key.doc, console);
    console.text("");
    print_wrapped(&format!("allowed: {}", reference::allowed(key)), console);
    let presets = values_of_presets(key)?;
    if !presets.is_empty() {
        console.text("presets:");
    }
    for (value, names) in &presets {
        print_wrapped(&format!("  {value} in {}", names.join(", ")), console);
    }
    console.text(format!("to set it: --set {path}=VALUE"));
    console.event("key", &record(key, shown));
    Ok(())
}

/// A key, its value, and its first sentence.
fn print_line(key: &Key, shown: &Shown, console: &mut Console) {
    let (path, value) = (key.path(), shown.value_of(key));
    console.text(format!("{path:<36} {value:<12} {}", plain(key.summary())));
    console.event("key", &record(key, shown));
}

fn record(key: &Key, shown: &Shown) -> serde_json::Value {
    json!({
        "key": key.path(),
        "value": shown.value_of(key),
        "default": key.default_value(),
        "doc": plain(key.doc),
        "allowed": reference::allowed(key),
    })
}

/// The values that presets set other than the default, each with the names of its presets.
fn values_of_presets(key: &Key) -> Result<BTreeMap<String, Vec<&'static str>>> {
    let mut values = BTreeMap::<String, Vec<_>>::new();
    for preset in preset::all() {
        let config = config::Config::resolve(Some(preset.name), None, &[], &[])?;
        if key.value_in(&config) != key.default_value() {
            values.entry(value_of(key, &config)).or_default().push(preset.name);
        }
    }
    Ok(values)
}

/// Prints all keys as TOML. Options that are off are `"none"`, which a configuration may say.
fn print_file(shown: &Shown, console: &mut Console) {
    if let (false, Some(preset)) = (shown.follow.is_empty(), &shown.preset) {
        console.text(format!(
            "# For `--preset {preset} --config FILE`, which sets what is `{FOLLOWS}` here."
        ));
    }
    for section in &SECTIONS {
        if !section.name.is_empty() {
            console.text("");
            console.text(format!("[{}]", section.name));
        }
        // Only one of the two lengths may be given, and the program writes the working directory.
        let is_written = |key: &Key| {
            let is_length = ["optim.epochs", "optim.steps"].contains(&key.path().as_str());
            key.value_in(&shown.config).is_some() || !(is_length || key.name == "working_dir")
        };
        for key in section.keys().filter(is_written) {
            let value = key.value_in(&shown.config).unwrap_or_else(|| "\"none\"".to_owned());
            console.text(match shown.follows(&key) {
                true => format!("# {}: {FOLLOWS}", key.name),
                false => format!("{} = {value}", key.name),
            });
            console.event("key", &record(&key, shown));
        }
    }
}

/// In place of a value that a preset takes from the images and the machine.
const FOLLOWS: &str = "from the images";

impl Shown {
    fn follows(&self, key: &Key) -> bool {
        self.follow.contains(&key.path())
    }

    fn value_of(&self, key: &Key) -> String {
        if self.follows(key) { FOLLOWS.to_owned() } else { value_of(key, &self.config) }
    }
}

fn value_of(key: &Key, config: &config::Config) -> String {
    key.value_in(config).unwrap_or_else(|| "none".to_owned())
}

/// Markdown as text for a terminal.
fn plain(markdown: &str) -> String {
    markdown.replace("\\[", "[").replace("\\]", "]")
}

/// Prints text in lines of at most 100 letters, all with the indent of the first one.
fn print_wrapped(markdown: &str, console: &mut Console) {
    let text = plain(markdown);
    let indent = " ".repeat(text.len() - text.trim_start().len());
    let mut line = indent.clone();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            console.text(&line);
            line.clone_from(&indent);
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    console.text(&line);
}
