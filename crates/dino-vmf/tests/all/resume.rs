//! A run that was stopped, killed or damaged, and then resumed, ends with the same bits as one that was not.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::{Ended, Tiny, weights};

const STEPS: u64 = 200;
const MORE: [&str; 6] =
    ["--steps", "200", "--set", "run.checkpoint_every_steps=7", "--method", "dino-vmf"];

/// The weights of a run that is not disturbed.
fn undisturbed() -> Vec<u8> {
    let tiny = Tiny::new();
    tiny.pretrain(&[&MORE[..], &["--out", "run"]].concat()).code(0);
    weights(&tiny.path("run"), STEPS)
}

/// Starts a long run in the background.
fn start(tiny: &Tiny, more: &[&str]) -> Child {
    start_with(tiny, &[&MORE[..], more].concat())
}

fn start_with(tiny: &Tiny, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_dino-vmf"))
        .args(tiny.arguments(more))
        .current_dir(tiny.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the run has a checkpoint.
fn wait_for_checkpoint(run: &Path) {
    wait_until(|| fs::read_dir(run.join("checkpoints")).map_or(0, Iterator::count) >= 2);
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() && start.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether SIGHUP is ignored here, as under `nohup`: then the program ignores it, too.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1)
}

/// A run that got a signal. On a busy machine a run may end before the signal comes; then another one is started.
fn interrupted(name: &str) -> (Tiny, Ended) {
    let mut left = 10;
    loop {
        let tiny = Tiny::new();
        let child = start(&tiny, &["--out", "run"]);
        wait_for_checkpoint(&tiny.path("run"));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        left -= 1;
        if left == 0 || !output.status.success() {
            return (tiny, Ended::from(output));
        }
    }
}

#[test]
fn signals_save_and_a_resumed_run_ends_with_the_same_bits() {
    let whole = undisturbed();
    let mut names = vec!["-TERM", "-INT", "-USR1", "-XCPU"];
    if !hangups_are_ignored() {
        names.push("-HUP");
    }
    for name in names {
        let (tiny, ended) = interrupted(name);
        let ended = ended.code(130).says("interrupted after step ").says("pretrain --resume run");
        assert!(ended.stdout.contains("run folder: run"), "{}", ended.stdout);
        // Resuming uses the run's own settings.
        tiny.run(&["pretrain", "--resume", "run"]).code(0).says("resuming after step");
        assert!(whole == weights(&tiny.path("run"), STEPS), "{name}");
    }
}

#[test]
fn a_killed_run_ends_with_the_same_bits() {
    let whole = undisturbed();
    // Start and restarts use the same command line, as a job queue would.
    for delay in [3, 20, 50, 90, 170] {
        let tiny = Tiny::new();
        let mut kills = 0;
        loop {
            let mut child = start(&tiny, &["--out", "run", "--resume"]);
            thread::sleep(Duration::from_millis(delay + 15 * kills));
            child.kill().unwrap();
            if child.wait().unwrap().success() || kills == 2 {
                break;
            }
            kills += 1;
        }
        tiny.pretrain(&[&MORE[..], &["--out", "run", "--resume"]].concat()).code(0);
        assert!(whole == weights(&tiny.path("run"), STEPS), "killed every {delay} ms");
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_previous_one_is_used() {
    let whole = undisturbed();
    for cut in [true, false] {
        let tiny = Tiny::new();
        tiny.pretrain(&[&MORE[..], &["--out", "run"]].concat()).code(0);
        let newest = tiny.path("run/checkpoints/step-00000200/model.safetensors");
        let mut bytes = fs::read(&newest).unwrap();
        let middle = bytes.len() * 2 / 3;
        if cut {
            bytes.truncate(middle);
        } else {
            bytes[middle] ^= 4;
        }
        fs::write(&newest, bytes).unwrap();
        tiny.run(&["pretrain", "--resume", "run"])
            .code(0)
            .says("warning: checkpoint `run/checkpoints/step-00000200` is not used")
            .says("resuming after step 196");
        assert!(whole == weights(&tiny.path("run"), STEPS));
    }
}

#[test]
fn a_signal_ends_an_evaluation_and_a_resumed_run_repeats_it() {
    let tiny = Tiny::new();
    let eval = ["eval.train=shapes:train", "eval.test=shapes:test", "eval.max_train=4000"];
    let more: Vec<_> = eval.iter().flat_map(|set| ["--set", set]).collect();
    let run = ["--steps", "2", "--out", "run", "--json"];
    let child = start_with(&tiny, &[&more[..], &run].concat());
    wait_until(|| tiny.path("run").exists());
    signal(&child, "-TERM");
    let ended = Ended::from(child.wait_with_output().unwrap()).code(130);
    let summary = ended.says("interrupted before the first step was done").last_event();
    assert_eq!((&summary["steps"], &summary["knn"]), (&0.into(), &serde_json::Value::Null));
    let resumed = tiny.run(&["pretrain", "--resume", "run", "--json"]).code(0);
    let summary = resumed.last_event();
    assert!(summary["knn"]["trained"].as_f64().unwrap() > 0.0, "{summary}");
}

#[test]
fn a_complete_run_is_resumed_without_a_step() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "3", "--out", "run"]).code(0);
    let summary = tiny.run(&["pretrain", "--resume", "run", "--json"]).code(0).last_event();
    assert_eq!((&summary["event"], &summary["steps"]), (&"summary".into(), &3.into()));
}

#[test]
fn resume_alone_takes_the_newest_run() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "3"]).code(0);
    tiny.pretrain(&["--steps", "4"]).code(0);
    let ended = tiny.run(&["pretrain", "--resume", "--json"]).code(0);
    assert_eq!(ended.last_event()["run"], "runs/shapes-tiny-2");
}
