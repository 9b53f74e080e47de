//! What a run prints at its end: results beside the baselines, a judgment, and what to type next.

use std::path::Path;

use dino::config::Config;
use dino::trainer::{Headline, Missing, ProbeSummary, Started, Summary};
use report::number::{counted, duration};
use report::shell::quoted;

use crate::console::Console;

/// Steps below which a network has hardly begun to learn.
const FEW_STEPS: u64 = 3000;
/// Difference in percent of accuracy below which two results count as equal.
const CLOSE: f64 = 1.0;

/// A run that has ended.
pub(super) struct Conclusion<'a> {
    pub(super) summary: &'a Summary,
    /// Missing only if the run never started.
    pub(super) started: Option<&'a Started>,
    /// Steps of this process.
    pub(super) steps: u64,
    /// Names of the alarms that are not cleared.
    pub(super) alarms: &'a [&'static str],
}

/// Prints results to stdout, and what to type next to stderr.
pub(super) fn print(conclusion: &Conclusion<'_>, console: &mut Console) {
    let Conclusion { summary, .. } = conclusion;
    let run = summary.run.display();
    let word = quoted(&run.to_string());
    if summary.interrupted && summary.steps == 0 {
        console.note(format!(
            "interrupted before the first step was done; `dino-vmf pretrain --resume {word}` starts the \
             run again"
        ));
    } else if summary.interrupted {
        console.note(format!(
            "interrupted after step {}; `dino-vmf pretrain --resume {word}` continues the run",
            summary.steps
        ));
    }
    if let Some(text) = speed(conclusion) {
        console.text(text);
    }
    for found in summary.probes.values().flatten() {
        let Headline { title, score, .. } = found.headline;
        console.text(format!("{title} {}, {}", score.title, score.unit));
        let start = found.start.map(|start| ("start", start));
        let raw = found.raw.map(|raw| ("raw", raw));
        let untrained = found.untrained.map(|untrained| ("untrained", untrained));
        let rows = raw.into_iter().chain(untrained).chain(start);
        for (name, value) in rows.chain([("trained", found.trained)]) {
            console.text(format!("  {:<18}{value:6.2}", in_words(name)));
        }
        judgment(found, conclusion).into_iter().for_each(|text| console.text(text));
    }
    missing(&summary.missing_evaluations).into_iter().for_each(|text| console.warn(text));
    console.text(format!("run folder: {run}"));
    if !summary.interrupted {
        next(&summary.run).iter().for_each(|line| console.note(line));
    }
}

/// Time, speed and loss of this process. None if it took no step.
fn speed(conclusion: &Conclusion<'_>) -> Option<String> {
    let Conclusion { summary, started, steps, .. } = conclusion;
    let (loss, chance) = (summary.loss?, started.as_ref()?.chance_loss);
    Some(format!(
        "{} in {}, {:.0} images/s, final loss {loss:.3} (chance {chance:.3})",
        counted(*steps as usize, "step"),
        duration(summary.seconds),
        summary.images_per_second,
    ))
}

/// One sentence for each kind of features whose evaluations are missing, with the steps and the last reason.
fn missing(all: &[Missing]) -> Vec<String> {
    let of = |features: &str| {
        let mut of_features = all.iter().filter(|missing| missing.features == features);
        let steps: Vec<_> = of_features.clone().map(|missing| missing.step.to_string()).collect();
        let Missing { reason, .. } = of_features.next_back()?;
        let word = if steps.len() > 1 { "steps" } else { "step" };
        let (features, steps) = (in_words(features), steps.join(", "));
        Some(format!("evaluation of the {features} is missing at {word} {steps}: {reason}"))
    };
    ["raw", "untrained", "start", "trained"].into_iter().filter_map(of).collect()
}

/// One sentence: whether the trained network beats the baselines, and the likely reason if it does not. None
/// without baselines.
fn judgment(found: &ProbeSummary, conclusion: &Conclusion<'_>) -> Option<String> {
    let ProbeSummary { headline, raw, untrained, trained, .. } = *found;
    let title = headline.title;
    let baselines = [raw.zip(Some(in_words("raw"))), untrained.zip(Some("the untrained network"))];
    let known = baselines.into_iter().flatten();
    let (best, name) = known.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    let unit = if headline.score.unit == "percent" { "points" } else { headline.score.unit };
    if trained >= best + CLOSE {
        return Some(format!("{title}: {:.1} {unit} above {name}", trained - best));
    }
    let place = if trained > best - CLOSE { "no better than" } else { "below" };
    Some(format!("{title}: {place} {name}: {}", reason(conclusion)))
}

/// Why a trained network is no better than the baselines.
fn reason(conclusion: &Conclusion<'_>) -> String {
    let Conclusion { summary, started, alarms, .. } = conclusion;
    if let Some(alarm) = alarms.first() {
        return format!("{alarm}; the warning above says what to try");
    }
    let steps = summary.steps;
    if steps < FEW_STEPS {
        let per_epoch = started.map_or(1, |started| started.steps_per_epoch.max(1));
        let epochs = steps as f64 / per_epoch as f64;
        let length = match epochs >= 1.0 {
            true => format!("{} ({})", epochs_in_words(epochs), counted(steps as usize, "step")),
            false => counted(steps as usize, "step"),
        };
        let verb = if length.starts_with("1 ") { "is" } else { "are" };
        return format!("{length} {verb} too few");
    }
    "the crops or the learning rate do not fit these images (`dino-vmf data preview` shows the crops)"
        .to_owned()
}

fn epochs_in_words(epochs: f64) -> String {
    match epochs.fract() < 0.05 {
        true => counted(epochs as usize, "epoch"),
        false => format!("{epochs:.1} epochs"),
    }
}

/// Commands that use the result. Those about images need the run's configuration, which names them.
fn next(run: &Path) -> Vec<String> {
    let Ok(Config { data, eval, .. }) = Config::load(&run.join("config.toml")) else {
        return Vec::new();
    };
    let checkpoint = quoted(&run.display().to_string());
    let mut lines = vec!["next:".to_owned()];
    if let Some((train, test)) = eval.train.as_deref().zip(eval.test.as_deref()) {
        let (train, test) = (quoted(train), quoted(test));
        lines.push(format!(
            "  dino-vmf eval knn --checkpoint {checkpoint} --train {train} --test {test} --k 5,10,20,50"
        ));
    }
    let images = quoted(eval.test.as_deref().unwrap_or(&data.source));
    lines.push(format!(
        "  dino-vmf analyze mixture --checkpoint {checkpoint} --data {images} --html mixture.html"
    ));
    lines
}

/// Features in words.
pub(super) fn in_words(features: &str) -> &str {
    match features {
        "raw" => "raw pixels",
        "untrained" => "untrained network",
        "start" => "given checkpoint",
        "trained" => "trained network",
        other => other,
    }
}

/// A unit as it is written behind a number.
pub(super) fn sign(unit: &str) -> &str {
    if unit == "percent" { "%" } else { unit }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use probe::Score;

    use super::*;

    fn judge(trained: f64, steps: u64, alarms: &[&'static str]) -> String {
        let score = Score { name: "top1", title: "top-1", value: trained, unit: "percent" };
        let headline = Headline { probe: "knn", title: "k-NN", setting: None, score };
        let found =
            ProbeSummary { headline, raw: Some(32.7), untrained: Some(29.0), start: None, trained };
        let started = Started {
            run: "run".into(),
            step: 0,
            total_steps: steps,
            steps_per_epoch: 46,
            data: String::new(),
            images: 3000,
            parameters: 1,
            crops: 4,
            threads: 1,
            chance_loss: 5.5,
        };
        let summary = Summary {
            run: "run".into(),
            steps,
            seconds: 61.0,
            images_per_second: 100.0,
            loss: Some(4.0),
            probes: BTreeMap::new(),
            missing_evaluations: Vec::new(),
            interrupted: false,
        };
        let conclusion = Conclusion { summary: &summary, started: Some(&started), steps, alarms };
        judgment(&found, &conclusion).unwrap()
    }

    #[test]
    fn a_result_below_the_baselines_says_why() {
        let few = "k-NN: below raw pixels: 7 epochs (322 steps) are too few";
        assert_eq!(judge(28.0, 322, &[]), few);
        assert_eq!(
            judge(32.9, 46, &[]),
            "k-NN: no better than raw pixels: 1 epoch (46 steps) is too few"
        );
        let collapsed =
            "k-NN: below raw pixels: uniform-collapse; the warning above says what to try";
        assert_eq!(judge(10.0, 322, &["uniform-collapse"]), collapsed);
        assert!(judge(28.0, 9000, &[]).contains("`dino-vmf data preview`"));
        assert_eq!(judge(56.7, 2184, &[]), "k-NN: 24.0 points above raw pixels");
    }
}
