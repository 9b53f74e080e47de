//! Adds "use ..." to the error for a command or flag that people know from other programs.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use dino::config::keys;

/// Words for commands that are neither one of them nor close to one.
const COMMANDS: [(&str, &str); 26] = [
    ("train", "pretrain"),
    ("fit", "pretrain"),
    ("run", "pretrain"),
    ("resume", "pretrain --resume"),
    ("evaluate", "eval knn"),
    ("test", "eval knn"),
    ("embed", "features"),
    ("extract", "features"),
    ("search", "neighbors"),
    ("similar", "neighbors"),
    ("dedup", "duplicates"),
    ("deduplicate", "duplicates"),
    ("anomalies", "outliers"),
    ("prototypes", "analyze mixture"),
    ("onnx", "export --to onnx"),
    ("visualize", "attention"),
    ("pca", "parts"),
    ("timm", "convert --to timm"),
    ("huggingface", "convert --to hf"),
    ("benchmark", "bench step"),
    ("settings", "config"),
    ("keys", "config"),
    ("compare", "report"),
    ("summary", "report"),
    ("serve", "watch"),
    ("dashboard", "watch"),
];

/// Words for flags. The first flag that the command has is the one to use.
const FLAGS: [(&str, &[&str]); 29] = [
    ("bs", &["batch-size", "batch"]),
    ("batch", &["batch-size"]),
    ("batchsize", &["batch-size", "batch"]),
    ("batch-size", &["batch"]),
    ("learning-rate", &["lr"]),
    ("lr-rate", &["lr"]),
    ("base-lr", &["lr"]),
    ("backbone", &["arch"]),
    ("network", &["arch"]),
    ("patch", &["patch-size"]),
    ("k", &["prototypes"]),
    ("out-dim", &["prototypes", "k"]),
    ("num-prototypes", &["prototypes", "k"]),
    ("output", &["out", "html"]),
    ("output-dir", &["out"]),
    ("save-dir", &["out"]),
    ("data-path", &["data"]),
    ("data-dir", &["data"]),
    ("dataset", &["data"]),
    ("input", &["data"]),
    ("num-workers", &["workers"]),
    ("num-threads", &["threads"]),
    ("max-steps", &["steps"]),
    ("num-epochs", &["epochs"]),
    ("recipe", &["preset"]),
    ("dtype", &["precision"]),
    ("run", &["checkpoint"]),
    ("ckpt", &["checkpoint"]),
    ("num-channels", &["channels"]),
];

/// Adds a tip to an error about `words`, the command line without the name of the program.
pub(crate) fn add(mut error: Error, root: &Command, words: &[OsString]) -> Error {
    let word = |error: &Error, kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    };
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let tips = match error.kind() {
        ErrorKind::InvalidSubcommand => word(&error, ContextKind::InvalidSubcommand)
            .map(|word| of_command(root, &words, &word))
            .unwrap_or_default(),
        ErrorKind::UnknownArgument => word(&error, ContextKind::InvalidArg)
            .and_then(|word| of_flag(root, &words, &word))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    };
    if !tips.is_empty() {
        for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand] {
            error.remove(kind);
        }
        let tips = tips.into_iter().map(|tip| StyledStr::from(format!("use {tip}"))).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// The commands to use instead of `word`.
fn of_command(root: &Command, words: &[String], word: &str) -> Vec<String> {
    let (found, path) = deepest(root, words);
    if !path.is_empty() {
        // Commands below the first level have few names, so a word that is none of them is an operand.
        let is_close = |name: &str| strsim::jaro_winkler(word, name) > 0.8;
        let names: Vec<_> = visible(found).map(Command::get_name).collect();
        let close: Vec<_> = names.iter().copied().filter(|name| is_close(name)).collect();
        if !close.is_empty() {
            return close.iter().map(|name| command(&format!("{path} {name}"))).collect();
        }
        return names.iter().map(|name| command(&format!("{path} {name} {word}"))).collect();
    }
    let synonym = COMMANDS.iter().find(|(name, _)| *name == word).map(|(_, used)| command(used));
    let nested = visible(root).filter(|outer| visible(outer).any(|inner| inner.get_name() == word));
    let nested = nested.map(|outer| command(&format!("{} {word}", outer.get_name())));
    synonym.into_iter().chain(nested).collect()
}

/// The flag or setting to use instead of `word`.
fn of_flag(root: &Command, words: &[String], word: &str) -> Option<String> {
    let (command, _) = deepest(root, words);
    let has = |flag: &str| command.get_arguments().any(|arg| arg.get_long() == Some(flag));
    let name = word.strip_prefix("--")?.split('=').next()?.replace('_', "-");
    if has(&name) {
        return Some(format!("`--{name}`"));
    }
    let known = FLAGS.iter().find(|(other, _)| *other == name);
    if let Some(flag) = known.and_then(|(_, flags)| flags.iter().find(|flag| has(flag))) {
        return Some(format!("`--{flag}`"));
    }
    let key = keys::named(&name.replace('-', "_")).next().filter(|_| has("set"))?;
    Some(format!("`--set {}=…`; `dino-vmf config {}` explains it", key.path(), key.path()))
}

/// The command that `words` lead to, and its path below the program's name.
fn deepest<'a>(root: &'a Command, words: &[String]) -> (&'a Command, String) {
    let (mut command, mut path) = (root, Vec::new());
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        let Some(next) = command.find_subcommand(word) else { break };
        command = next;
        path.push(next.get_name());
    }
    (command, path.join(" "))
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn command(words: &str) -> String {
    format!("`dino-vmf {words}`")
}
