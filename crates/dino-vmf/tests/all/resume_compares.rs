//! A resumed or evaluated run is compared with its checkpoint: settings, images, folders.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use crate::fixtures::{Tiny, command, metrics, photos, saved_steps, weights};
use dino::checkpoint::{self, Retention, Tensor};

const RUN: [&str; 6] =
    ["--data", "photos", "--steps", "12", "--set", "run.checkpoint_every_steps=5"];

/// Trains a run of 12 steps on 20 images, with checkpoints at steps 10 and 12.
fn trained() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    tiny.pretrain(&[&RUN[..], &["--out", "run"]].concat()).code(0);
    assert_eq!(saved_steps(&tiny.path("run")), [10, 12]);
    tiny
}

/// Deletes the last checkpoint, so that a resumed run has steps left.
fn step_back(tiny: &Tiny) {
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000012")).unwrap();
}

fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(path).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

fn knn(tiny: &Tiny) -> crate::fixtures::Ended {
    let (train, test) = ("photos:train", "photos:test");
    let knn = ["eval", "knn", "--checkpoint", "run", "--train", train, "--test", test];
    tiny.run(&[&knn[..], &["--resize", "32", "--crop", "32", "--k", "3"]].concat())
}

fn features(tiny: &Tiny) -> crate::fixtures::Ended {
    tiny.run(&["analyze", "features", "--checkpoint", "run", "--data", "photos"])
}

/// A change of the images, and the message about it.
type Change<'a> = (&'a dyn Fn(&Tiny), &'a str);

#[test]
fn changed_images_are_refused_unless_a_flag_allows_and_records_them() {
    let class = "photos/train/cat";
    let fewer = |tiny: &Tiny| fs::remove_file(tiny.path(class).join("04.png")).unwrap();
    let more = |tiny: &Tiny| {
        fs::copy(tiny.path(class).join("04.png"), tiny.path(class).join("04b.png")).unwrap();
    };
    let renamed = |tiny: &Tiny| {
        fs::rename(tiny.path(class).join("04.png"), tiny.path(class).join("04b.png")).unwrap();
    };
    let replaced = |tiny: &Tiny| {
        for i in 0..10 {
            let other = tiny.path(&format!("photos/train/dog/{i:02}.png"));
            fs::copy(other, tiny.path(class).join(format!("{i:02}.png"))).unwrap();
        }
    };
    let changes: [Change<'_>; 4] = [
        (&fewer, "there were 20 and now there are 19"),
        (&more, "there were 20 and now there are 21"),
        (&renamed, "not all of the 20 have the names they had"),
        (&replaced, "`photos/train/cat/00.png` has another content"),
    ];
    for (change, words) in changes {
        let tiny = trained();
        step_back(&tiny);
        change(&tiny);
        let before = content(&tiny.path("run"));
        tiny.run(&["pretrain", "--resume", "run"])
            .code(2)
            .says("run `run` was trained on other images than those of folder `photos/train`")
            .says(words)
            .says("--allow-data-change");
        assert!(before == content(&tiny.path("run")), "a refusal changes nothing");
        tiny.run(&["pretrain", "--resume", "run", "--allow-data-change"])
            .code(0)
            .says("warning: the run goes on with other images: ")
            .says("step 12/12");
        let lines = metrics(&tiny.path("run"));
        let change = lines.iter().find(|line| !line["data_change"].is_null()).unwrap();
        assert_eq!(
            (&change["step"], &change["data_change"]["difference"]),
            (&10.into(), &words.into())
        );
        tiny.run(&["pretrain", "--resume", "run"]).code(0);
    }
}

#[test]
fn a_run_with_a_moved_data_set_ends_with_the_same_bits() {
    let tiny = trained();
    let whole = weights(&tiny.path("run"), 12);
    step_back(&tiny);
    fs::create_dir(tiny.path("disk")).unwrap();
    fs::rename(tiny.path("photos"), tiny.path("disk/pictures")).unwrap();
    tiny.run(&["pretrain", "--resume", "run"]).code(1).says("no data set `photos`");
    tiny.run(&["pretrain", "--resume", "run", "--data", "disk/pictures"])
        .code(0)
        .says("resuming after step 10");
    assert!(whole == weights(&tiny.path("run"), 12));
    step_back(&tiny);
    tiny.run(&["pretrain", "--resume", "run"]).code(0).says("resuming after step 10");
    assert!(whole == weights(&tiny.path("run"), 12));
}

#[test]
fn a_run_can_be_resumed_from_another_working_directory() {
    let tiny = trained();
    let whole = weights(&tiny.path("run"), 12);
    step_back(&tiny);
    fs::create_dir(tiny.path("elsewhere")).unwrap();
    let mut command = command();
    command.current_dir(tiny.path("elsewhere")).args(["pretrain", "--resume", "../run"]);
    crate::fixtures::Ended::from(command.output().unwrap()).code(0).says("resuming after step 10");
    assert!(whole == weights(&tiny.path("run"), 12));
}

#[test]
fn settings_that_change_no_result_can_change_on_resuming() {
    let tiny = trained();
    let whole = weights(&tiny.path("run"), 12);
    step_back(&tiny);
    let sets = ["eval.train=photos:train", "eval.test=photos:test", "eval.k=[3]", "eval.crop=32"];
    let more = ["eval.resize=32", "run.checkpoint_every_steps=1", "run.log_every_steps=2"];
    let sets = sets.iter().chain(&more).flat_map(|set| ["--set", set]);
    let resume = ["pretrain", "--resume", "run", "--json"];
    let ended = tiny.run(&resume.into_iter().chain(sets).collect::<Vec<_>>()).code(0);
    assert!(ended.last_event()["knn"]["trained"].is_number(), "{}", ended.stdout);
    assert!(whole == weights(&tiny.path("run"), 12));
    tiny.run(&["pretrain", "--resume", "run", "--set", "optim.lr=0.1"])
        .code(2)
        .says("belongs to another configuration: `optim.lr` is ");
}

#[test]
fn a_checkpoint_of_another_run_is_refused_wherever_it_is_read() {
    for (change, words) in [
        (["--seed", "5"], "`seed` is 5 in the checkpoint and 0 in `config.toml`"),
        (
            ["--set", "optim.lr=0.1"],
            "`optim.lr` is 0.1 in the checkpoint and 0.004 in `config.toml`",
        ),
        (["--set", "data.mean=[0.5,0.5,0.5]"], "`data.mean` is [0.5, 0.5, 0.5] in the checkpoint"),
    ] {
        let tiny = trained();
        tiny.pretrain(&[&RUN[..], &["--out", "other"], &change].concat()).code(0);
        fs::remove_dir_all(tiny.path("run/checkpoints")).unwrap();
        fs::rename(tiny.path("other/checkpoints"), tiny.path("run/checkpoints")).unwrap();
        let refused = |ended: crate::fixtures::Ended| {
            ended
                .code(1)
                .says(words)
                .says("error: checkpoint `run/checkpoints/step-00000012` was not saved")
        };
        refused(tiny.run(&["pretrain", "--resume", "run"]));
        refused(knn(&tiny));
        refused(features(&tiny));
    }
}

#[test]
fn a_changed_bit_in_the_configuration_is_found() {
    let tiny = trained();
    let path = tiny.path("run/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("student_temp = 0.1", "student_temp = 0.3")).unwrap();
    let words = "`objective.student_temp` is 0.1 in the checkpoint and 0.3 in `config.toml`";
    tiny.run(&["pretrain", "--resume", "run"]).code(1).says(words);
    knn(&tiny).code(1).says(words);
    features(&tiny).code(1).says(words);
}

#[test]
fn evaluations_print_which_checkpoint_they_use() {
    let tiny = trained();
    knn(&tiny).code(0).says("checkpoint `run/checkpoints/step-00000012`, step 12");
    let newest = tiny.path("run/checkpoints/step-00000012/model.safetensors");
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    for ended in [knn(&tiny), features(&tiny)] {
        ended
            .code(0)
            .says("warning: checkpoint `run/checkpoints/step-00000012` is not used: ")
            .says("checkpoint `run/checkpoints/step-00000010`, step 10");
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let tiny = trained();
    let run = tiny.path("run");
    fs::remove_dir_all(tiny.path("run/checkpoints/step-00000010")).unwrap();
    let loaded = checkpoint::load(&checkpoint::path_of(&run, 12)).unwrap();
    let named = loaded.tensors.names().map(|name| {
        let shape = loaded.tensors.shape(name).unwrap().to_vec();
        let mut values = loaded.tensors.get(name, &shape).unwrap();
        if name == "student.backbone.cls_token" {
            values[0] = f32::NAN;
        }
        (name.to_owned(), shape, values)
    });
    let named: Vec<_> = named.collect();
    let tensors: Vec<_> = named
        .iter()
        .map(|(name, shape, values)| Tensor { name: name.clone(), shape: shape.clone(), values })
        .collect();
    checkpoint::save(&run, &tensors, &loaded.state, Retention::default()).unwrap();
    let words = "tensor `student.backbone.cls_token` in `run/checkpoints/step-00000012/model.safetensors` \
                 has the value NaN";
    tiny.run(&["pretrain", "--resume", "run"]).code(1).says(words);
    knn(&tiny).code(1).says(words);
    features(&tiny).code(1).says(words);
}

#[test]
fn an_unreadable_checkpoint_is_neither_renamed_nor_replaced_by_an_older_one() {
    let tiny = trained();
    let state = tiny.path("run/checkpoints/step-00000012/state.json");
    let whole = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(&state, &state).unwrap();
    tiny.run(&["pretrain", "--resume", "run"])
        .code(1)
        .says("error: cannot read `run/checkpoints/step-00000012/state.json`")
        .says("hint: it may be whole");
    knn(&tiny).code(1).says("cannot read `run/checkpoints/step-00000012/state.json`");
    fs::remove_file(&state).unwrap();
    fs::write(&state, whole).unwrap();
    tiny.run(&["pretrain", "--resume", "run", "--json"]).code(0);
    assert_eq!(saved_steps(&tiny.path("run")), [10, 12]);
}

#[test]
fn a_run_whose_checkpoints_are_gone_is_refused() {
    let tiny = trained();
    fs::remove_dir_all(tiny.path("run/checkpoints")).unwrap();
    for _ in 0..2 {
        tiny.run(&["pretrain", "--resume", "run"])
            .code(1)
            .says("run `run` has no checkpoint, but it had one: `metrics.jsonl` goes up to step 12")
            .says("hint: bring the folder `checkpoints` back");
    }
}

#[test]
fn resume_without_a_run_is_an_error_with_a_hint() {
    let tiny = Tiny::new();
    let words = "there is nothing to resume: no folder in `runs` holds a run";
    tiny.run(&["pretrain", "--resume"]).code(2).says(words).says("leave out `--resume`");
    tiny.run(&["pretrain", "--data", "no/such"]).code(1);
    tiny.run(&["pretrain", "--resume"]).code(2).says(words);
    assert!(!tiny.path("runs").exists());
    tiny.pretrain(&[
        "--preset",
        "cifar10-tiny",
        "--data",
        "shapes",
        "--steps",
        "2",
        "--set",
        "model.patch_size=4",
    ])
    .code(0);
    tiny.run(&["pretrain", "--resume", "--preset", "shapes-tiny"])
        .code(2)
        .says("no folder `runs/shapes-tiny-<n>` holds a run")
        .says("hint: the only run is runs/cifar10-tiny-1: `--resume runs/cifar10-tiny-1`");
}
