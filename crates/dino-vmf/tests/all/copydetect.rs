//! `eval copydetect` as a person runs it.

use std::fs;

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::fixtures::Tiny;

/// Stripes in one of two directions, `side` pixels wide and high; the stripes grow with the image.
fn stripes(upright: bool, side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let along = if upright { x } else { y };
        let place = along * 4 / side;
        if place.is_multiple_of(2) { Rgb([250, 200, 9]) } else { Rgb([9, 0, 90]) }
    })
}

/// A run, and `copies/`: two originals, the same pixels in `strong`, and in `wrong/names` the same with their names
/// swapped. All are reduced by `--size 32`.
fn run_and_copies() -> Tiny {
    let tiny = Tiny::new();
    let save = |path: &str, image: RgbImage| {
        let path = tiny.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    };
    for (name, upright) in [("2000", true), ("2001", false)] {
        save(&format!("copies/original/{name}00.png"), stripes(upright, 64));
        save(&format!("copies/strong/{name}01.png"), stripes(upright, 64));
        save(&format!("copies/wrong/names/{name}01.png"), stripes(!upright, 64));
        save(&format!("others/{name}.png"), RgbImage::from_pixel(32, 32, Rgb([0, 250, 0])));
    }
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    tiny
}

#[test]
fn copies_find_their_originals() {
    let tiny = run_and_copies();
    let eval = ["eval", "copydetect", "run", "--data", "copies", "--size", "32"];
    let ended = tiny.run(&[&eval[..], &["--json", "--distractors", "others"]].concat()).code(0);
    let events: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        events.iter().map(|of| (of["copies"].as_str().unwrap(), &of["images"])).collect();
    assert_eq!(found, [("strong", &2.into()), ("wrong/names", &2.into())]);
    assert_eq!((&events[0]["map"], &events[0]["distractors"]), (&100.0.into(), &2.into()));
    // The original stands second at best, behind the other one: (0/1 + 1/2) / 2.
    assert!(events[1]["map"].as_f64().unwrap() <= 25.0, "{}", events[1]);
    let more = ["--whiten", "others", "--csv", "pairs.csv"];
    let white = tiny.run(&[&eval[..], &more].concat()).code(0);
    white.says("whitened by the images of `others`").says("over the first 20 images");
    let alone = [&eval[..], &["--csv", "pairs.csv"]].concat();
    tiny.run(&alone).code(0).says("table: pairs.csv");
    let table = fs::read_to_string(tiny.path("pairs.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["copies", "image", "original", "place", "nearest", "cosine"]);
    let found: Vec<_> = rows[1..].iter().map(|row| (row[0], row[3], row[2] == row[4])).collect();
    let strong = ("strong", "1", true);
    let wrong = ("wrong/names", "2", false);
    assert_eq!(found, [strong, strong, wrong, wrong]);
    fs::write(
        tiny.path("mixed.txt"),
        "copies/original/200100.png\ncopies/strong/200001.png\nothers/2000.png\n",
    )
    .unwrap();
    tiny.run(&[&eval[..], &["--distractors", "mixed.txt"]].concat())
        .code(0)
        .says("1 of 3 images of `--distractors` are also in the folder `original`, such as")
        .says("1 of 3 images of `--distractors` are also in the folder `strong`, such as");
    let alone = tiny.run(&eval).code(0).says("protocol: DINO on Copydays");
    assert!(!alone.stderr.contains("--distractors"), "{}", alone.stderr);
    assert!(alone.stdout.contains("wrong/names       2   25.00"), "{}", alone.stdout);
}

#[test]
fn copies_without_an_original_are_an_error() {
    let tiny = run_and_copies();
    let eval = |more: &[&str]| tiny.run(&[&["eval", "copydetect", "run"], more].concat());
    eval(&["--data", "copies", "--prefix", "6"])
        .code(1)
        .says("no name in `original` begins with `200001`");
    eval(&["--data", "others"]).code(1).says("`others` has no folder `original`");
    eval(&["--data", "copies", "--whiten", "nowhere"]).code(1).says("nowhere");
    eval(&["--data", "copies", "--prefix", "0"]).code(2).says("0 is not in 1..=255");
    fs::write(tiny.path("copies/strong/200002.png"), "no image").unwrap();
    eval(&["--data", "copies"]).code(1).says("200002.png` is no image");
    for folder in ["strong", "wrong"] {
        fs::remove_dir_all(tiny.path("copies").join(folder)).unwrap();
    }
    eval(&["--data", "copies"]).code(1).says("has no folder of copies beside `original`");
}
