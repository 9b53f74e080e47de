//! Somebody's own images without `--preset`: a recipe is chosen, and all commands agree on it.

use std::fs;
use std::path::Path;

use crate::fixtures::{Ended, Tiny};
use image::{DynamicImage, GrayImage, RgbImage};
use serde_json::Value;

/// Writes 24 images of this size, gray or in color.
fn write(folder: &Path, (width, height): (u32, u32), gray: bool) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..24_u32 {
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 5) as u8, (y * 3 + number * 9) as u8, (x + y) as u8])
        });
        let image = DynamicImage::from(image);
        let image: DynamicImage =
            if gray { GrayImage::from(image.to_luma8()).into() } else { image };
        image.save(folder.join(format!("{number:02}.png"))).unwrap();
    }
}

/// The recipe that a command reports with `--json`; `None` if it reports none.
fn recipe(ended: &Ended) -> Option<Value> {
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.into_iter().find(|event| event["event"] == "recipe")
}

/// `pretrain` for two steps, `data preview` and `data inspect` with the same arguments.
fn all_commands(tiny: &Tiny, source: &str, more: &[&str]) -> [Ended; 3] {
    let pretrain = ["pretrain", "--data", source, "--steps", "2", "--out", "run", "--json"];
    let preview = ["data", "preview", source, "--set", "optim.steps=2", "--images", "3", "--json"];
    let inspect = ["data", "inspect", source, "--set", "optim.steps=2", "--json"];
    [&pretrain[..], &preview, &inspect].map(|words| tiny.run(&[words, more].concat()).code(0))
}

#[test]
fn the_file_of_a_preset_trains_as_the_preset() {
    let tiny = Tiny::new();
    for (gray, preset) in [(false, "photos"), (true, "microscopy"), (false, "satellite")] {
        write(&tiny.path("photos"), (60, 44), gray);
        let file = tiny.run(&["config", "--preset", preset]).code(0).stdout;
        fs::write(tiny.path("all.toml"), file).unwrap();
        let trained = |more: &[&str]| {
            let words = ["pretrain", "--data", "photos", "--steps", "1", "--out", "run"];
            tiny.run(&[&words[..], more].concat()).code(0);
            let config = config(&tiny);
            fs::remove_dir_all(tiny.path("run")).unwrap();
            config
        };
        let preset = ["--preset", preset];
        let file = [&preset[..], &["--config", "all.toml"]].concat();
        assert_eq!(trained(&file), trained(&preset));
    }
}

#[test]
fn values_that_rules_start_from_are_checked_before() {
    let tiny = Tiny::new();
    write(&tiny.path("photos"), (60, 44), false);
    for (set, says) in [
        ("model.patch_size=0", "`model.patch_size` is 0 in `--set`, but must be 1 or more"),
        ("model.patch_size=9223372036854775807", "`model.patch_size` is 9223372036854775807"),
        ("data.global_size=0", "`data.global_size` is 0 in `--set`"),
        ("optim.epochs=inf", "`optim.epochs` is inf in `--set`"),
        ("optim.epochs=1e300", "`optim.epochs` is 1"),
        ("optim.batch_size=0", "`optim.batch_size` is 0 in `--set`"),
        ("model.embed_dim=0", "`model.embed_dim` is 0 in `--set`"),
    ] {
        for side in [&[][..], &["--set", "data.global_size=32"]] {
            let side = if set.starts_with("data") { &[] } else { side };
            for command in
                [&["pretrain", "--data"][..], &["plan"], &["data", "inspect"], &["data", "preview"]]
            {
                let words =
                    [command, &["photos", "--set", set, "--set", "model.arch=custom"], side];
                tiny.run(&words.concat()).code(2).says(says);
            }
        }
    }
    assert!(!tiny.path("runs").exists());
}

#[test]
fn every_command_chooses_the_same_recipe() {
    let tiny = Tiny::new();
    write(&tiny.path("photos"), (60, 44), false);
    fs::write(tiny.path("mine.toml"), "[data]\nlocal_crops = 3\n").unwrap();
    for more in [
        &[][..],
        &["--config", "mine.toml"],
        &["--preset", "satellite"],
        &["--set", "data.global_size=24"],
    ] {
        let commands = all_commands(&tiny, "photos", more);
        let recipes = commands.each_ref().map(|ended| recipe(ended).unwrap());
        assert_eq!(recipes[0], recipes[1], "{more:?}");
        assert_eq!(recipes[0], recipes[2], "{more:?}");
        // The crops are equal, too, not only the sentence about them.
        let config = config(&tiny);
        let data = |key: &str| config["data"][key].as_integer().unwrap();
        let [_, preview, inspect] = &commands;
        let shown = preview.last_event();
        let crops = shown["images"][0]["crops"].as_array().unwrap();
        assert_eq!(crops.len() as i64, 2 + data("local_crops"));
        assert_eq!(crops[0]["size"], data("global_size"));
        assert_eq!(crops[2]["size"], data("local_size"));
        let loader = &inspect.last_event()["loader"];
        assert_eq!(
            (&loader["global"], &loader["locals"]),
            (&data("global_size").into(), &data("local_crops").into())
        );
        fs::remove_dir_all(tiny.path("run")).unwrap();
    }
}

fn config(tiny: &Tiny) -> toml::Table {
    toml::from_str(&fs::read_to_string(tiny.path("run/config.toml")).unwrap()).unwrap()
}

#[test]
fn photographs_are_not_trained_with_the_recipe_of_the_built_in_images() {
    let tiny = Tiny::new();
    write(&tiny.path("photos"), (60, 44), false);
    fs::write(tiny.path("mine.toml"), "[optim]\nlr = 1e-3\n").unwrap();
    let words = ["pretrain", "--data", "photos", "--config", "mine.toml", "--steps", "2"];
    tiny.run(&[&words[..], &["--out", "run"]].concat())
        .code(0)
        .says("recipe `photos` for 24 images of about 44 pixels on ")
        .says("choose another by `--preset`, see `dino-vmf presets`");
    let config = config(&tiny);
    assert_eq!(config["optim"]["lr"].as_float(), Some(1e-3));
    assert_eq!(
        config["data"]["global_size"].as_integer(),
        Some(32),
        "not more than the images have"
    );
    assert_eq!(config["data"]["hue"].as_float(), Some(0.2));
    assert_eq!(
        config["optim"]["batch_size"].as_integer(),
        Some(2),
        "eight steps an epoch and more"
    );
    assert!(!tiny.path("runs").exists());
}

#[test]
fn gray_images_get_one_channel_and_no_changes_of_color() {
    let tiny = Tiny::new();
    write(&tiny.path("cells"), (30, 30), true);
    tiny.run(&["pretrain", "--data", "cells", "--steps", "2", "--out", "run"])
        .code(0)
        .says("recipe `microscopy` for 24 images of about 30 pixels in gray on ");
    let data = &config(&tiny)["data"];
    assert_eq!((data["channels"].as_integer(), data["hue"].as_float()), (Some(1), Some(0.0)));
    // Somebody who wants three channels gets them.
    let words =
        ["pretrain", "--data", "cells", "--steps", "2", "--out", "colors", "--channels", "3"];
    tiny.run(&words).code(0);
}

#[test]
fn a_file_that_names_no_images_says_which_preset_it_sits_on() {
    let tiny = Tiny::new();
    fs::write(tiny.path("mine.toml"), "[optim]\nlr = 1e-3\n").unwrap();
    let words = ["data", "preview", "shapes", "--images", "1"];
    let quiet = tiny.run(&words).code(0);
    assert!(!quiet.stderr.contains("shapes-tiny"), "{}", quiet.stderr);
    let sets = ["--set", "eval.train=none", "--set", "eval.test=none", "--steps", "1"];
    tiny.run(&[&["pretrain", "--config", "mine.toml", "--out", "run"][..], &sets].concat())
        .code(0)
        .says("`mine.toml` and the command line name no images")
        .says("preset `shapes-tiny`");
}

#[test]
fn a_resumed_run_keeps_its_settings_whatever_would_be_chosen_now() {
    let tiny = Tiny::new();
    write(&tiny.path("photos"), (60, 44), false);
    let words = ["pretrain", "--data", "photos", "--set", "data.local_crops=2", "--steps", "2"];
    tiny.run(&words).code(0);
    assert!(tiny.path("runs/photos-1/config.toml").is_file());
    // As on another machine, with other choices.
    let path = tiny.path("runs/photos-1/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let checkpoint = tiny.path("runs/photos-1/checkpoints");
    fs::remove_dir_all(&checkpoint).unwrap();
    fs::write(tiny.path("runs/photos-1/run.lock"), "no checkpoint yet\n").unwrap();
    fs::write(&path, text.replace("init_std = 0.12", "init_std = 0.08")).unwrap();
    fs::write(tiny.path("mine.toml"), "[run]\nlog_every_steps = 1\n").unwrap();
    let resume = ["pretrain", "--data", "photos", "--config", "mine.toml", "--resume", "--json"];
    let ended = tiny.run(&resume).code(0);
    assert_eq!(recipe(&ended), None);
    assert_eq!(ended.last_event()["steps"], 2);
    assert!(fs::read_to_string(&path).unwrap().contains("init_std = 0.08"));
}

#[test]
fn presets_are_listed_with_what_they_cost() {
    let tiny = Tiny::new();
    let text = tiny.run(&["presets"]).code(0).stdout;
    for line in ["photos ", "microscopy ", "satellite ", "shapes-tiny ", "1024"] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    let all = tiny.run(&["presets", "--json"]).code(0).stdout;
    for line in all.lines() {
        let preset: Value = serde_json::from_str(line).unwrap();
        for key in ["parameters", "batch_size", "memory_bytes", "global_size"] {
            assert!(preset[key].as_f64().unwrap() > 0.0, "{key} in {preset}");
        }
    }
}

/// Training needs no labels, so a fault of the labelled parts costs the evaluation and not the run.
#[test]
fn parts_that_cannot_be_compared_are_named_and_the_run_goes_on() {
    let tiny = Tiny::new();
    for folder in ["train/cat", "train/dog", "test/cat", "test/dog", "test/owl"] {
        write(&tiny.path("more").join(folder), (40, 40), false);
    }
    for folder in ["train/cat", "train/dog", "test"] {
        write(&tiny.path("unlabelled").join(folder), (40, 40), false);
    }
    let ended = |source: &str| {
        tiny.run(&["pretrain", source, "--steps", "1", "--out", &format!("of-{source}")]).code(0)
    };
    ended("more")
        .says("the run goes on without k-NN: the classes of folder `more/train` (train part) and")
        .says("differ: only the second has `owl`");
    ended("unlabelled")
        .says("nothing is evaluated during training: `unlabelled:test` has no labels")
        .says("--set 'eval.test=\"unlabelled:val\"'");
}

#[test]
fn images_without_parts_are_classified_by_each_other_as_the_hint_says() {
    let tiny = Tiny::new();
    for class in ["cat", "dog"] {
        write(&tiny.path("my photos").join(class), (40, 40), false);
    }
    tiny.run(&["pretrain", "my photos", "--steps", "1", "--out", "a run"]).code(0);
    let hint = "`eval knn CHECKPOINT --leave-one-out 'my photos'` needs no parts";
    tiny.run(&["eval", "knn", "a run", "--data", "my photos"]).code(1).says(hint);
    tiny.run(&["eval", "knn", "a run", "--leave-one-out", "my photos"]).code(0);
}
