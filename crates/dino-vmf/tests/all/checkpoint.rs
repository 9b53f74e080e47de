//! Checkpoints of this and of other programs, as a person uses them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixtures::Tiny;

fn golden(name: &str) -> PathBuf {
    Path::new(goldens::folder!()).join("checkpoints").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_run_is_inspected() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    let found = tiny.run(&["checkpoint", "inspect", "run", "--json"]).code(0).last_event();
    assert_eq!((&found["event"], &found["format"]), (&"checkpoint".into(), &"dino-vmf".into()));
    assert_eq!(found["network"]["head"]["prototypes"], 32);
    assert_eq!(found["network"]["heads"], 2, "those of config.toml");
    assert_eq!(found["student"], true);
    let text = tiny.run(&["checkpoint", "inspect", "run"]).code(0).stdout;
    assert!(text.contains("width 16, 2 blocks") && text.contains("32 prototypes"), "{text}");
}

#[goldens::test(checkpoints)]
fn a_checkpoint_of_dino_is_inspected() {
    let tiny = Tiny::new();
    let file = golden("dino.pth");
    let found = tiny.run(&["checkpoint", "inspect", text(&file), "--json"]).code(0).last_event();
    assert_eq!(found["format"], "DINO training checkpoint");
    assert_eq!((&found["key"], &found["epoch"]), (&"teacher".into(), &3.into()));
    let printed = tiny.run(&["checkpoint", "inspect", text(&file)]).code(0).stdout;
    assert!(printed.contains("not used     `optimizer`"), "{printed}");
}

#[goldens::test(checkpoints)]
fn hostile_and_damaged_files_are_refused_in_one_sentence() {
    let tiny = Tiny::new();
    let file = golden("malicious_system.pth");
    let refused = tiny.run(&["checkpoint", "inspect", text(&file)]).code(1);
    refused.says("`posix.system`").says("only tensors and plain data are read");
    let file = golden("truncated.pth");
    tiny.run(&["checkpoint", "inspect", text(&file)])
        .code(1)
        .says("is damaged")
        .says("copy it again");
    fs::write(tiny.path("notes.txt"), "no checkpoint").unwrap();
    tiny.run(&["checkpoint", "inspect", "notes.txt"]).code(1).says("is no checkpoint");
    tiny.run(&["checkpoint", "inspect", "gone.pth"]).code(1).says("cannot read `gone.pth`");
}

#[goldens::test(checkpoints)]
fn checkpoints_of_other_programs_are_evaluated_and_analyzed() {
    let tiny = Tiny::new();
    crate::fixtures::photos(&tiny.path("photos"), 3);
    let eval = |name: &str, more: &[&str]| {
        let file = golden(name);
        let sources = ["--train", "photos:train", "--test", "photos:val", "--k", "2", "--json"];
        tiny.run(&[&["eval", "knn", "--checkpoint", text(&file)], &sources[..], more].concat())
    };
    for name in ["dino.pth", "dino_legacy.pth", "ibot.pth", "teacher_bf16.pth", "backbone_only.pth"]
    {
        let score = eval(name, &["--heads", "2"]).code(0).last_event();
        assert!((0.0..=100.0).contains(&score["top1"].as_f64().unwrap()), "{name}: {score}");
        assert_eq!(score["step"], serde_json::Value::Null);
    }
    eval("dino.pth", &[]).code(1).says("unknown number of attention heads (`--heads N` says it)");
    eval("dino.pth", &["--heads", "3"]).code(1).says("do not divide the width 16");
    eval("dino.pth", &["--heads", "2", "--key", "ema"]).code(1).says("under `ema`");
    let analyze = |what: &[&str], name: &str| {
        let file = golden(name);
        let data = ["--checkpoint", text(&file), "--data", "photos:val", "--heads", "2", "--json"];
        tiny.run(&[&["analyze"], what, &data].concat())
    };
    let mixture = analyze(&["mixture"], "dino.pth").code(0).last_event();
    assert_eq!((&mixture["prototypes"], &mixture["centered"]), (&24.into(), &true.into()));
    let mixture = analyze(&["mixture", "--network", "student"], "dino.pth").code(0).last_event();
    assert_eq!(mixture["centered"], false);
    analyze(&["mixture", "--patches"], "ibot.pth").code(0);
    analyze(&["mixture"], "backbone_only.pth").code(1).says("no projection head").says("eval knn");
    let features = analyze(&["features"], "backbone_only.pth").code(0).last_event();
    assert!(features["backbone"].is_object() && features["bottleneck"].is_null(), "{features}");
    analyze(&["features", "--network", "student"], "backbone_only.pth")
        .code(1)
        .says("has no student");
    let features = |columns: &str, out: &str| {
        let file = golden("backbone_only.pth");
        let given = ["features", "photos:val", "--heads", "2", "--checkpoint", text(&file)];
        tiny.run(&[&given[..], &["--features", columns, "--out", out]].concat())
    };
    features("cls,mean,last-1", "f.parquet").code(0);
    features("head", "f.npy").code(1).says("no projection head");
    tiny.run(&["eval", "knn", "photos", "--data", "photos"]).code(1).says("holds no checkpoint");
    let picture = "photos/val/cat/00.png";
    tiny.run(&["eval", "knn", picture, "--data", "photos"]).code(1).says("is no checkpoint");
}

/// A file with tensors beside those of the network, as adapters have, is refused, and accepted by name.
#[test]
fn extra_tensors_are_refused_unless_they_are_named() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    let run = tiny.run(&["checkpoint", "inspect", "run", "--json"]).code(0).last_event();
    let mut bytes = fs::read(tiny.path(run["path"].as_str().unwrap())).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..end]).unwrap();
    let (start, name) = (bytes.len() - end, "teacher.backbone.blocks.0.attn.qkv.lora_a");
    let offsets = [start, start + 4];
    header[name] = serde_json::json!({ "dtype": "F32", "shape": [1], "data_offsets": offsets });
    let header = serde_json::to_vec(&header).unwrap();
    let file = [&(header.len() as u64).to_le_bytes(), &header[..], &bytes.split_off(end), &[0; 4]];
    fs::write(tiny.path("lora.safetensors"), file.concat()).unwrap();
    crate::fixtures::photos(&tiny.path("photos"), 2);
    let features = |more: &[&str]| {
        let given = ["features", "photos", "--checkpoint", "lora.safetensors", "--heads", "2"];
        tiny.run(&[&given[..], &["--out", "f.npy"], more].concat())
    };
    features(&[]).code(1).says("unexpected: `backbone.blocks.0.attn.qkv.lora_a`");
    features(&["--ignore", "backbone.blocks.0.attn.qkv.lora*"]).code(0);
}

/// A file whose tensors have other names is refused, and accepted by name.
#[goldens::test(checkpoints)]
fn a_renamed_tensor_is_refused_unless_it_is_named() {
    let tiny = Tiny::new();
    crate::fixtures::photos(&tiny.path("photos"), 2);
    let mut bytes = fs::read(golden("dino_legacy.pth")).unwrap();
    while let Some(at) = bytes.windows(10).position(|window| window == b".norm.bias") {
        bytes[at + 9] = b'X';
    }
    fs::write(tiny.path("renamed.pth"), bytes).unwrap();
    let eval = |more: &[&str]| {
        let given = ["eval", "knn", "--checkpoint", "renamed.pth", "--heads", "2", "--k", "1"];
        let sources = ["--train", "photos:train", "--test", "photos:val"];
        tiny.run(&[&given[..], &sources, more].concat())
    };
    eval(&[]).code(1).says("missing: `backbone.norm.bias`; unexpected: `backbone.norm.biaX`");
    let ended = eval(&["--ignore", "backbone.norm.bia*"]).code(0);
    ended.says("tensor `backbone.norm.bias` has its initial values");
}
