//! `dino-vmf eval knn`: k-NN classification accuracy of frozen features.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueHint};
use dino::config::{self, Origin};
use dino::{evaluation, memory};
use probe::{Encoder, Judgment, RawPixels, Score, Scores, Source, knn};
use serde_json::{Map, Value, json};

use super::opening::Checkpoint;
use super::viewing::{Viewing, show_images};
use crate::console::Console;

/// Evaluate a checkpoint
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    Knn(Knn),
}

impl Eval {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let Self::Knn(knn) = self;
        knn.run(console)
    }
}

/// Classify images by their nearest neighbors in feature space
///
/// The K most similar training images vote for the label of a test image, each with weight
/// exp(cosine similarity / 0.07). Nothing is trained. The features are those of the teacher's backbone. For
/// comparison, the table also has raw pixels and the same network before training.
///
/// Without `--data`, `--train` and `--test`, the images are those on which the run itself was evaluated.
///
/// Example: dino-vmf eval knn runs/a --data photos/
#[derive(Debug, Args)]
pub(crate) struct Knn {
    #[command(flatten)]
    checkpoint: Checkpoint,
    /// Labelled images with two parts: the same as `--train SOURCE:train --test SOURCE:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    #[arg(conflicts_with_all = ["train", "test"])]
    data: Option<String>,
    /// Labelled images that vote, for example `photos:train`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "test")]
    train: Option<String>,
    /// Labelled images to classify, for example `photos:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "train")]
    test: Option<String>,
    /// Number of neighbors that vote; each number gets a row
    ///
    /// 20 is common. Use fewer than there are training images per class.
    #[arg(long, value_name = "K,K", value_delimiter = ',', default_value = "10,20")]
    #[arg(allow_negative_numbers = true)]
    k: Vec<i64>,
    #[command(flatten)]
    viewing: Viewing,
}

impl Knn {
    fn run(&self, console: &mut Console) -> Result<()> {
        let k = self.neighbors()?;
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |eval| eval.k = k)?;
        if let Some((train, test)) = self.sources() {
            opened.config.evaluate_on(train, test);
        }
        let knn = knn::Knn::new(evaluation::knn_settings(&opened.config.eval));
        let evaluation = evaluation::open(&opened.config, vec![Box::new(knn)])?;
        let evaluation = evaluation.context(
            "the run names no labelled images; give them by `--data SOURCE`, or `--train SOURCE` and \
             `--test SOURCE`",
        )?;
        let warnings = evaluation.warnings().into_iter().chain(evaluation.notes());
        warnings.for_each(|text| console.warn(text));
        let (network, untrained) = (&opened.network, opened.draw_untrained());
        let encoder = |name, params| Encoder { name, network, params };
        let (untrained, trained) =
            (encoder("untrained", &untrained), encoder("trained", &opened.teacher));
        let sources: [&dyn Source; 3] = [&RawPixels, &untrained, &trained];
        let values = evaluation.values_of_image(&sources);
        memory::require_evaluation(&opened.config, evaluation.size(), values)?;
        let judged = evaluation.judge(&sources, &mut |done, total| {
            show_images(console, "k-NN", (done, total), "trained, untrained, raw pixels");
            ControlFlow::Continue(())
        })?;
        console.end_progress();
        judged.left_out.iter().for_each(|text| console.warn(text));
        print(opened.step, &judged.judgments, console);
        Ok(())
    }

    /// The images that vote and those to classify, if flags give them.
    fn sources(&self) -> Option<(String, String)> {
        let parts = self.data.as_ref().map(|data| {
            let whole = data.strip_suffix(":train").or(data.strip_suffix(":test")).unwrap_or(data);
            (format!("{whole}:train"), format!("{whole}:test"))
        });
        parts.or_else(|| self.train.clone().zip(self.test.clone()))
    }

    fn neighbors(&self) -> Result<Vec<usize>, config::Error> {
        let count = |&k: &i64| usize::try_from(k).ok().filter(|k| *k > 0);
        self.k.iter().map(count).collect::<Option<Vec<_>>>().ok_or_else(|| {
            config::Error::BadValue {
                key: "eval.k".to_owned(),
                origin: Origin::Flag("--k".to_owned()),
                found: format!("{:?}", self.k),
                needed: "list numbers from 1 on".to_owned(),
            }
        })
    }
}

/// Prints a table of a probe's scores: a row for each setting, a column for each source. The trained
/// network is the last column.
fn print(step: Option<u64>, columns: &[Judgment], console: &mut Console) {
    let Some((trained, others)) = columns.split_last() else { return };
    let Some(first) = trained.scores.first() else { return };
    let [titles, units] = [|score: &Score| score.title, |score: &Score| score.unit]
        .map(|of| first.values.iter().map(of).collect::<Vec<_>>());
    let unit = units.first().copied().unwrap_or_default();
    console.text(format!("{} {}, {unit}", trained.title, with_rest(&titles)));
    let setting = first.setting.map_or("", |(name, _)| name);
    let names = columns.iter().map(|column| format!("{:>17}", in_words(&column.source)));
    console.text(format!("{setting:>5}{}", names.collect::<String>()));
    for (row, scores) in trained.scores.iter().enumerate() {
        let cell = |column: &Judgment| {
            let values = column.scores[row].values.iter();
            let values: Vec<_> = values.map(|score| format!("{:.2}", score.value)).collect();
            format!("{:>17}", with_rest(&values))
        };
        let setting = scores.setting.map_or(String::new(), |(_, value)| value.to_string());
        console.text(format!("{setting:>5}{}", columns.iter().map(cell).collect::<String>()));
        console.event(trained.probe, &record(step, scores, others, row));
    }
}

/// A row as JSON: the setting, the scores of the trained network, and an object of scores for each other
/// source.
fn record(step: Option<u64>, scores: &Scores, others: &[Judgment], row: usize) -> Value {
    let values = |scores: &Scores| -> Map<String, Value> {
        let values = scores.values.iter();
        values.map(|score| (score.name.to_owned(), json!(score.value))).collect()
    };
    let mut record = values(scores);
    record.insert("step".to_owned(), json!(step));
    record.extend(scores.setting.map(|(name, value)| (name.to_owned(), json!(value))));
    let others = others.iter();
    record.extend(others.map(|of| (of.source.clone(), json!(values(&of.scores[row])))));
    Value::Object(record)
}

/// The first text, then the others in brackets.
fn with_rest(texts: &[impl AsRef<str>]) -> String {
    let mut texts = texts.iter().map(AsRef::as_ref);
    let first = texts.next().unwrap_or_default().to_owned();
    match texts.collect::<Vec<_>>().join(", ") {
        rest if rest.is_empty() => first,
        rest => format!("{first} ({rest})"),
    }
}

/// A source in words.
fn in_words(source: &str) -> &str {
    if source == "raw" { "raw pixels" } else { source }
}
