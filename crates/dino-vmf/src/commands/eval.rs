//! `dino-vmf eval knn`: what frozen features are worth.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueHint};
use dino::config::{self, Origin};
use dino::eval::features::{Extractor, KnnData};
use dino::eval::knn::Score;
use dino::memory;
use serde_json::json;

use super::viewing::{Viewing, show_images};
use crate::console::Console;

/// Judge a checkpoint
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

/// Classify images by their nearest neighbors among frozen features
///
/// Every test image takes the label that its K most similar training images vote for, each with
/// weight exp(similarity / 0.07). Nothing is trained; the backbone is the teacher's. Raw pixels and
/// the same network before training stand beside it, so that the number can be judged.
///
/// Example: dino-vmf eval knn --checkpoint runs/a --train photos:train --test photos:test
#[derive(Debug, Args)]
pub(crate) struct Knn {
    /// Run folder (its newest checkpoint), checkpoint folder, or its `model.safetensors`
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    checkpoint: PathBuf,
    /// Labelled images that vote
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    train: String,
    /// Labelled images that are classified
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    test: String,
    /// Numbers of neighbors that vote
    #[arg(long, value_name = "K,K", value_delimiter = ',', default_value = "10,20")]
    #[arg(allow_negative_numbers = true)]
    k: Vec<i64>,
    #[command(flatten)]
    viewing: Viewing,
}

impl Knn {
    fn run(&self, console: &mut Console) -> Result<()> {
        let k = self.neighbors()?;
        let trained = self.viewing.read(&self.checkpoint, console, |eval| {
            (eval.train, eval.test) = (Some(self.train.clone()), Some(self.test.clone()));
            eval.k = k;
        })?;
        let Some(data) = KnnData::open(&trained.config)? else { return Ok(()) };
        memory::require_evaluation(&trained.config, data.size(), true)?;
        let warnings = data.warnings().into_iter().chain(data.notes());
        warnings.for_each(|text| console.warn(text));
        let network = &trained.network;
        let extractors = [
            ("raw pixels", Extractor::RawPixels),
            ("untrained", Extractor::Backbone(network, &trained.untrained)),
            ("trained", Extractor::Backbone(network, &trained.teacher)),
        ];
        let mut columns = Vec::new();
        for (name, extractor) in extractors {
            let scores = data.evaluate(extractor, &mut |done, total| {
                show_images(console, "k-NN", (done, total), name);
                ControlFlow::Continue(())
            })?;
            columns.extend(scores);
        }
        console.end_progress();
        show(trained.step, &columns, console);
        Ok(())
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

/// A row for each k; `columns` are the scores of raw pixels, untrained and trained features.
fn show(step: u64, columns: &[Vec<Score>], console: &mut Console) {
    let [raw, untrained, trained] = columns else { return };
    console.text("k-NN top-1 (top-5), percent");
    console.text("    k       raw pixels        untrained          trained");
    for ((raw, untrained), trained) in raw.iter().zip(untrained).zip(trained) {
        let cells = [raw, untrained, trained].map(|score| {
            let cell = format!("{:.2} ({:.2})", score.top1, score.top5);
            format!("{cell:>17}")
        });
        console.text(format!("{:5}{}", trained.k, cells.concat()));
        let accuracies = |score: &Score| json!({ "top1": score.top1, "top5": score.top5 });
        let record = json!({
            "k": trained.k, "top1": trained.top1, "top5": trained.top5, "step": step,
            "raw": accuracies(raw), "untrained": accuracies(untrained),
        });
        console.event("knn", &record);
    }
}
