//! `dino-vmf eval`: downstream tasks of a checkpoint: on frozen features, and by fine-tuning.

mod beside;
mod copydetect;
mod fewshot;
mod finetune;
mod fingerprint;
mod finished;
mod folders;
mod knn;
mod labelled;
mod linear;
mod logistic;
mod ood;
mod retrieval;
mod score;
mod suite;
mod transfer;
mod vectors;
mod video;

use anyhow::Result;
use clap::Subcommand;

use super::Outcome;
use crate::console::Console;

/// Evaluate a checkpoint
///
/// Features that do not fit into the free memory are kept in a temporary file; the environment variable `TMPDIR` names its
/// folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    Knn(knn::Knn),
    Linear(linear::Linear),
    Logistic(logistic::Logistic),
    #[command(name = "finetune", alias = "fine-tune")]
    FineTune(Box<finetune::FineTune>),
    Fewshot(fewshot::FewShot),
    Ood(ood::Ood),
    Transfer(transfer::Transfer),
    Retrieval(retrieval::Retrieval),
    All(suite::All),
    #[command(name = "copydetect")]
    CopyDetect(copydetect::CopyDetect),
    Video(video::Video),
}

impl Eval {
    pub(crate) fn run(&self, console: &mut Console) -> Result<Outcome> {
        match self {
            Self::FineTune(task) => return task.run(console),
            Self::Knn(knn) => knn.run(console)?,
            Self::Linear(linear) => return linear.run(console),
            Self::Logistic(logistic) => logistic.run(console)?,
            Self::Fewshot(fewshot) => fewshot.run(console)?,
            Self::Ood(ood) => ood.run(console)?,
            Self::Transfer(transfer) => transfer.run(console)?,
            Self::Retrieval(retrieval) => retrieval.run(console)?,
            Self::All(all) => all.run(console)?,
            Self::CopyDetect(copies) => copies.run(console)?,
            Self::Video(video) => video.run(console)?,
        }
        Ok(Outcome::Done)
    }
}
