//! A finished or stopped run is made longer. Its schedules are joined, and it resumes like any other.

#![cfg(unix)]

use std::fs;

use crate::fixtures::{Tiny, metrics, photos, saved_steps, weights};

const TWO_EPOCHS: [&str; 10] = [
    "--data",
    "photos",
    "--epochs",
    "2",
    "--out",
    "run",
    "--set",
    "optim.warmup_epochs=1",
    "--set",
    "run.keep_every_epochs=1",
];

/// A finished run of two epochs of five steps on 40 images.
fn finished() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 20);
    tiny.pretrain(&TWO_EPOCHS).code(0);
    assert_eq!(saved_steps(&tiny.path("run")), [5, 10]);
    tiny
}

fn learning_rates(tiny: &Tiny, run: &str) -> Vec<f64> {
    let lines = metrics(&tiny.path(run));
    lines.iter().filter_map(|line| line["lr"].as_f64()).collect()
}

#[test]
fn a_finished_run_is_extended_and_its_schedules_become_those_of_the_longer_run() {
    let tiny = finished();
    let before = fs::read(tiny.path("run/config.toml")).unwrap();
    let short = learning_rates(&tiny, "run");
    tiny.run(&["pretrain", "--resume", "run", "--epochs", "6"])
        .code(0)
        .says("extended from 10 to 30 steps: within 2 steps the learning rate goes from")
        .says("step 30/30");
    let longer = [&TWO_EPOCHS[..], &["--out", "long", "--epochs", "6"]].concat();
    let longer: Vec<_> = longer[..2].iter().chain(&longer[6..]).copied().collect();
    tiny.pretrain(&longer).code(0);
    let (extended, long) = (learning_rates(&tiny, "run"), learning_rates(&tiny, "long"));
    assert_eq!((&extended[..10], &extended[12..]), (&short[..], &long[12..]));
    assert!(extended[10] < extended[11] && extended[11] < extended[12], "{extended:?}");

    let line = metrics(&tiny.path("run")).into_iter().find(|line| line["extended"].is_object());
    let line = line.unwrap();
    assert_eq!((&line["step"], &line["extended"]["steps"]), (&10.into(), &30.into()));
    let config = fs::read_to_string(tiny.path("run/config.toml")).unwrap();
    assert!(config.contains("\nepochs = 6.0\n"), "{config}");
    assert!(config.contains("\nextended = [[10, 10]]\n"), "{config}");
    assert!(before == fs::read(tiny.path("run/config-until-step-00000010.toml")).unwrap());
}

#[test]
fn an_extended_run_that_is_stopped_and_resumed_ends_with_the_same_bits() {
    let extend = ["pretrain", "--resume", "run", "--epochs", "4"];
    let whole = finished();
    whole.run(&extend).code(0);
    let whole = weights(&whole.path("run"), 20);

    let tiny = finished();
    tiny.run(&extend).code(0);
    // As if the run had been killed after step 15, and then before its first new checkpoint.
    for lost in [&["20"][..], &["20", "15"]] {
        for step in lost {
            fs::remove_dir_all(tiny.path(&format!("run/checkpoints/step-000000{step}"))).unwrap();
        }
        // The same command again does not extend the run once more.
        let ended = tiny.run(&extend).code(0).says("step 20/20");
        assert!(!ended.stderr.contains("extended"), "{}", ended.stderr);
        assert!(whole == weights(&tiny.path("run"), 20));
    }
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000020")).unwrap();
    tiny.run(&["pretrain", "--resume", "run"]).code(0).says("step 20/20");
    assert!(whole == weights(&tiny.path("run"), 20));
    // So does the first command line with the new length.
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000020")).unwrap();
    let mut first = TWO_EPOCHS;
    first[3] = "4";
    tiny.pretrain(&[&first[..], &["--resume"]].concat()).code(0).says("step 20/20");
    assert!(whole == weights(&tiny.path("run"), 20));
}

#[test]
fn a_run_is_extended_again_but_never_shortened() {
    let tiny = finished();
    for (epochs, extended) in [("3", "[[10, 10]]"), ("5", "[[10, 10], [15, 15]]")] {
        tiny.run(&["pretrain", "--resume", "run", "--epochs", epochs]).code(0);
        let config = fs::read_to_string(tiny.path("run/config.toml")).unwrap();
        assert!(config.contains(&format!("extended = {extended}")), "{config}");
    }
    tiny.run(&["pretrain", "--resume", "run", "--epochs", "4"])
        .code(2)
        .says("`optim.epochs` is 5.0 there and 4.0 now");
    tiny.run(&["pretrain", "--resume", "run", "--epochs", "7", "--set", "optim.lr=1e-3"])
        .code(2)
        .says("`optim.lr` is ");
    // Checkpoints from before still belong to the run.
    let first = "run/checkpoints/step-00000005";
    let knn =
        ["eval", "knn", "--checkpoint", first, "--train", "photos:train", "--test", "photos:test"];
    tiny.run(&[&knn[..], &["--resize", "32", "--crop", "32", "--k", "3"]].concat()).code(0);
}
