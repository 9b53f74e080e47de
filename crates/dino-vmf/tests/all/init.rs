//! Runs that start from a checkpoint, as a person starts them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixtures::{Ended, Tiny};
use safetensors::SafeTensors;
use serde_json::Value;

/// Bytes of tensors, by name without `teacher.`.
fn teacher(run: &Path, step: u64, part: &str) -> Vec<(String, Vec<u8>)> {
    let bytes =
        fs::read(run.join(format!("checkpoints/step-{step:08}/model.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let prefix = format!("teacher.{part}");
    let mut found: Vec<_> = tensors
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec()))
        .collect();
    found.sort_unstable();
    assert!(!found.is_empty(), "no {prefix}");
    found
}

fn golden(name: &str) -> PathBuf {
    Path::new(goldens::folder!()).join("checkpoints").join(name)
}

/// A folder with photographs, and a run of the small network.
fn start() -> Tiny {
    let tiny = Tiny::new();
    crate::fixtures::photos(&tiny.path("photos"), 8);
    tiny.pretrain(&["--data", "photos", "--steps", "2", "--method", "dino", "--out", "first"])
        .code(0);
    tiny
}

/// A run from `checkpoint` on the photographs, of which only what is given is set.
fn from(tiny: &Tiny, checkpoint: &str, more: &[&str]) -> Ended {
    let given = ["pretrain", "photos", "--init", checkpoint, "--batch-size", "8"];
    tiny.run(&[&given[..], &["--set", "data.local_crops=2"], more].concat())
}

fn config(tiny: &Tiny, run: &str) -> toml::Table {
    fs::read_to_string(tiny.path(run).join("config.toml")).unwrap().parse().unwrap()
}

fn lines(tiny: &Tiny, run: &str, key: &str) -> Vec<Value> {
    let text = fs::read_to_string(tiny.path(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get(key).is_some()).collect()
}

#[test]
fn a_run_goes_on_from_another_with_its_heads() {
    let tiny = start();
    let ended = from(&tiny, "first", &["--steps", "2", "--out", "second"]).code(0);
    ended.says("its backbone, heads and centers").says("optim.backbone_lr");
    let config = config(&tiny, "second");
    assert_eq!(config["model"]["embed_dim"].as_integer(), Some(16));
    assert_eq!(config["model"]["prototypes"].as_integer(), Some(32));
    assert_eq!(config["objective"]["method"].as_str(), Some("dino"));
    assert_eq!(config["data"]["global_size"].as_integer(), Some(24));
    assert_eq!(config["data"]["local_size"].as_integer(), Some(16), "12, in patches of 8");
    assert_eq!(config["optim"]["freeze_backbone_epochs"].as_float(), Some(0.0));
    let guard = lines(&tiny, "second", "guard");
    assert_eq!((&guard[0]["step"], &guard[0]["guard"]["best_step"]), (&0.into(), &0.into()));
    assert!(guard.len() >= 2, "{guard:?}");
}

#[test]
fn a_dino_head_becomes_a_mixture_of_von_mises_fisher_distributions() {
    let tiny = start();
    let more = ["--steps", "1", "--method", "dino-vmf", "--lr", "1e-12", "--out", "second"];
    from(&tiny, "first", &more).code(0);
    let config = config(&tiny, "second");
    assert_eq!(config["objective"]["prototype_norm"].as_str(), Some("vmf"));
    // With this learning rate the norms are those of the head that the run started from.
    let head = "head.last_layer.weight_g";
    let norms = |run: &str, step| -> Vec<f32> {
        let found = teacher(&tiny.path(run), step, head);
        let bytes = found[0].1.as_chunks().0;
        bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let (before, after) = (norms("first", 2), norms("second", 1));
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-5), "{before:?} {after:?}");
}

#[test]
fn fresh_heads_warm_up_on_a_frozen_backbone() {
    let tiny = start();
    let fresh = ["--set", "init.fresh_heads=true", "--prototypes", "64"];
    let length = ["--set", "optim.freeze_backbone_epochs=1", "--steps", "3", "--lr", "1"];
    let saved = ["--set", "run.checkpoint_every_steps=2", "--out", "second"];
    let ended = from(&tiny, "first", &[&fresh[..], &length, &saved].concat()).code(0);
    ended.says("fresh heads warm up");
    let [first, second] = ["first", "second"].map(|run| tiny.path(run));
    // An epoch has two steps.
    let close = |a: &[u8], b: &[u8]| {
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        floats(a).iter().zip(floats(b)).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs())
    };
    let start = teacher(&first, 2, "backbone.");
    let frozen = teacher(&second, 2, "backbone.");
    assert!(start.iter().zip(&frozen).all(|(a, b)| a.0 == b.0 && close(&a.1, &b.1)));
    let after = teacher(&second, 3, "backbone.");
    assert!(!start.iter().zip(&after).all(|(a, b)| close(&a.1, &b.1)));
}

#[test]
fn settings_that_do_not_fit_the_checkpoint_are_refused_by_name() {
    let tiny = start();
    let refused = from(&tiny, "first", &["--patch-size", "16"]).code(2);
    refused.says("`model.patch_size` is 16 in `--patch-size`, but must be 8, as in the checkpoint");
    let refused = from(&tiny, "first", &["--set", "model.prototypes=64"]).code(2);
    refused.says("`model.prototypes` is 64").says("32, as in the checkpoint");
    let refused = from(&tiny, "first", &["--arch", "vit_tiny"]).code(2);
    refused.says("`model.arch` is \"vit_tiny\" in `--arch`, but must have `model.embed_dim` = 16");
    from(&tiny, "nowhere", &[]).code(1).says("there is no `nowhere`: expected a run folder");
    from(&tiny, "photos", &[]).code(1).says("`photos` holds no checkpoint");
    assert!(!tiny.path("runs").exists());
}

#[test]
fn a_resumed_run_has_the_same_bits_and_needs_the_checkpoint_no_more() {
    let tiny = start();
    let more = ["--steps", "4", "--set", "run.checkpoint_every_steps=2", "--out", "second"];
    from(&tiny, "first", &more).code(0);
    let second = tiny.path("second");
    let (whole, guard) = (teacher(&second, 4, ""), lines(&tiny, "second", "guard"));
    fs::remove_dir_all(second.join("checkpoints/step-00000004")).unwrap();
    fs::remove_dir_all(tiny.path("first")).unwrap();
    tiny.run(&["pretrain", "--resume", "second"]).code(0);
    assert!(teacher(&second, 4, "") == whole);
    assert_eq!(lines(&tiny, "second", "guard"), guard);
}

#[test]
fn worse_features_end_a_run_that_asks_for_it() {
    let tiny = start();
    let fast = ["--lr", "300", "--set", "optim.backbone_lr=1", "--set", "optim.warmup_epochs=0"];
    let quick = ["--set", "optim.teacher_momentum=0", "--set", "optim.teacher_momentum_end=0"];
    let stop = ["--set", "init.guard=stop", "--epochs", "3", "--out", "second"];
    let unlabelled = ["--set", "eval.train=none", "--set", "eval.test=none"];
    let all = [&fast[..], &quick, &stop, &unlabelled].concat();
    from(&tiny, "first", &all)
        .code(1)
        .says("features are worse than those that the run started from");
    let path = tiny.path("second/start.json");
    let record = fs::read_to_string(&path).unwrap();
    assert!(record.contains("first"), "{record}");
    // A run cannot compare without the record, and does not hide it.
    let resume = ["pretrain", "--resume", "second"];
    fs::write(&path, &record[..20]).unwrap();
    tiny.run(&resume).code(1).says("without this file features are not compared with those");
    fs::remove_file(&path).unwrap();
    let ended = tiny.run(&resume);
    ended.says("`start.json` is not in the run folder, so features are not compared with those");
}

#[goldens::test(checkpoints)]
fn training_goes_on_from_checkpoints_of_dino_and_ibot() {
    let tiny = Tiny::new();
    crate::fixtures::photos(&tiny.path("photos"), 8);
    for (name, method, what) in [
        ("dino.pth", "dino", "heads and centers"),
        ("ibot.pth", "ibot", "heads and centers"),
        ("backbone_only.pth", "dino-vmf", "fresh heads"),
    ] {
        let file = golden(name);
        let more = ["--heads", "2", "--steps", "1", "--out", name];
        from(&tiny, file.to_str().unwrap(), &more).code(0).says(what);
        assert_eq!(config(&tiny, name)["objective"]["method"].as_str(), Some(method), "{name}");
    }
    let file = golden("dino.pth");
    let more = ["--heads", "2", "--steps", "1", "--key", "student", "--out", "student"];
    from(&tiny, file.to_str().unwrap(), &more).code(0);
    let (student, teacher) =
        (teacher(&tiny.path("student"), 1, ""), teacher(&tiny.path("dino.pth"), 1, ""));
    assert!(student != teacher);
    let mut bytes = fs::read(golden("dino_legacy.pth")).unwrap();
    while let Some(at) = bytes.windows(10).position(|window| window == b".norm.bias") {
        bytes[at + 9] = b'X';
    }
    fs::write(tiny.path("renamed.pth"), bytes).unwrap();
    let more = ["--heads", "2", "--steps", "1", "--out", "renamed"];
    from(&tiny, "renamed.pth", &more).code(1).says("missing: `backbone.norm.bias`");
    let ignored = [&more[..], &["--ignore", "backbone.norm.bia*"]].concat();
    from(&tiny, "renamed.pth", &ignored).code(0).says("has its initial values");
}
