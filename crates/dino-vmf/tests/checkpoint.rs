//! Checkpoints of this and of other programs, as a person uses them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixtures;

use std::fs;
use std::path::{Path, PathBuf};

use fixtures::Tiny;

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
