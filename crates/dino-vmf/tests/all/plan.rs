//! `dino-vmf plan`, and the same at the start of `pretrain`.

#![cfg(unix)]

use std::fs;

use crate::fixtures::{Ended, Tiny, command, photos};

const RUN: [&str; 6] = ["--data", "photos", "--steps", "6", "--out", "run"];

fn home() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    tiny
}

/// `plan` with the flags of a `pretrain` of the small network.
fn plan(tiny: &Tiny, more: &[&str], variable: (&str, &str)) -> Ended {
    with(tiny, "plan", more, variable)
}

fn with(tiny: &Tiny, name: &str, more: &[&str], (variable, value): (&str, &str)) -> Ended {
    let mut words = tiny.arguments(&[&RUN[..], more].concat());
    words[0] = name.to_owned();
    let mut command = command();
    command.env(variable, value).current_dir(tiny.folder.path());
    command.args(words).output().unwrap().into()
}

#[test]
fn plan_takes_the_flags_of_pretrain_and_writes_nothing() {
    let tiny = home();
    let table = plan(&tiny, &[], ("NO_COLOR", "1")).code(0).stdout;
    for text in [
        "6 steps of 8 images, from 20 images",
        " a step: ",
        "weights ",
        "gradients ",
        "optimizer ",
        "activations ",
        "loader ",
        "images fit into memory at once",
        "3 checkpoints of ",
        "free)",
    ] {
        assert!(table.contains(text), "no `{text}` in: {table}");
    }
    let found = plan(&tiny, &["--json"], ("NO_COLOR", "1")).code(0).last_event();
    assert_eq!(found["event"], "plan");
    assert_eq!((&found["total_steps"], &found["batch_size"]), (&6.into(), &8.into()));
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let time = &found["time"];
    assert!(number(&time["step"]) >= number(&time["compute"]).max(number(&time["load"])));
    assert!(number(&time["total"]) >= 5.9 * number(&time["step"]), "{found}");
    assert!(number(&found["loader"]["images_per_second"]) > 1.0, "{found}");
    assert!(number(&found["memory"]["total"]) > number(&found["memory"]["weights"]));
    assert!(!tiny.path("run").exists(), "nothing is written");
}

#[test]
fn pretrain_starts_with_the_same_and_its_checkpoints_have_the_size_that_was_said() {
    let tiny = home();
    let words = [&RUN[..], &["--json"]].concat();
    let ended = tiny.pretrain(&words).code(0).says(" a step: ").says(" of disk (");
    let mut lines = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let plan = lines.find(|line: &serde_json::Value| line["event"] == "plan").unwrap();
    let model = fs::metadata(tiny.path("run/checkpoints/step-00000006/model.safetensors")).unwrap();
    let ratio = model.len() as f64 / plan["disk"]["checkpoint"].as_f64().unwrap();
    assert!((1.0..1.8).contains(&ratio), "{ratio}: names of tensors weigh in so small a network");
    // A run that goes on needs what is left.
    let rest = with(&tiny, "plan", &["--resume"], ("NO_COLOR", "1")).code(0).stdout;
    assert!(rest.contains("6 of them done"), "{rest}");
}

#[test]
fn a_plan_that_does_not_fit_is_shown_and_refused_with_a_flag_that_fits() {
    let tiny = home();
    let big = ["--set", "data.global_size=224", "--set", "run.threads=1"];
    // Micro-batches save activations, but need a copy of their crops.
    let memory = ("DINO_VMF_MEMORY", "0.093");
    let ended = plan(&tiny, &big, memory).code(2).says("hint: try `--set optim.accumulate=");
    assert!(ended.stdout.contains("makes a batch of 8 fit"), "{}", ended.stdout);
    let disk = ("DINO_VMF_DISK", "0.00001");
    let keeps = ["--set", "run.keep_every_epochs=1"];
    plan(&tiny, &keeps, disk)
        .code(2)
        .says("error: the run needs about ")
        .says("hint: try `--set run.keep_every_epochs=0`");
    with(&tiny, "pretrain", &[], disk).code(2).says("choose a folder on another disk for `--out`");
    assert!(!tiny.path("run").exists(), "a refused run leaves no folder");
    with(&tiny, "pretrain", &[], ("DINO_VMF_DISK", "off")).code(0);
}
