//! `eval all` as a person runs it: two runs, a suite, a second start, and what goes wrong.

use std::fs;

use crate::fixtures::{Ended, Tiny, photos};
use crate::video::{moving, save_video};
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
        assert!(best >= 1 && best + compared == 2, "{task:?}");
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

/// What makes scores of a single evaluation mean less is said here, too.
#[test]
fn warnings_name_the_data_set_once_for_all_checkpoints() {
    let tiny = two_runs();
    write(&tiny, "['knn']");
    let text = fs::read_to_string(tiny.path("suite.toml")).unwrap();
    fs::write(tiny.path("suite.toml"), text.replace("photos:test", "photos:train")).unwrap();
    let ended = all(&tiny, &BOTH).code(0);
    let warning =
        "data set `photographs`: 20 of 20 images to classify are also images to learn from";
    assert_eq!(ended.stderr.matches(warning).count(), 1, "{}", ended.stderr);
    let page = fs::read_to_string(tiny.path("out/suite.html")).unwrap();
    assert!(page.contains("Warning: 20 of 20 images to classify are also images"), "{page}");
    let kept = &result(&tiny)["warnings"]["photographs"][0];
    assert!(kept.as_str().unwrap().starts_with("20 of 20 images"), "{kept}");
    write(&tiny, "['knn']");
    let ended = all(&tiny, &BOTH).code(0);
    assert!(!ended.stderr.contains("also images"), "{}", ended.stderr);
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
    all(&tiny, &BOTH).code(1).says("two entries `photographs`");
    fs::write(tiny.path("suite.toml"), text.replace("photos:test", "nowhere:test")).unwrap();
    all(&tiny, &BOTH).code(1).says("data set `photographs` of the suite").says("nowhere");
    fs::write(tiny.path("suite.toml"), format!("{text}colour = 1\n")).unwrap();
    all(&tiny, &BOTH).code(1).says("colour");
    write(&tiny, "['knn']");
    all(&tiny, &["--checkpoint", "a", "--checkpoint", "a"])
        .code(2)
        .says("`--checkpoint a` is given twice");
    all(&tiny, &["--checkpoint", "a", "--checkpoint", "./a"])
        .code(2)
        .says("`--checkpoint ./a` is the same as `a`");
    all(&tiny, &["--checkpoint", "a", "--checkpoint", "none"]).code(1).says("none");
    let dogs = fs::read_dir(tiny.path("photos/train/dog")).unwrap();
    dogs.skip(1).for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
    all(&tiny, &BOTH).code(1).says("class `dog` has 1 of the 2 training images that are needed");
    fs::remove_dir_all(tiny.path("photos/train/dog")).unwrap();
    all(&tiny, &BOTH).code(1).says("classes");
    assert!(!tiny.path("out").exists(), "nothing is computed");
}

/// Entries of `eval all`, the commands of the same evaluations, the events and the keys of their numbers.
const OTHERS: [(&str, &[&str], &str, &[&str]); 5] = [
    (
        "task = 'ood'\nknown = 'photos:test'\nunknown = ['shapes:test']\nk = 2\ntrain = 'photos:train'\ncrop = 32\nresize = 32",
        &[
            "ood",
            "--known",
            "photos:test",
            "--unknown",
            "shapes:test",
            "--k",
            "2",
            "--train",
            "photos:train",
            "--crop",
            "32",
            "--resize",
            "32",
        ],
        "ood",
        &["auroc"],
    ),
    (
        "task = 'retrieval'\ndata = 'photos:test'\nsize = 32\nscales = 'single'",
        &["retrieval", "--data", "photos:test", "--size", "32", "--scales", "single"],
        "retrieval",
        &["map"],
    ),
    (
        "task = 'copydetect'\ndata = 'copies'\nsize = 32",
        &["copydetect", "--data", "copies", "--size", "32"],
        "copydetect",
        &["map"],
    ),
    (
        "task = 'transfer'\ndata = 'photos'\ncrop = 32\nresize = 32",
        &["transfer", "--data", "photos", "--crop", "32", "--resize", "32"],
        "transfer",
        &["value"],
    ),
    (
        "task = 'video'\ndata = 'davis'\nshort_side = 64",
        &["video", "--data", "davis", "--short-side", "64"],
        "video",
        &["jf_mean", "j_mean", "f_mean"],
    ),
];

/// A suite of all other evaluations.
fn write_others(tiny: &Tiny) {
    let entry = |(name, (keys, ..)): (usize, &(&str, _, _, _))| {
        format!("[[eval]]\nname = 'number {name}'\n{keys}\n")
    };
    let text: String = OTHERS.iter().enumerate().map(entry).collect();
    fs::write(tiny.path("suite.toml"), text).unwrap();
}

#[test]
fn other_evaluations_have_the_numbers_of_their_commands() {
    let tiny = two_runs();
    for folder in ["original", "strong"] {
        fs::create_dir_all(tiny.path("copies").join(folder)).unwrap();
        for (i, file) in fs::read_dir(tiny.path("photos/train/cat")).unwrap().enumerate() {
            let to = tiny.path("copies").join(folder).join(format!("{i:04}.png"));
            fs::copy(file.unwrap().path(), to).unwrap();
        }
    }
    save_video(&tiny.path("davis"), "moving", 4, &moving);
    write_others(&tiny);
    all(&tiny, &BOTH).code(0);
    let cells = result(&tiny)["cells"].as_array().unwrap().clone();
    let mut of_suite = cells.chunks(2);
    for (_, command, event, keys) in OTHERS {
        let of = |run: &str| -> Vec<f64> {
            let line = [&["eval", command[0], run], &command[1..], &["--json"]].concat();
            let lines = tiny.run(&line).code(0).stdout;
            let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let events: Vec<Value> = events.filter(|of| of["event"] == *event).collect();
            let number = |of: &Value| keys.iter().map(|key| of[*key].as_f64().unwrap()).collect();
            events.iter().flat_map::<Vec<f64>, _>(number).collect()
        };
        for (a, b) in of("a").into_iter().zip(of("b")) {
            let found = of_suite.next().unwrap();
            let values = [0, 1].map(|i| found[i]["value"].as_f64().unwrap());
            assert!((values[0] - a).abs() < 1e-9 && (values[1] - b).abs() < 1e-9, "{found:?}");
            let compared = found.iter().any(|cell| cell["difference"].is_object());
            let is_tie = values[0] == values[1];
            assert_eq!(compared, !is_tie && !["ood", "transfer"].contains(&event), "{found:?}");
        }
    }
    assert_eq!(of_suite.next(), None);
    all(&tiny, &BOTH).code(0).says("10 of 10 cells are finished");
    // A file that has changed makes results of its entry new, and no others.
    let frame = tiny.path("davis/Annotations/480p/moving/00001.png");
    fs::File::open(frame).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    all(&tiny, &BOTH).code(0).says("8 of 10 cells are finished");
    fs::remove_dir_all(tiny.path("copies/original")).unwrap();
    all(&tiny, &BOTH).code(1).says("number 2 of `a` failed: ").says("2 of 10 cells failed");
    assert!(fs::read_to_string(tiny.path("out/suite.html")).unwrap().contains("<td>failed</td>"));
}

#[test]
fn runs_that_differ_by_their_seed_get_a_mean() {
    let tiny = two_runs();
    tiny.pretrain(&["--data", "photos", "--steps", "1", "--out", "c", "--seed", "7"]).code(0);
    write(&tiny, "['knn', 'fewshot']");
    all(&tiny, &[&BOTH[..], &["--checkpoint", "c"]].concat()).code(0).says("page:");
    let found = result(&tiny);
    let cells = found["cells"].as_array().unwrap();
    let seeds = found["seeds"].as_array().unwrap();
    assert_eq!(seeds.len(), 2, "{seeds:?}");
    for (of, cells) in seeds.iter().zip(cells.chunks(3)) {
        assert_eq!(of["checkpoints"], serde_json::json!(["a", "c"]));
        let [a, c] = [0, 2].map(|i| cells[i]["value"].as_f64().unwrap());
        let (mean, deviation) = ((a + c) / 2.0, (a - c).abs() / 2f64.sqrt());
        assert!((of["mean"].as_f64().unwrap() - mean).abs() < 1e-9, "{of}");
        assert!((of["deviation"].as_f64().unwrap() - deviation).abs() < 1e-9, "{of}");
    }
    let page = fs::read_to_string(tiny.path("out/suite.html")).unwrap();
    assert!(
        page.contains("mean of 2 seeds: a, c") && page.contains("<th scope='row'>seed</th>"),
        "{page}"
    );
}

#[test]
fn mistakes_in_other_evaluations_are_refused_before_anything_is_computed() {
    let tiny = two_runs();
    for (text, wanted) in [
        ("task = 'knn'\ndata = 'photos'", "there is no task `knn` for `[[eval]]`"),
        (
            "task = 'video'",
            "evaluation `x` of `suite.toml`\ncaused by: the following required arguments were not provided:",
        ),
        ("task = 'retrieval'\ndata = 'photos'\nsize = 1", "invalid value '1' for '--size"),
        ("data = 'photos'", "missing field `task`"),
    ] {
        fs::write(tiny.path("suite.toml"), format!("[[eval]]\nname = 'x'\n{text}\n")).unwrap();
        all(&tiny, &BOTH).code(1).says(wanted);
    }
    write(&tiny, "['retrieval']");
    all(&tiny, &BOTH).code(1).says("`retrieval` classifies nothing: write it as `[[eval]]`");
    fs::write(tiny.path("suite.toml"), "").unwrap();
    all(&tiny, &BOTH).code(1).says("has no `[[data]]` and no `[[eval]]`");
    assert!(!tiny.path("out").exists(), "nothing is computed");
}

#[test]
fn a_cell_is_of_the_settings_of_its_checkpoint() {
    let tiny = two_runs();
    let text =
        "[[data]]\nname = 'c'\ntrain = 'photos:train'\ntest = 'photos:test'\ntasks = ['knn']\n";
    fs::write(tiny.path("suite.toml"), text).unwrap();
    all(&tiny, &["--checkpoint", "b"]).code(0);
    let config = fs::read_to_string(tiny.path("b/config.toml")).unwrap();
    let crop = config.lines().find(|line| line.starts_with("crop = ")).unwrap();
    fs::write(tiny.path("b/config.toml"), config.replace(crop, "crop = 16")).unwrap();
    let ended = all(&tiny, &["--checkpoint", "b"]).code(0);
    assert!(!ended.stderr.contains("not computed again"), "{}", ended.stderr);
    all(&tiny, &["--checkpoint", "b"]).code(0).says("1 of 1 cells are finished");
}

#[test]
fn a_checkpoint_that_fails_does_not_spoil_the_others() {
    let tiny = two_runs();
    tiny.run(&["convert", "b", "bad.safetensors", "--to", "safetensors"]).code(0);
    let mut bytes = fs::read(tiny.path("bad.safetensors")).unwrap();
    // The patch embedding with values so large that products are infinite.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for value in bytes[8 + header..].chunks_exact_mut(4) {
        value.copy_from_slice(&3e38f32.to_le_bytes());
    }
    fs::write(tiny.path("bad.safetensors"), bytes).unwrap();
    write(&tiny, "['knn', 'logistic']");
    all(&tiny, &["--checkpoint", "bad.safetensors", "--checkpoint", "b"])
        .code(1)
        .says("k-NN on photographs of `bad.safetensors` failed: ")
        .says("2 of 4 cells failed");
    let cells = result(&tiny)["cells"].as_array().unwrap().clone();
    assert!(cells.iter().all(|cell| cell["value"].is_null() == (cell["checkpoint"] != "b")));
    let page = fs::read_to_string(tiny.path("out/suite.html")).unwrap();
    assert!(page.contains("knn of <code>bad.safetensors</code> failed: "), "{page}");
    assert!(page.contains("Measured on 20 training and 20 test images."), "{page}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_to_itself_is_listed_once() {
    let tiny = two_runs();
    for name in ["me", "me-too"] {
        std::os::unix::fs::symlink(".", tiny.path("photos").join(name)).unwrap();
    }
    write(&tiny, "['knn']");
    all(&tiny, &["--checkpoint", "a"]).code(0);
    // Neither are the results part of the images where they lie among them.
    let inside = ["--suite", "suite.toml", "--out", "photos/out", "--checkpoint", "a"];
    for _ in 0..2 {
        tiny.run(&[&["eval", "all"], &inside[..]].concat()).code(0);
    }
    let again = tiny.run(&[&["eval", "all"], &inside[..]].concat()).code(0);
    again.says("1 of 1 cells are finished");
}

#[test]
fn the_example_is_a_suite() {
    let tiny = two_runs();
    let example = tiny.run(&["eval", "all", "--example"]).code(0).stdout;
    fs::write(tiny.path("suite.toml"), example).unwrap();
    all(&tiny, &["--checkpoint", "b"]).code(0).says("page: out/suite.html");
    // Five accuracies, and AUROC by likelihood, cosine and two neighbors.
    assert_eq!(result(&tiny)["cells"].as_array().unwrap().len(), 9);
}
