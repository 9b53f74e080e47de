//! Evaluations during training as a person sees them: several of them, the best checkpoint, one that fails.

#![cfg(unix)]

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::{Ended, Tiny, metrics, photos, saved_steps};
use serde_json::Value;

const ALL: &str = "eval.during=[\"knn\",\"linear\",\"logistic\",\"fewshot\"]";

/// A run on photographs that is evaluated on others in each epoch.
fn run<'a>(steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let sets = ["eval.train=judge:train", "eval.test=judge:test", "eval.every_epochs=1"];
    let size = ["eval.crop=32", "eval.resize=32"];
    let sets = sets.into_iter().chain(size).chain(more.iter().copied());
    let run = ["--data", "photos", "--out", "run", "--json", "--steps", steps];
    run.into_iter().chain(sets.flat_map(|set| ["--set", set])).collect()
}

fn with_images() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    photos(&tiny.path("judge"), 10);
    tiny
}

/// The lines of a probe in `metrics.jsonl`: features, and the first score of the last setting.
fn scores(tiny: &Tiny, probe: &str) -> Vec<(String, f64)> {
    let lines = metrics(&tiny.path("run"));
    let of = |line: &Value| {
        let record = line.get(probe)?;
        let scores = record["scores"].as_array().unwrap();
        let value = scores.last().unwrap()["top1"].as_f64().unwrap();
        Some((record["features"].as_str().unwrap().to_owned(), value))
    };
    lines.iter().filter_map(of).collect()
}

#[test]
fn several_evaluations_share_a_run() {
    let tiny = with_images();
    let ended = tiny.pretrain(&run("4", &[ALL])).code(0);
    let summary = ended.last_event();
    for probe in ["knn", "linear", "logistic", "fewshot"] {
        let found = scores(&tiny, probe);
        let features: Vec<_> = found.iter().map(|(features, _)| features.as_str()).collect();
        let expected = if probe == "knn" { vec!["raw"] } else { vec![] };
        assert_eq!(features, [expected, vec!["untrained", "trained", "trained"]].concat());
        let last = found.last().unwrap().1;
        assert!((0.0..=100.0).contains(&last), "{probe}: {found:?}");
        assert_eq!(summary[probe]["trained"], last, "{probe}: {summary}");
        assert_eq!(summary[probe].get("raw").is_some(), probe == "knn", "{summary}");
    }
    ended
        .says("linear probe of trained network at step 4: ")
        .says("few-shot of untrained network at step 0: ")
        .says("(shots = 5)");
    // The table of a run has accuracies, not their spread over draws or classes.
    let table = tiny.run(&["report", "run"]).code(0).stdout;
    for title in ["k-NN top1", "linear probe top1", "logistic regression top1", "few-shot top1"] {
        assert!(table.contains(title), "{table}");
    }
    let number = format!("{:.2}", summary["fewshot"]["trained"].as_f64().unwrap());
    assert!(table.contains(&number) && !table.contains("deviation"), "{table}");
}

#[test]
fn a_resumed_run_keeps_its_baselines() {
    let tiny = with_images();
    tiny.pretrain(&run("4", &[])).code(0);
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000004")).unwrap();
    let ended = tiny.run(&["pretrain", "--resume", "run"]).code(0);
    assert!(ended.stdout.contains("raw pixels"), "{}", ended.stdout);
    let features: Vec<_> = scores(&tiny, "knn").into_iter().map(|(features, _)| features).collect();
    let count = |of: &str| features.iter().filter(|features| *features == of).count();
    assert_eq!((count("raw"), count("untrained")), (1, 1), "{features:?}");
    fs::write(tiny.path("run/evaluations.json"), "{").unwrap();
    let longer = ["pretrain", "--resume", "run", "--steps", "5"];
    tiny.run(&longer).code(1).says("without this file a run measures its baselines again");
    fs::remove_file(tiny.path("run/evaluations.json")).unwrap();
    tiny.run(&longer).code(0);
}

#[test]
fn an_evaluation_that_does_not_exist_is_named() {
    let tiny = with_images();
    let unknown = tiny.pretrain(&run("4", &["eval.during=[\"knn\",\"svm\"]"])).code(2);
    for name in ["svm", "`knn`", "`linear`", "`logistic`", "`fewshot`"] {
        assert!(unknown.stderr.contains(name), "{}", unknown.stderr);
    }
    tiny.pretrain(&run("4", &["eval.during=[]"])).code(2).says("name at least one of `knn`");
    tiny.pretrain(&run("4", &["eval.during=[\"knn\",\"knn\"]"]))
        .code(2)
        .says("name each evaluation once");
    tiny.pretrain(&run("4", &["eval.keep_best=linear"]))
        .code(2)
        .says("be one of `eval.during`, which is [\"knn\"]");
    assert!(!tiny.path("run").exists());
}

#[test]
fn the_best_checkpoint_is_kept_and_opened_by_its_name() {
    let tiny = with_images();
    // A rate that destroys the features after a while, so that an early step is the best.
    let sets = [ALL, "eval.keep_best=knn", "optim.lr=0.3"];
    tiny.pretrain(&run("12", &sets)).code(0);
    let numbers: Value =
        serde_json::from_slice(&fs::read(tiny.path("run/evaluations.json")).unwrap()).unwrap();
    let numbers = numbers["trained"].as_array().unwrap().clone();
    let value = |line: &Value| (line[0].as_u64().unwrap(), line[1]["knn"].as_f64().unwrap());
    let numbers: Vec<_> = numbers.iter().map(value).collect();
    let best = numbers.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap().0;
    let mut expected = vec![best, 10, 12];
    expected.sort_unstable();
    expected.dedup();
    assert!(best < 10, "the test needs an early best step: {numbers:?}");
    assert_eq!(saved_steps(&tiny.path("run")), expected, "{numbers:?}");
    let step = format!("step-{best:08}");
    tiny.run(&["eval", "knn", "run@best"]).code(0).says(&step);
    // A run that goes on from an earlier step still knows it.
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000012")).unwrap();
    tiny.run(&["pretrain", "--resume", "run"]).code(0);
    assert_eq!(saved_steps(&tiny.path("run")), expected);
    tiny.run(&["eval", "knn", "run@best"]).code(0).says(&step);
    tiny.run(&["checkpoint", "inspect", "run@best"]).code(0);
    // By other numbers the best one is sought anew; that of before stays.
    let longer = ["pretrain", "--resume", "run", "--steps", "20", "--set", "eval.k=[5]"];
    tiny.run(&longer)
        .code(0)
        .says(&format!("the checkpoint of step {best}, the best one before, is kept"));
    assert!(saved_steps(&tiny.path("run")).contains(&best));
    tiny.run(&["pretrain", "--resume", "run", "--steps", "30"]).code(0);
    assert!(saved_steps(&tiny.path("run")).contains(&best));
    tiny.pretrain(&["--data", "photos", "--steps", "1", "--out", "other"]).code(0);
    tiny.run(&["eval", "knn", "other@best", "--data", "judge"])
        .code(1)
        .says("run `other` has no best checkpoint");
    tiny.run(&["eval", "knn", "none@best"])
        .code(1)
        .says("there is no `none`: expected a run folder");
}

#[test]
fn images_that_vanish_cost_an_evaluation_and_not_the_run() {
    let tiny = with_images();
    let arguments = tiny.arguments(&run("200", &["eval.max_test=8"]));
    let mut program = Command::new(env!("CARGO_BIN_EXE_dino-vmf"));
    program.args(arguments).current_dir(tiny.folder.path()).env("NO_COLOR", "1");
    let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (start, file) = (Instant::now(), tiny.path("run/metrics.jsonl"));
    let steps = || fs::read_to_string(&file).unwrap_or_default().lines().count();
    while steps() < 20 && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(1));
    }
    fs::remove_dir_all(tiny.path("judge")).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).code(0);
    let summary = ended.last_event();
    assert!(summary["knn"].is_null(), "{summary}");
    let missing = summary["missing_evaluations"].as_array().unwrap();
    assert!(missing.len() > 5, "{summary}");
    let warnings = ended.stderr.matches("k-NN of trained features failed").count();
    assert_eq!(warnings, 1, "{}", ended.stderr);
    ended.says("evaluation of the trained network is missing at steps ").says(", 200: ");
    assert_eq!(saved_steps(&tiny.path("run")).last(), Some(&200));
}
