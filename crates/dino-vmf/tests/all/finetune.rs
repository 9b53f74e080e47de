//! `eval finetune` as a person runs it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::fixtures::{Ended, Tiny, command, photos};

/// Few steps at a high rate, in a folder for results.
const SHORT: [&str; 8] =
    ["--epochs", "8", "--batch-size", "8", "--lr", "0.1", "--warmup-epochs", "1"];

/// A run of one step, and two classes of photos that differ in color.
fn run_and_photos() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 20);
    tiny.pretrain(&["--data", "photos", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

fn finetune(tiny: &Tiny, more: &[&str]) -> Ended {
    let all = [&["eval", "finetune", "run", "--data", "photos", "--json"], &SHORT[..], more];
    tiny.run(&all.concat())
}

fn events(ended: &Ended, name: &str) -> Vec<Value> {
    let all = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

#[test]
fn accuracy_rises_and_other_commands_open_the_network() {
    let tiny = run_and_photos();
    let plain = ["--mixup", "0", "--cutmix", "0", "--resize", "36"];
    let ended = finetune(&tiny, &[&plain[..], &["--out", "tuned"]].concat()).code(0);
    ended.says(
        "recipe: mild changes, for few images or a small network; 8 epochs, 40 steps of 8 images",
    );
    let ended = finetune(&tiny, &[&plain[..], &["--out", "other"]].concat()).code(0);
    let ended = ended.says("protocol: BEiT's and iBOT's");
    let epochs = events(&ended, "epoch");
    assert_eq!(epochs.len(), 8);
    let of = |epoch: &Value, key: &str| epoch[key].as_f64().unwrap();
    assert!(of(&epochs[7], "loss") < 0.8 * of(&epochs[0], "loss"), "{epochs:?}");
    let result = ended.last_event();
    assert_eq!((&result["train_images"], &result["test_images"]), (&40.into(), &40.into()));
    let top1 = result["last"]["top1"].as_f64().unwrap();
    assert!(top1 >= 95.0, "{top1} of two classes that differ in color");
    assert_eq!(events(&ended, "step").len(), 40);

    let record: Value =
        serde_json::from_slice(&fs::read(tiny.path("tuned/finetune.json")).unwrap()).unwrap();
    assert_eq!(record["classes"], serde_json::json!(["cat", "dog"]));
    assert_eq!(record["tests"].as_array().unwrap().len(), 8);
    // equal trainings write equal bytes
    for name in ["model.safetensors", "best.safetensors", "finetune.json"] {
        let [a, b] =
            ["tuned", "other"].map(|folder| fs::read(tiny.path(folder).join(name)).unwrap());
        assert_eq!(a, b, "{name}");
    }
    let knn = |checkpoint: &str| {
        let ended = tiny
            .run(&["eval", "knn", checkpoint, "--data", "photos", "--k", "5", "--json"])
            .code(0);
        ended.last_event()["top1"].as_f64().unwrap()
    };
    assert!(knn("tuned") >= 95.0 && knn("tuned/best.safetensors") >= 95.0);
    let inspected = tiny.run(&["checkpoint", "inspect", "tuned"]).code(0).stdout;
    assert!(inspected.contains("shorter side 36, center crop of 32 pixels"), "{inspected}");
    // and fine-tuning goes on from it
    let again =
        ["eval", "finetune", "tuned", "--data", "photos", "--epochs", "1", "--features", "mean"];
    let text = tiny.run(&again).code(0).says("mean of the patches").stdout;
    assert!(text.contains("fine-tuning, percent of 40 test images; 40 training images"), "{text}");
}

#[test]
fn a_file_of_another_program_is_fine_tuned() {
    let tiny = run_and_photos();
    tiny.run(&["convert", "run", "run.pth", "--to", "timm"]).code(0);
    let sets = ["--train", "photos:train", "--test", "photos:test", "--json"];
    let from = |checkpoint: &[&str]| {
        let all = [&["eval", "finetune"], checkpoint, &sets, &SHORT, &["--resize", "32"]];
        tiny.run(&all.concat()).code(0).last_event()["last"].clone()
    };
    assert_eq!(from(&["run"]), from(&["run.pth", "--heads", "2"]));
}

#[test]
fn other_images_or_labels_are_not_gone_on_with() {
    let tiny = run_and_photos();
    let go_on = || {
        let base = ["eval", "finetune", "run", "--data", "photos", "--epochs", "1"];
        tiny.run(&[&base[..], &["--out", "tuned", "--resume"]].concat())
    };
    go_on().code(0);
    let swap = |part: &str| {
        let at = |name: &str| tiny.path(&format!("photos/{part}/{name}"));
        for (from, to) in [("cat", "other"), ("dog", "cat"), ("other", "dog")] {
            fs::rename(at(from), at(to)).unwrap();
        }
    };
    for (part, what) in [("train", "training"), ("val", "test")] {
        swap(part);
        let refused = format!("the {what} images or their labels are not those that `tuned` was");
        go_on().code(1).says(&refused);
        swap(part);
    }
    // They may lie elsewhere.
    fs::rename(tiny.path("photos"), tiny.path("moved")).unwrap();
    let sets = ["--train", "moved:train", "--test", "moved:val", "--epochs", "1"];
    let more = ["--out", "tuned", "--resume"];
    tiny.run(&[&["eval", "finetune", "run"], &sets[..], &more].concat()).code(0);
}

#[test]
fn test_images_that_cannot_be_read_are_not_counted() {
    let tiny = run_and_photos();
    fs::write(tiny.path("photos/val/cat/broken.png"), "no image").unwrap();
    let counts = |words: &[&str]| {
        let found =
            tiny.run(&[words, &["--data", "photos", "--json"]].concat()).code(0).last_event();
        ["train_images", "test_images"].map(|key| found[key].as_u64().unwrap())
    };
    assert_eq!(counts(&["eval", "finetune", "run", "--epochs", "1"]), [40, 40]);
    assert_eq!(counts(&["eval", "knn", "run", "--k", "1"]), [40, 40]);
}

#[test]
fn test_images_that_are_trained_on_are_counted() {
    let tiny = run_and_photos();
    let tune = |train: &str| {
        let sets = ["--train", train, "--test", "photos:train", "--epochs", "1"];
        tiny.run(&[&["eval", "finetune", "run"], &sets[..]].concat()).code(0)
    };
    tune("photos:train").says("40 of 40 images to classify are also images to learn from");
    let other = tune("photos:val");
    assert!(!other.stderr.contains("are also images"), "{}", other.stderr);
}

#[test]
fn everything_can_be_turned_on_and_threads_change_nothing() {
    let tiny = run_and_photos();
    let with = |threads: &str| {
        let changes =
            ["--rand-augment", "9", "--mixup", "0.8", "--cutmix", "1", "--erasing", "0.25"];
        let others =
            ["--clip", "1", "--accumulate", "2", "--test-every", "3", "--recipe", "strong"];
        let more = [&changes[..], &others, &["--threads", threads, "--out", threads]].concat();
        let ended = finetune(&tiny, &more).code(0).says("8 images in 2 parts");
        ended.says("mixup 0.8, CutMix 1, RandAugment 9, erasing 0.25");
        let epochs = fs::read(tiny.path(threads).join("finetune.json")).unwrap();
        let tests = serde_json::from_slice::<Value>(&epochs).unwrap()["tests"].clone();
        let tested: Vec<u64> =
            tests.as_array().unwrap().iter().map(|test| test["epoch"].as_u64().unwrap()).collect();
        assert_eq!(tested, [3, 6, 8]);
        fs::read(tiny.path(threads).join("model.safetensors")).unwrap()
    };
    assert_eq!(with("1"), with("2"));
}

#[test]
fn a_signal_saves_and_the_same_command_goes_on() {
    let tiny = run_and_photos();
    let long =
        ["eval", "finetune", "run", "--data", "photos", "--epochs", "100000", "--out", "tuned"];
    let mut child = Command::new(command().get_program())
        .args(long)
        .current_dir(tiny.folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while !tiny.path("tuned/best.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let ended = Ended::from(child.wait_with_output().unwrap()).code(130).says("stopping");
    let step = ended.stderr.split("interrupted after step ").nth(1).unwrap();
    let step = step.split(';').next().unwrap();
    assert!(ended.stderr.contains("with `--resume` goes on"), "{}", ended.stderr);
    let saved = tiny.path(&format!("tuned/state/checkpoints/step-{step:0>8}/model.safetensors"));
    assert!(saved.is_file(), "{}", saved.display());
    let occupied = tiny.run(&long).code(1);
    occupied.says("continue it by `--resume`");
    let other = [&long[..], &["--resume", "--lr", "0.5"]].concat();
    tiny.run(&other).code(1).says("`settings.lr`");
}

#[test]
fn a_command_that_cannot_work_says_why() {
    let tiny = run_and_photos();
    finetune(&tiny, &["--resume"]).code(2).says("--out");
    let base = ["eval", "finetune", "run", "--data", "photos"];
    let with = |more: &[&str]| tiny.run(&[&base[..], more].concat());
    with(&["--batch-size", "41"]).code(1).says("40 training images, but one step needs 41");
    with(&["--epochs", "0"]).code(2);
    with(&["--lr", "-1"]).code(1).says("the learning rate is -1, but must lie above 0");
    with(&["--drop-path", "1"]).code(1).says("drop path is 1");
    photos(&tiny.path("others"), 2);
    fs::rename(tiny.path("others/val/cat"), tiny.path("others/val/cow")).unwrap();
    let sets = ["eval", "finetune", "run", "--train", "photos:train", "--test", "others:test"];
    tiny.run(&sets).code(1).says("only the first has `cat`, only the second has `cow`");
    fs::create_dir(tiny.path("mine")).unwrap();
    fs::write(tiny.path("mine/notes.txt"), "mine").unwrap();
    for more in [&["--out", "mine"][..], &["--out", "mine", "--resume"]] {
        with(more).code(1).says("is not empty and holds no fine-tuning: name another folder");
    }
    let left: Vec<_> = fs::read_dir(tiny.path("mine")).unwrap().flatten().collect();
    assert!(left.len() == 1 && tiny.path("mine/notes.txt").is_file(), "{left:?}");
}
