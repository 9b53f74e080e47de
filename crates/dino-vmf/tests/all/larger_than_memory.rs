//! Evaluations of features that do not fit into memory: they go into a temporary file, and give the same numbers.

use std::fs;

use crate::fixtures::{Ended, Tiny, command};

/// A run, and a folder of three classes that differ in color.
fn run_and_colors() -> Tiny {
    let tiny = Tiny::new();
    for (part, count) in [("train", 12u8), ("val", 4), ("test", 6)] {
        for (class, color) in
            [("blue", [20u8, 20, 200]), ("green", [20, 200, 20]), ("red", [200, 20, 20])]
        {
            let folder = tiny.path(&format!("colors/{part}/{class}"));
            fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let color = color.map(|value| value.wrapping_add(7 * i + part.len() as u8));
                let image = image::RgbImage::from_pixel(32, 32, image::Rgb(color));
                image.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
    tiny.pretrain(&["--data", "colors:train", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

/// Runs a command on a machine with this free memory in GiB.
fn with_memory(tiny: &Tiny, words: &[&str], gib: f64, disk: &str) -> Ended {
    let mut command = command();
    command.env("DINO_VMF_MEMORY", gib.to_string()).env("DINO_VMF_DISK", disk);
    command.current_dir(tiny.folder.path()).args(words).output().unwrap().into()
}

const ON_DISK: &str = "they are kept in a temporary file in";

/// The free memory into which all but the features of a command fits.
fn memory_without_features(tiny: &Tiny, words: &[&str]) -> f64 {
    let (mut refused, mut enough) = (0.0, 4.0);
    for _ in 0..40 {
        let gib = 0.5 * (refused + enough);
        let ended = with_memory(tiny, words, gib, "off");
        if ended.code == Some(2) {
            refused = gib;
        } else if ended.stderr.contains(ON_DISK) {
            return gib;
        } else {
            enough = gib;
        }
    }
    panic!("no free memory between {refused} and {enough} GiB sends features to the disk")
}

#[test]
fn features_that_do_not_fit_into_memory_give_the_same_scores_from_the_disk() {
    let tiny = run_and_colors();
    let data = ["--data", "colors", "--json"];
    for words in [
        &["eval", "linear", "run", "--epochs", "3", "--batch-size", "16"][..],
        &["eval", "linear", "run", "--epochs", "2", "--augment"],
        &["eval", "logistic", "run"],
        &["eval", "fewshot", "run", "--shots", "1,5"],
        &["eval", "knn", "run", "--k", "1,3", "--baselines"],
        &["eval", "transfer", "run", "--resize", "32", "--crop", "32"],
    ] {
        let words = [words, &data].concat();
        let in_memory = tiny.run(&words).code(0);
        assert!(!in_memory.stderr.contains(ON_DISK), "{words:?}: {}", in_memory.stderr);
        let gib = memory_without_features(&tiny, &words);
        let on_disk = with_memory(&tiny, &words, gib, "off").code(0).says("`TMPDIR`");
        assert_eq!(on_disk.stdout, in_memory.stdout, "{words:?}");
        with_memory(&tiny, &words, gib, "0").code(2).says("0 KiB are free there");
    }
}

#[test]
fn a_suite_and_leave_one_out_keep_features_on_the_disk() {
    let tiny = run_and_colors();
    let knn = ["eval", "knn", "run", "--k", "1", "--leave-one-out", "colors:test", "--json"];
    let gib = memory_without_features(&tiny, &knn);
    let on_disk = with_memory(&tiny, &knn, gib, "off").code(0);
    assert_eq!(on_disk.stdout, tiny.run(&knn).code(0).stdout);

    let tasks = "['knn', 'linear', 'logistic', 'fewshot']";
    let data = "[[data]]\nname = 'colors'\ntrain = 'colors:train'\ntest = 'colors:test'\ncrop = 32";
    fs::write(tiny.path("suite.toml"), format!("{data}\nresize = 32\ntasks = {tasks}\n")).unwrap();
    let suite = ["eval", "all", "--suite", "suite.toml", "--checkpoint", "run", "--out", "out"];
    let cells = || {
        let text = fs::read(tiny.path("out/suite.json")).unwrap();
        fs::remove_dir_all(tiny.path("out")).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&text).unwrap();
        found["cells"].clone()
    };
    tiny.run(&suite).code(0);
    let in_memory = cells();
    // A cell that fails has a note, and the command another exit code.
    let (mut refused, mut enough) = (0.0, 4.0);
    let ended = loop {
        let gib = 0.5 * (refused + enough);
        let ended = with_memory(&tiny, &suite, gib, "off");
        if ended.stderr.contains(ON_DISK) {
            break ended;
        }
        *(if ended.code == Some(0) { &mut enough } else { &mut refused }) = gib;
        fs::remove_dir_all(tiny.path("out")).unwrap();
        assert!(enough - refused > 1e-9, "features never go to the disk");
    };
    ended.code(0);
    assert_eq!(cells(), in_memory);
}
