//! The evaluations of a suite that are commands of their own. A new one is a variant, its name and its arms.

use anyhow::{Context, Result, bail, ensure};
use clap::{CommandFactory, Parser};
use dino::open::Opened;
use toml::{Table, Value};

use super::super::score::Score;
use super::super::{copydetect, ood, retrieval, transfer, video};
use crate::console::Console;

/// An evaluation with its flags, which are those of the command of the same name.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
pub(super) enum Whole {
    #[command(name = "copydetect")]
    CopyDetect(copydetect::Flags),
    Ood(ood::Flags),
    Retrieval(retrieval::Flags),
    Transfer(transfer::Flags),
    Video(video::Flags),
}

impl Whole {
    /// Names of all.
    pub(super) const NAMES: [&'static str; 5] =
        ["copydetect", "ood", "retrieval", "transfer", "video"];

    /// Reads the flags as the command line does. The keys are flags, with or without underscores. `seed` is that of the
    /// suite, for an evaluation that takes one and whose flags do not say it.
    ///
    /// # Errors
    /// A task or a flag that does not exist, one that is missing, or a value that makes no sense.
    pub(super) fn parse(task: &str, flags: &Table, seed: u64) -> Result<Self> {
        ensure!(
            Self::NAMES.contains(&task),
            "there is no task `{task}` for `[[eval]]`: there are `{}`",
            Self::NAMES.join("`, `")
        );
        let known = keys(task);
        let mut line = vec![task.to_owned()];
        for (key, value) in flags {
            let flag = key.replace('_', "-");
            ensure!(
                known.contains(&flag),
                "there is no key `{key}`: there are `{}`",
                known.join("`, `").replace('-', "_")
            );
            let of_key = words(&format!("--{flag}"), value);
            line.extend(of_key.with_context(|| format!("key `{key}`"))?);
        }
        if known.iter().any(|key| key == "seed") && !flags.contains_key("seed") {
            line.push(format!("--seed={seed}"));
        }
        let whole = Self::try_parse_from(line).map_err(|error| {
            // The first paragraph says what is wrong; usage and hints are about a command line.
            let text = error.to_string();
            let text = text.split("\n\n").next().unwrap_or_default();
            let lines = text.trim_start_matches("error: ").lines().map(str::trim);
            anyhow::anyhow!("{}", lines.collect::<Vec<_>>().join(" "))
        })?;
        match &whole {
            Self::Ood(flags) => flags.check()?,
            Self::Transfer(flags) => flags.check()?,
            Self::CopyDetect(_) | Self::Retrieval(_) | Self::Video(_) => {}
        }
        Ok(whole)
    }

    /// Measures a checkpoint. Its settings may be overridden.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &mut Opened, console: &mut Console) -> Result<Vec<Score>> {
        match self {
            Self::CopyDetect(flags) => flags.measure(opened, console),
            Self::Ood(flags) => flags.measure(opened, console),
            Self::Retrieval(flags) => flags.measure(opened, console),
            Self::Transfer(flags) => flags.measure(opened, console),
            Self::Video(flags) => flags.measure(opened, console),
        }
    }

    /// Its title on the page.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::CopyDetect(_) => "copy detection",
            Self::Ood(_) => "unknown images",
            Self::Retrieval(_) => "retrieval",
            Self::Transfer(_) => "transfer",
            Self::Video(_) => "video segmentation",
        }
    }

    /// What exactly is measured, in one sentence.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::CopyDetect(_) => {
                "each copy is a query among all originals and other images; mean average precision over the first 20, \
                 [CLS] and GeM of the patches"
            }
            Self::Ood(_) => {
                "AUROC between known and unknown images; 50 is chance; no interval, because it is no mean over images"
            }
            Self::Retrieval(_) => {
                "mean average precision of the relevant images of each query, by cosine"
            }
            Self::Transfer(_) => {
                "logistic regression whose weight decay is chosen on validation images; no interval"
            }
            Self::Video(_) => {
                "label propagation in the layout of DAVIS 2017; means over objects, which are also what is resampled"
            }
        }
    }
}

/// The flags of a task, without dashes in front.
fn keys(task: &str) -> Vec<String> {
    let command = Whole::command();
    let of_task = command.get_subcommands().find(|of| of.get_name() == task);
    let flags = of_task.into_iter().flat_map(clap::Command::get_arguments);
    flags.filter_map(|flag| flag.get_long()).map(str::to_owned).collect()
}

/// A flag with its value, as words of a command line.
fn words(flag: &str, value: &Value) -> Result<Vec<String>> {
    Ok(match value {
        Value::Boolean(true) => vec![flag.to_owned()],
        Value::Boolean(false) => Vec::new(),
        Value::String(text) => {
            ensure!(!text.trim().is_empty(), "the text is empty");
            vec![format!("{flag}={text}")]
        }
        Value::Integer(number) => vec![format!("{flag}={number}")],
        Value::Float(number) => vec![format!("{flag}={number}")],
        Value::Array(values) => {
            let of_each = values.iter().map(|value| words(flag, value));
            of_each.collect::<Result<Vec<_>>>()?.concat()
        }
        Value::Datetime(_) | Value::Table(_) => {
            bail!("expected a text, a number, true or false, or a list of these")
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Subcommand;

    use super::*;

    fn parse(task: &str, text: &str) -> Result<Whole> {
        Whole::parse(task, &toml::from_str(text)?, 7)
    }

    #[test]
    fn names_are_those_of_the_commands() {
        let command = Whole::augment_subcommands(clap::Command::new("suite"));
        command.clone().debug_assert();
        let names: Vec<_> = command.get_subcommands().map(|of| of.get_name().to_owned()).collect();
        assert_eq!(names, Whole::NAMES);
    }

    #[test]
    fn keys_are_flags() -> Result<()> {
        let text =
            "known = 'a:test'\nunknown = ['b', 'c']\nk = [1, 5]\ntrain = 'a:train'\ncrop = 32";
        let Whole::Ood(flags) = parse("ood", text)? else { bail!("not ood") };
        let shown = format!("{flags:?}");
        assert!(shown.contains("[\"b\", \"c\"]") && shown.contains("k: [1, 5]"), "{shown}");
        let text = "data = 'photos'\nwhole_queries = true\nscales = 'single'";
        let Whole::Retrieval(flags) = parse("retrieval", text)? else { bail!("not retrieval") };
        assert!(format!("{flags:?}").contains("whole_queries: true"), "{flags:?}");
        for (text, seed) in [("data = 'a'", "seed: 7"), ("data = 'a'\nseed = 3", "seed: 3")] {
            let shown = format!("{:?}", parse("transfer", text)?);
            assert!(shown.contains(seed), "{shown}");
        }
        Ok(())
    }

    #[test]
    fn mistakes_are_named_in_one_line() {
        for (task, text, wanted) in [
            ("knn", "data = 'a'", "there is no task `knn` for `[[eval]]`: there are `copydetect`"),
            ("ood", "known = 'a'", "--unknown <SOURCE>"),
            ("retrieval", "data = 'a'\nsize = 0", "invalid value '0' for '--size <PIXELS>'"),
            (
                "retrieval",
                "data = 'a'\ncolour = 1",
                "there is no key `colour`: there are `data`, `gnd`",
            ),
            ("retrieval", "data = 'a'\nwhole_querys = false", "there is no key `whole_querys`"),
            ("retrieval", "data = 'a'\ngem_p = nan", "must be a number above 0"),
            ("retrieval", "data = ''", "key `data`: the text is empty"),
            ("ood", "known = 'a'\nunknown = 'a'", "`a` is both known and unknown"),
            ("ood", "known = 'a'\nunknown = 'b'\ntrain = 'a'", "its own nearest neighbor"),
            ("transfer", "seed = 1", "no images are named"),
            ("video", "data = 1987-07-05", "key `data`: expected a text"),
        ] {
            let error = format!("{:#}", parse(task, text).expect_err(text));
            assert!(error.contains(wanted) && !error.contains('\n'), "{error}");
        }
    }
}
