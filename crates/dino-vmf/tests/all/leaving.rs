//! However a run ends, its last good step is saved. A refused run leaves no files.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::{Ended, Tiny, metrics, photos, saved_steps, weights};

/// A run whose only regular checkpoint is at its end.
const LONG: [&str; 8] = [
    "--data",
    "photos",
    "--set",
    "run.checkpoint_every_epochs=0",
    "--steps",
    "400",
    "--out",
    "run",
];

fn start(program: &mut Command, tiny: &Tiny, more: &[&str]) -> Child {
    let program = program.args(tiny.arguments(more)).current_dir(tiny.folder.path());
    program.env("NO_COLOR", "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn dino_vmf() -> Command {
    Command::new(env!("CARGO_BIN_EXE_dino-vmf"))
}

/// Waits until the run has done `steps` steps.
fn wait_for_steps(tiny: &Tiny, steps: usize) {
    let start = Instant::now();
    let lines = || fs::read_to_string(tiny.path("run/metrics.jsonl")).unwrap_or_default();
    while lines().lines().count() < steps && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The weights of a run that is not disturbed.
fn undisturbed() -> Vec<u8> {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    tiny.pretrain(&LONG).code(0);
    weights(&tiny.path("run"), 400)
}

/// Starts a run and moves its images to the folder `gone`.
fn without_images() -> (Tiny, Child) {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    let child = start(&mut dino_vmf(), &tiny, &LONG);
    wait_for_steps(&tiny, 5);
    fs::rename(tiny.path("photos"), tiny.path("gone")).unwrap();
    (tiny, child)
}

#[test]
fn images_that_disappear_end_a_run_after_it_is_saved() {
    let whole = undisturbed();
    let (tiny, child) = without_images();
    let ended = Ended::from(child.wait_with_output().unwrap()).code(1);
    let step = *saved_steps(&tiny.path("run")).last().unwrap();
    assert!((5..400).contains(&step), "{step}");
    ended
        .says("neither can the images after it")
        .says("and its folder is gone too")
        .says(&format!("hint: the run is saved after step {step}; `--resume run` goes on"));
    fs::rename(tiny.path("gone"), tiny.path("photos")).unwrap();
    tiny.run(&["pretrain", "--resume", "run"]).code(0).says("resuming after step");
    assert!(whole == weights(&tiny.path("run"), 400));
}

#[test]
fn images_that_are_missing_for_a_moment_change_nothing() {
    let whole = undisturbed();
    let (tiny, child) = without_images();
    thread::sleep(Duration::from_millis(200));
    fs::rename(tiny.path("gone"), tiny.path("photos")).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).code(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    assert!(whole == weights(&tiny.path("run"), 400));
}

#[test]
fn a_run_folder_that_is_moved_or_removed_ends_the_run_with_its_last_step_saved() {
    for removed in [false, true] {
        let tiny = Tiny::new();
        photos(&tiny.path("photos"), 10);
        let more = [&LONG[..], &["--set", "run.checkpoint_every_steps=50"]].concat();
        let child = start(&mut dino_vmf(), &tiny, &more);
        wait_for_steps(&tiny, 5);
        fs::rename(tiny.path("run"), tiny.path("moved")).unwrap();
        if removed {
            fs::remove_dir_all(tiny.path("moved")).unwrap();
        }
        Ended::from(child.wait_with_output().unwrap())
            .code(1)
            .says("error: run folder `run` was moved or removed while the run wrote to it; step ")
            .says("is saved in a new folder, as `run/checkpoints/step-")
            .says("hint: `--resume run` goes on");
        tiny.run(&["pretrain", "--resume", "run"]).code(0).says("resuming after step");
        assert_eq!(saved_steps(&tiny.path("run")).last(), Some(&400));
    }
}

#[test]
fn under_nohup_a_closed_terminal_does_not_end_the_run() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_dino-vmf")]);
    let child = start(&mut shell, &tiny, &LONG);
    wait_for_steps(&tiny, 5);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    Ended::from(child.wait_with_output().unwrap()).code(0).says("step 400/400");
}

#[test]
fn a_file_that_cannot_grow_ends_a_run_after_it_is_saved() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    // 400 units of 1024 bytes are enough for a checkpoint, but not for the metrics of all steps.
    let limited = "ulimit -f 400; exec \"$0\" \"$@\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", limited, env!("CARGO_BIN_EXE_dino-vmf")]);
    let child =
        start(&mut bash, &tiny, &[&LONG[..4], &["--steps", "2000", "--out", "run"]].concat());
    let ended = Ended::from(child.wait_with_output().unwrap()).code(1);
    let step = saved_steps(&tiny.path("run"))[0];
    assert!(step > 100, "{step}");
    ended
        .says("error: cannot write `run/")
        .says(&format!("hint: the run is saved after step {step}; `--resume run` goes on"));
    // No checkpoint is removed for one that is too large in any case.
    let saved = saved_steps(&tiny.path("run"));
    let tight = "ulimit -f 40; exec \"$0\" \"$@\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", tight, env!("CARGO_BIN_EXE_dino-vmf")]).current_dir(tiny.folder.path());
    bash.args(["pretrain", "--resume", "run", "--quiet"]);
    Ended::from(bash.output().unwrap()).code(1);
    assert_eq!(saved_steps(&tiny.path("run")), saved);
    tiny.run(&["pretrain", "--resume", "run", "--quiet"]).code(0);
}

#[test]
fn an_evaluation_that_fails_is_a_warning_and_training_continues() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    fs::write(tiny.path("photos/val/dog/05.png"), b"no image").unwrap();
    // With `data.strict`, the first image that cannot be read ends an evaluation.
    let sets = ["eval.train=photos:train", "eval.test=photos:test", "eval.every_epochs=1"];
    let sets = [&sets[..], &["data.strict=true"]].concat();
    let sets: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let size = ["--set", "eval.crop=32", "--set", "eval.resize=32"];
    let run = ["--data", "photos", "--steps", "5", "--out", "run", "--json"];
    let ended = tiny.pretrain(&[&run[..], &sets, &size].concat()).code(0);
    assert!(ended.last_event()["knn"].is_null(), "{}", ended.stdout);
    ended.says("warning: k-NN of trained features failed at step 2: image `photos/val/dog/05.png`");
    let failed = metrics(&tiny.path("run")).into_iter();
    let failed = failed.filter(|line| line["evaluation_failed"]["features"] == "trained");
    assert_eq!(failed.map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(saved_steps(&tiny.path("run")), [4, 5]);
}

#[test]
fn a_run_resumes_without_its_labelled_images() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    photos(&tiny.path("judge"), 4);
    let sets = ["eval.train=judge:train", "eval.test=judge:test", "run.checkpoint_every_steps=3"];
    let sets: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let size = ["--set", "eval.crop=32", "--set", "eval.resize=32"];
    let run = ["--data", "photos", "--steps", "5", "--out", "run"];
    tiny.pretrain(&[&run[..], &sets, &size].concat()).code(0);
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000005")).unwrap();
    fs::remove_dir_all(tiny.path("judge")).unwrap();
    tiny.run(&["pretrain", "--resume", "run"])
        .code(0)
        .says("warning: the run goes on without k-NN: no data set `judge:train`");
    assert_eq!(saved_steps(&tiny.path("run")), [4, 5]);
}

#[test]
fn skipped_steps_do_not_delete_good_checkpoints() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    let lr = ["optim.lr=1000", "optim.clip_grad=0", "optim.weight_decay=0.9"];
    let sets = [&lr[..], &["run.checkpoint_every_steps=1"]].concat();
    let sets = sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
    let more = [&LONG[..], &sets, &["--json"]].concat();
    let ended = tiny.pretrain(&more).code(1).says("step in a row without a finite number");
    let skipped = ended.stdout.lines().find(|line| line.contains("\"event\":\"skipped\"")).unwrap();
    let skipped: serde_json::Value = serde_json::from_str(skipped).unwrap();
    let first_skipped = skipped["step"].as_u64().unwrap();
    let saved = saved_steps(&tiny.path("run"));
    assert!(!saved.is_empty() && saved.iter().all(|step| *step <= first_skipped), "{saved:?}");
    let newest = dino::checkpoint::load_newest_valid(&tiny.path("run")).unwrap();
    assert_eq!(newest.loaded.unwrap().state.step, *saved.last().unwrap());
}

#[test]
fn a_run_whose_last_steps_are_not_finite_fails_and_keeps_its_last_good_step() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    let diverges = ["optim.lr=1000", "optim.clip_grad=0", "optim.weight_decay=0.9"];
    // Constant schedules, so that runs of different length have the same first steps.
    let constant =
        ["optim.min_lr=31.25", "optim.weight_decay_end=0.9", "optim.teacher_momentum_end=0.98"];
    let sets = diverges.iter().chain(&constant).flat_map(|set| ["--set", set]).collect::<Vec<_>>();
    tiny.pretrain(&[&LONG[..], &sets].concat()).code(1).says("5th step in a row");
    let lines = metrics(&tiny.path("run"));
    let first_skipped = lines.iter().find_map(|line| line["skipped"].as_u64()).unwrap();

    let steps = (first_skipped + 2).to_string();
    let short = [&LONG[..4], &["--steps", &steps, "--out", "short"], &sets].concat();
    tiny.pretrain(&short)
        .code(1)
        .says(&format!("error: the last 2 of {steps} steps were skipped: the loss is NaN"))
        .says(&format!("the weights are those after step {first_skipped}"))
        .says(&format!(
            "hint: `eval` and `analyze` use step {first_skipped} of `short`; train again"
        ));
    assert_eq!(saved_steps(&tiny.path("short")), [first_skipped]);
    // Resuming tries the last steps again. The run does not count as finished.
    tiny.run(&["pretrain", "--resume", "short"]).code(1).says("steps were skipped: ");
}

#[test]
fn a_bad_image_is_listed_once_although_the_run_is_resumed() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    fs::write(tiny.path("photos/train/cat/03.png"), b"no image").unwrap();
    let run = ["--data", "photos", "--steps", "12", "--out", "run"];
    let more = [&run[..], &["--set", "run.checkpoint_every_steps=5"]].concat();
    let ended = tiny.pretrain(&more).code(0);
    assert_eq!(ended.stderr.matches("photos/train/cat/03.png").count(), 1, "{}", ended.stderr);
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000012")).unwrap();
    let resumed = tiny.run(&["pretrain", "--resume", "run"]).code(0);
    assert!(!resumed.stderr.contains("03.png"), "{}", resumed.stderr);
    let list = fs::read_to_string(tiny.path("run/quarantine.jsonl")).unwrap();
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[test]
fn a_refused_run_leaves_no_file_and_no_folder() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 4);
    fs::create_dir(tiny.path("bad")).unwrap();
    for i in 0..16 {
        fs::write(tiny.path(&format!("bad/{i:02}.jpg")), b"\xff\xd8\xff\xe0 no image").unwrap();
    }
    let entries = |name: &str| {
        let entries = fs::read_dir(tiny.path(name)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    tiny.pretrain(&["--data", "photos", "--out", "photos"]).code(2).says("`photos` holds other");
    assert_eq!(entries("photos"), ["train", "val"]);
    tiny.pretrain(&["--data", "photos", "--set", "optim.batch_size=9"])
        .code(1)
        .says("batch_size=8");
    tiny.pretrain(&["--data", "bad", "--steps", "2"]).code(1).says("repair");
    tiny.pretrain(&["--data", "bad", "--steps", "2", "--out", "a/b"]).code(1).says("repair");
    tiny.pretrain(&["--data", "photos", "--set", "model.heads=3", "--out", "a"]).code(2);
    tiny.pretrain(&["--data", "none", "--out", "a", "--resume"]).code(1);
    assert_eq!(entries("."), ["bad", "photos"]);
    fs::create_dir(tiny.path("mine")).unwrap();
    tiny.pretrain(&["--data", "bad", "--steps", "2", "--out", "mine"]).code(1);
    assert!(entries("mine").is_empty(), "a folder that was there stays, empty as it was");
}

#[test]
fn a_run_killed_before_its_first_checkpoint_reports_that_it_starts_again() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    let more = [&LONG[..], &["--resume"]].concat();
    let mut child = start(&mut dino_vmf(), &tiny, &more);
    wait_for_steps(&tiny, 5);
    child.kill().unwrap();
    child.wait().unwrap();
    tiny.pretrain(&more)
        .code(0)
        .says("before its first checkpoint, so it starts again at step 1")
        .says("step 400/400");
}

/// A run whose step takes more than half a minute.
const LONG_STEPS: [&str; 20] = [
    "pretrain",
    "--json",
    "--data",
    "shapes",
    "--preset",
    "dino-vit-s16",
    "--steps",
    "3",
    "--threads",
    "1",
    "--set=optim.accumulate=8",
    "--set",
    "data.local_crops=0",
    "--set",
    "data.global_size=96",
    "--set",
    "model.prototypes=64",
    "--set",
    "optim.batch_size=400",
    "--out=run",
];

/// Sends SIGINT.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Starts the run with long steps and waits until the first one has started.
fn in_a_long_step(tiny: &Tiny) -> Child {
    let mut program = dino_vmf();
    program.args(LONG_STEPS).current_dir(tiny.folder.path());
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"event\":\"plan\"")), "the run started");
    thread::sleep(Duration::from_secs(3));
    child
}

#[test]
fn a_long_step_is_left_and_the_answer_comes_at_once() {
    let tiny = Tiny::new();
    let child = in_a_long_step(&tiny);
    let start = Instant::now();
    interrupt(&child);
    let ended = Ended::from(child.wait_with_output().unwrap()).code(130);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    ended.says("warning: stopping").says("press Ctrl-C again to leave now").says(
        "interrupted before the first step was done; `dino-vmf pretrain --resume run` starts",
    );
    assert!(!tiny.path("run/checkpoints").exists());
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let tiny = Tiny::new();
    let child = in_a_long_step(&tiny);
    let start = Instant::now();
    interrupt(&child);
    thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    Ended::from(child.wait_with_output().unwrap()).code(130);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// The signal that a person sends by Ctrl-C.
#[test]
fn a_linear_probe_that_is_interrupted_prints_what_it_measured_and_goes_on() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    tiny.pretrain(&["--data", "photos", "--steps", "1", "--out", "run"]).code(0);
    let size = ["--resize", "32", "--crop", "32", "--json"];
    let probe = ["eval", "linear", "run", "--data", "photos", "--augment", "--out", "probe"];
    let with = |epochs: &str, out: &str| -> Vec<String> {
        let words = [&probe[..7], &[out, "--rates", "0.1,1", "--epochs", epochs], &size].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let mut program = dino_vmf();
    program.args(with("3000", "probe")).current_dir(tiny.folder.path());
    program.env("NO_COLOR", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = program.spawn().unwrap();
    let (state, start) = (tiny.path("probe/linear.safetensors"), Instant::now());
    while !state.exists() && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).code(130);
    let ended = ended.says("of 3000: the learning rates have not fallen to 0");
    let done = ended.last_event()["epochs_done"].as_u64().unwrap();
    assert!((1..3000).contains(&done), "{done}");
}
