//! What to type after an error, and its exit code.

use std::path::Path;

use report::shell::quoted;

use super::Error;

impl Error {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::NoImagesOfPreset { images, .. } => Some(match images.as_str() {
                "cifar10" => "unpack `cifar-10-binary.tar.gz` of \
                              https://www.cs.toronto.edu/~kriz/cifar.html and name the folder: \
                              `--data cifar-10-batches-bin`; `--data SOURCE` takes other images"
                    .to_owned(),
                _ => "name your images: `--data SOURCE`".to_owned(),
            }),
            Self::TooFewImages { images, .. } => {
                Some(format!("try `--set optim.batch_size={}`", (*images).max(1)))
            }
            Self::TooLittleMemory { advice, .. } => {
                let advice =
                    advice.as_deref().unwrap_or("choose a smaller network or fewer prototypes");
                Some(format!("{advice}; `DINO_VMF_MEMORY=off` starts it all the same"))
            }
            Self::TooLittleDisk { keeps, .. } => {
                let advice = if *keeps {
                    "try `--set run.keep_every_epochs=0`, which keeps only the last two checkpoints, or "
                } else {
                    ""
                };
                Some(format!(
                    "{advice}choose a folder on another disk for `--out`; `DINO_VMF_DISK=off` starts it \
                     all the same"
                ))
            }
            Self::TooLittleRoom { .. } => Some(
                "use fewer images, or set `TMPDIR` to a folder on a disk with more space"
                    .to_owned(),
            ),
            Self::RunUsed { has_checkpoints: true, .. } => {
                Some("add `--resume` to go on, or choose another `--out`".to_owned())
            }
            Self::RunUsed { .. } => Some(
                "it holds a run that saved nothing yet: add `--resume` to start that run again, choose \
                 another `--out`, or remove the folder if no process is working in it"
                    .to_owned(),
            ),
            Self::NoRun { .. } => Some("choose an empty or a new folder for `--out`".to_owned()),
            Self::RunLocked { .. } => {
                Some("wait for that process, or choose another `--out`".to_owned())
            }
            Self::OtherConfig { key, saved, .. } => {
                let set = quoted(&format!("{key}={saved}"));
                let length = match ["optim.epochs", "optim.steps"].contains(&key.as_str()) {
                    true => "a run can be made longer, not shorter; ",
                    false => "",
                };
                Some(format!("{length}`--set {set}` goes on there, another `--out` starts a new run"))
            }
            Self::Checkpoint(error) => error.hint(),
            Self::Foreign(error) => error.hint(),
            Self::NoHead { .. } => {
                Some("`eval knn`, `analyze features` and `features --features cls` need the backbone alone".to_owned())
            }
            Self::NoStudent { .. } => Some("leave out `--network`".to_owned()),
            Self::NoTraining { .. } => {
                Some("leave out `--full`, which writes the backbone alone".to_owned())
            }
            Self::ImageSize { side, patch } => {
                Some(format!("try `--image-size {}`", (side / patch).max(1) * patch))
            }
            Self::Diverged { remedy, .. } => Some(format!("try {remedy}")),
            Self::EndsNotFinite { saved, run, remedy, .. } => Some(format!(
                "{}; train again with another `--out`, and try {remedy}",
                match saved {
                    Some(step) =>
                        format!("`eval` and `analyze` use step {step} of `{}`", run.display()),
                    None => "nothing was saved".to_owned(),
                }
            )),
            Self::Alarm { path, .. } => path.ancestors().nth(2).map(|run| {
                format!("`--resume {} --on-collapse warn` goes on all the same", word(run))
            }),
            Self::NoPatches { .. } => Some(
                "leave out `--patches`; methods `ibot` and `ibot-vmf` have such a mixture"
                    .to_owned(),
            ),
            Self::OtherRun { .. } => Some(
                "bring back the `config.toml` that the run was started with, or the run's own \
                 checkpoints; other settings are another run, with another `--out`"
                    .to_owned(),
            ),
            Self::OtherImages { .. } => Some(
                "bring the images back or name their new place with `--data`; \
                 `--allow-data-change` goes on with other images and writes that down"
                    .to_owned(),
            ),
            Self::CheckpointsGone { .. } => Some(
                "bring the folder `checkpoints` back, or start again with another `--out`"
                    .to_owned(),
            ),
            Self::NoRunToResume { others, .. } => Some(match others.as_slice() {
                [] => {
                    "leave out `--resume` to start a run, or name the run's folder: `--resume DIR`"
                        .to_owned()
                }
                [newest] => {
                    format!("the only run is {}: `--resume {}`", newest.display(), word(newest))
                }
                [newest, second, ..] => format!(
                    "the newest runs are {} and {}: `--resume {}`",
                    newest.display(),
                    second.display(),
                    word(newest)
                ),
            }),
            Self::FolderGone { saved, .. } => saved.ancestors().nth(2).map(|run| {
                format!(
                    "`--resume {}` goes on; earlier metrics are in the other folder",
                    word(run)
                )
            }),
            Self::NotFinite { remedy, .. } => Some(format!("with another `--out`, try {remedy}")),
            Self::Left { error, run, step, saved, unsaved } => {
                let mut ours = left_hint(run, *step, *saved, unsaved.as_deref());
                if saved.is_some() && is_about_bad_images(error) {
                    ours += "; after images were removed, with `--allow-data-change`";
                }
                Some(error.hint().map_or_else(|| ours.clone(), |hint| format!("{hint}; {ours}")))
            }
            Self::Worse { best_step, .. } => Some(format!(
                "{}; with another `--out`, try a lower `--lr` or `--set optim.backbone_lr=0.01`",
                match best_step {
                    0 => "none of its features were better than those of the checkpoint".to_owned(),
                    step => format!("the checkpoint of step {step} has the best features"),
                }
            )),
            Self::NoBest { run } => Some(format!(
                "`{}` without `@best` is the newest checkpoint", run.display()
            )),
            Self::Environment { variable, .. } => {
                Some(format!("set `{variable}` to one of these, or remove it: `unset {variable}`"))
            }
            Self::Data(multicrop::Error::NoSuchSplit { path, .. }) => Some(format!(
                "`{0}` alone names its training part, or all images if there are no parts; \
                 `eval knn CHECKPOINT --leave-one-out {0}` needs no parts",
                word(path)
            )),
            Self::NoCheckpoint { .. }
            | Self::NotComputed { .. }
            | Self::Probe(_)
            | Self::Data(_)
            | Self::Io { .. } => None,
        }
    }

    /// Whether the command line or the configuration is at fault (exit code 2), not the system, the data or the training (1).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(error) => error.is_usage(),
            Self::TooLittleMemory { .. }
            | Self::TooLittleDisk { .. }
            | Self::TooLittleRoom { .. }
            | Self::Environment { .. }
            | Self::NoImagesOfPreset { .. }
            | Self::RunUsed { .. }
            | Self::NoRun { .. }
            | Self::NoRunToResume { .. }
            | Self::OtherConfig { .. }
            | Self::OtherImages { .. }
            | Self::ImageSize { .. } => true,
            Self::TooFewImages { .. }
            | Self::Io { .. }
            | Self::RunLocked { .. }
            | Self::OtherRun { .. }
            | Self::CheckpointsGone { .. }
            | Self::FolderGone { .. }
            | Self::NotFinite { .. }
            | Self::Left { .. }
            | Self::NoPatches { .. }
            | Self::NoCheckpoint { .. }
            | Self::NoBest { .. }
            | Self::Diverged { .. }
            | Self::EndsNotFinite { .. }
            | Self::Alarm { .. }
            | Self::Probe(_)
            | Self::Data(_)
            | Self::Worse { .. }
            | Self::NotComputed { .. }
            | Self::NoHead { .. }
            | Self::NoStudent { .. }
            | Self::NoTraining { .. }
            | Self::Foreign(_)
            | Self::Checkpoint(_) => false,
        }
    }
}

/// A path as a word for a shell.
fn word(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// Whether images have to be repaired or removed.
fn is_about_bad_images(error: &Error) -> bool {
    use multicrop::Error::{BadImage, NoReplacement, TooManyBadImages};
    matches!(error, Error::Data(BadImage { .. } | NoReplacement { .. } | TooManyBadImages { .. }))
}

/// What of a run is on disk, and how it goes on.
fn left_hint(run: &Path, step: u64, saved: Option<u64>, unsaved: Option<&str>) -> String {
    let run = word(run);
    let reason = unsaved.map(|reason| format!(" ({reason})")).unwrap_or_default();
    match saved {
        Some(saved) if saved == step => {
            format!("the run is saved after step {step}; `--resume {run}` goes on")
        }
        Some(saved) => format!(
            "step {step} could not be saved{reason}; the newest checkpoint is that of step {saved}, from \
             which `--resume {run}` goes on"
        ),
        None => format!("step {step} could not be saved{reason}, and there is no checkpoint"),
    }
}
