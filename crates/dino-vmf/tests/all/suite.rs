//! `eval all` as a person runs it: two runs, a suite, a second start, and what goes wrong.

use std::fs;

use crate::fixtures::{Ended, Tiny, photos};
use serde_json::Value;

/// Two runs and labelled photographs.
fn two_runs() -> Tiny {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 10);
    for (name, steps) in [("a", "1"), ("b", "6")] {
        tiny.pretrain(&["--data", "photos", "--steps", steps, "--out", name]).code(0);
    }
    tiny
}

fn write(tiny: &Tiny, tasks: &str) {
    let data =
        "[[data]]\nname = 'photographs'\ntrain = 'photos:train'\ntest = 'photos:test'\ncrop = 32";
    fs::write(tiny.path("suite.toml"), format!("{data}\nresize = 32\ntasks = {tasks}\n")).unwrap();
}

fn all(tiny: &Tiny, more: &[&str]) -> Ended {
    tiny.run(&[&["eval", "all", "--suite", "suite.toml", "--out", "out"], more].concat())
}

const BOTH: [&str; 4] = ["--checkpoint", "a", "--checkpoint", "b"];

fn result(tiny: &Tiny) -> Value {
    serde_json::from_slice(&fs::read(tiny.path("out/suite.json")).unwrap()).unwrap()
}

#[test]
fn checkpoints_are_compared_and_finished_cells_are_kept() {
    let tiny = two_runs();
    write(&tiny, "['knn', 'linear', 'logistic', 'fewshot']");
    let first = all(&tiny, &BOTH).code(0);
    assert!(!first.stderr.contains("not computed again"), "{}", first.stderr);
    let found = result(&tiny);
    let cells = found["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), 8);
    for task in cells.chunks(2) {
        let best = task.iter().filter(|cell| cell["best"] == true).count();
        let compared = task.iter().filter(|cell| cell["difference"].is_object()).count();
        assert_eq!((best, compared), (1, 1), "{task:?}");
        assert_eq!(task[0]["deviation"].is_number(), task[0]["task"] == "fewshot", "{task:?}");
    }
    let data = ["--data", "photos", "--crop", "32", "--resize", "32", "--json"];
    for cell in &cells {
        let (task, run) = (cell["task"].as_str().unwrap(), cell["checkpoint"].as_str().unwrap());
        let more: &[&str] = match task {
            "knn" => &["--k", "20"],
            "fewshot" => &["--shots", "5"],
            _ => &[],
        };
        let alone =
            tiny.run(&[&["eval", task, run], &data[..], more].concat()).code(0).last_event();
        let key = if task == "linear" { "rates" } else { "top1" };
        let value = match alone[key].as_array() {
            Some(rates) => rates.iter().map(|of| of["last"].as_f64().unwrap()).fold(0.0, f64::max),
            None => alone[key].as_f64().unwrap(),
        };
        let of_suite = cell["value"].as_f64().unwrap();
        assert!((of_suite - value).abs() < 1e-9, "{cell}\n{alone}");
    }
    let page = fs::read_to_string(tiny.path("out/suite.html")).unwrap();
    assert!(page.contains(", best</td>") && page.contains("paired bootstrap"), "{page}");
    let again = all(&tiny, &BOTH).code(0).says("8 of 8 cells are finished in `out`");
    assert_eq!((again.stdout, result(&tiny)), (first.stdout, found));
    write(&tiny, "['knn', 'linear']");
    tiny.pretrain(&["--data", "photos", "--steps", "3", "--out", "c"]).code(0);
    let more = [&BOTH[..], &["--checkpoint", "c", "--threads", "1"]].concat();
    all(&tiny, &more).code(0).says("4 of 6 cells are finished");
    all(&tiny, &[&BOTH[..], &["--seed", "1"]].concat()).code(0);
}

#[test]
fn a_cell_that_fails_is_marked_and_tried_again() {
    let tiny = two_runs();
    write(&tiny, "['knn']");
    let broken = tiny.path("photos/val/dog");
    (0..20).for_each(|i| fs::write(broken.join(format!("broken{i}.png")), b"no image").unwrap());
    all(&tiny, &BOTH)
        .code(1)
        .says("k-NN on photographs of `a` failed: ")
        .says("2 of 2 cells failed; the same command line tries them again");
    assert!(result(&tiny)["cells"][0]["error"].is_string());
    assert!(fs::read_to_string(tiny.path("out/suite.html")).unwrap().contains("<td>failed</td>"));
    (0..20).for_each(|i| fs::remove_file(broken.join(format!("broken{i}.png"))).unwrap());
    let ended = all(&tiny, &BOTH).code(0);
    assert!(!ended.stderr.contains("not computed again"), "{}", ended.stderr);
    assert!(result(&tiny)["cells"][0]["error"].is_null());
}

#[test]
fn a_suite_that_makes_no_sense_is_refused_before_anything_is_computed() {
    let tiny = two_runs();
    write(&tiny, "['knn', 'segmentation']");
    all(&tiny, &BOTH).code(1).says("there is no task `segmentation`: there are `knn`, `linear`");
    write(&tiny, "[]");
    all(&tiny, &BOTH).code(1).says("`tasks` is empty");
    write(&tiny, "['knn']");
    let text = fs::read_to_string(tiny.path("suite.toml")).unwrap();
    fs::write(tiny.path("suite.toml"), format!("{text}{text}")).unwrap();
    all(&tiny, &BOTH).code(1).says("two data sets `photographs`");
    fs::write(tiny.path("suite.toml"), text.replace("photos:test", "nowhere:test")).unwrap();
    all(&tiny, &BOTH).code(1).says("data set `photographs` of the suite").says("nowhere");
    fs::write(tiny.path("suite.toml"), format!("{text}colour = 1\n")).unwrap();
    all(&tiny, &BOTH).code(1).says("colour");
    write(&tiny, "['knn']");
    all(&tiny, &["--checkpoint", "a", "--checkpoint", "a"])
        .code(1)
        .says("`--checkpoint a` is given twice");
    all(&tiny, &["--checkpoint", "a", "--checkpoint", "none"]).code(1).says("none");
    let dogs = fs::read_dir(tiny.path("photos/train/dog")).unwrap();
    dogs.skip(1).for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
    all(&tiny, &BOTH).code(1).says("class `dog` has 1 training image(s), and 2 are needed");
    fs::remove_dir_all(tiny.path("photos/train/dog")).unwrap();
    all(&tiny, &BOTH).code(1).says("classes");
    assert!(!tiny.path("out").exists(), "nothing is computed");
}

#[test]
fn the_example_is_a_suite() {
    let tiny = two_runs();
    let example = tiny.run(&["eval", "all", "--example"]).code(0).stdout;
    fs::write(tiny.path("suite.toml"), example).unwrap();
    all(&tiny, &["--checkpoint", "b"]).code(0).says("page: out/suite.html");
    assert_eq!(result(&tiny)["cells"].as_array().unwrap().len(), 5);
}
