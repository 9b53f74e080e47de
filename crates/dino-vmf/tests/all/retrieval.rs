//! `eval retrieval` as a person runs it.

use std::fs;

use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::fixtures::{Ended, Tiny};

fn flat(shade: u8) -> RgbImage {
    RgbImage::from_pixel(32, 32, Rgb([20, 20, 150 + shade]))
}

fn stripes(shift: u32) -> RgbImage {
    let pixel = |x: u32, _| if (x + shift) % 4 < 2 { Rgb([250, 200, 9]) } else { Rgb([9, 0, 5]) };
    RgbImage::from_fn(32, 32, pixel)
}

fn save(tiny: &Tiny, path: &str, image: &RgbImage) {
    let path = tiny.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// A run; `classes/` with flat images, stripes, and a class of one image; `lists/` in the layout of revisited Oxford.
fn run_and_images() -> Tiny {
    let tiny = Tiny::new();
    for i in 0..4u8 {
        save(&tiny, &format!("classes/flat/{i}.png"), &flat(i));
        save(&tiny, &format!("classes/stripes/{i}.png"), &stripes(0));
        save(&tiny, &format!("lists/jpg/flat{i}.png"), &flat(i));
        save(&tiny, &format!("lists/jpg/stripes{i}.png"), &stripes(0));
    }
    save(&tiny, "classes/single/0.png", &RgbImage::from_pixel(32, 32, Rgb([255, 255, 255])));
    // The left half is flat, the right one has stripes.
    let mut both = RgbImage::new(64, 32);
    image::imageops::replace(&mut both, &flat(0), 0, 0);
    image::imageops::replace(&mut both, &stripes(0), 32, 0);
    save(&tiny, "lists/jpg/both.png", &both);
    write_truth(&tiny, &truth());
    tiny.pretrain(&["--data", "classes", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

/// Images 0 to 3 are flat, 4 to 7 have stripes. Two queries are parts of one image.
fn truth() -> Value {
    let images = (0..8).map(|i| format!("{}{}.png", if i < 4 { "flat" } else { "stripes" }, i % 4));
    json!({
        "imlist": images.collect::<Vec<_>>(), "qimlist": ["both.png", "both.png"],
        "gnd": [
            {"bbx": [0, 0, 32, 32], "easy": [0, 1], "hard": [2], "junk": [3]},
            {"bbx": [31.8, 0.0, 64.0, 32.0], "easy": [4, 5, 6, 7], "hard": [], "junk": []},
        ],
    })
}

fn write_truth(tiny: &Tiny, truth: &Value) {
    fs::write(tiny.path("lists/gnd_lists.json"), truth.to_string()).unwrap();
}

fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn boxes_and_lists_decide_what_is_found() {
    let tiny = run_and_images();
    let eval = ["eval", "retrieval", "run", "--data", "lists"];
    for more in [&[][..], &["--pooling", "gem"], &["--pooling", "cls+gem", "--scales", "single"]] {
        let found = events(&tiny.run(&[&eval, more, &["--json"]].concat()).code(0));
        let names: Vec<_> = found.iter().map(|event| event["relevant"].as_str().unwrap()).collect();
        assert_eq!(names, ["easy", "medium", "hard"]);
        let counts: Vec<_> = found.iter().map(|event| event["queries"].as_u64().unwrap()).collect();
        assert_eq!(counts, [2, 2, 1], "the second query has nothing hard to find");
        for event in &found {
            assert_eq!((&event["map"], &event["mp1"]), (&100.0.into(), &100.0.into()), "{event}");
        }
    }
    let text = tiny.run(&eval).code(0).says("queries cut to their boxes");
    assert!(text.stdout.contains("medium        2  100.00  100.00"), "{}", text.stdout);
}

/// The opcodes of a pickle that make this value.
fn pickled(value: &Value) -> Vec<u8> {
    let text =
        |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    match value {
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| [text(key), pickled(value)].concat();
            [b"}(".to_vec(), entries.iter().flat_map(entry).collect(), b"u".to_vec()].concat()
        }
        Value::Array(items) => {
            [b"](".to_vec(), items.iter().flat_map(pickled).collect(), b"e".to_vec()].concat()
        }
        Value::String(string) => text(string),
        other => [&b"G"[..], &other.as_f64().expect("a number").to_be_bytes()].concat(),
    }
}

#[test]
fn a_pickle_is_the_same_ground_truth_and_whole_queries_are_others() {
    let tiny = run_and_images();
    let eval = ["eval", "retrieval", "run", "--data", "lists", "--json"];
    let json = tiny.run(&eval).code(0).stdout;
    fs::remove_file(tiny.path("lists/gnd_lists.json")).unwrap();
    let pickle = [b"\x80\x02".to_vec(), pickled(&truth()), b".".to_vec()].concat();
    fs::write(tiny.path("lists/gnd_lists.pkl"), pickle).unwrap();
    assert_eq!(tiny.run(&eval).code(0).stdout, json);
    let whole = tiny.run(&[&eval[..], &["--whole-queries"]].concat()).code(0);
    let whole = whole.says("whole queries, as the code of DINO").stdout;
    assert_ne!(whole, json);
    // Both queries are the same image then: what is right for one is wrong for the other.
    let easy: Value = serde_json::from_str(whole.lines().next().unwrap()).unwrap();
    assert!(easy["map"].as_f64().unwrap() < 90.0 && easy["whole_queries"] == true, "{easy}");
    let classes = ["eval", "retrieval", "run", "--data", "classes", "--whole-queries"];
    tiny.run(&classes).code(1).says("`--whole-queries` needs queries with boxes");
}

#[test]
fn wrong_lists_give_a_low_precision() {
    let tiny = run_and_images();
    let mut wrong = truth();
    wrong["gnd"] = json!([
        {"bbx": [0, 0, 32, 32], "easy": [4, 5, 6, 7], "hard": [], "junk": []},
        {"bbx": [32, 0, 64, 32], "easy": [0, 1, 2, 3], "hard": [], "junk": []},
    ]);
    write_truth(&tiny, &wrong);
    let eval = ["eval", "retrieval", "run", "--data", "lists", "--json"];
    let easy = &events(&tiny.run(&eval).code(0))[0];
    // The right ones stand at places 4 to 7: trapezoids over (0/4, 1/5), (1/5, 2/6), (2/6, 3/7), (3/7, 4/8).
    let trapezoids = [(0.0, 0.2), (0.2, 2.0 / 6.0), (2.0 / 6.0, 3.0 / 7.0), (3.0 / 7.0, 0.5)];
    let ap = trapezoids.iter().map(|(a, b)| (a + b) / 2.0).sum::<f64>() / 4.0;
    assert!((easy["map"].as_f64().unwrap() - 100.0 * ap).abs() < 1e-9, "{easy}");
    assert_eq!(
        (&easy["mp1"], &easy["mp5"], &easy["mp10"]),
        (&0.0.into(), &20.0.into(), &50.0.into())
    );
}

#[test]
fn images_of_a_class_are_right_and_threads_change_nothing() {
    let tiny = run_and_images();
    let eval = ["eval", "retrieval", "run", "--data", "classes"];
    let with =
        |threads: &str| tiny.run(&[&eval[..], &["--json", "--threads", threads]].concat()).code(0);
    let found = with("1").says("1 of 3 classes have a single image");
    assert_eq!(found.stdout, with("2").stdout);
    let event = found.last_event();
    assert_eq!((&event["queries"], &event["without_relevant"]), (&8.into(), &1.into()));
    assert_eq!((&event["map"], &event["images"]), (&100.0.into(), &9.into()), "{event}");
}

#[test]
fn a_ground_truth_that_does_not_fit_is_an_error() {
    let tiny = run_and_images();
    let eval = || tiny.run(&["eval", "retrieval", "run", "--data", "lists"]).code(1);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = truth();
        change(&mut changed);
        write_truth(&tiny, &changed);
        eval()
    };
    with(&|t| t["gnd"][0]["hard"] = json!([8]))
        .says("query `both.png`")
        .says("`hard` names image 8, but `imlist` has 8 images, counted from 0");
    with(&|t| t["gnd"][0]["junk"] = json!([0])).says("image 0 stands twice in its lists");
    with(&|t| t["imlist"][3] = json!("nowhere")).says("1 of 8 images in `imlist` are missing");
    with(&|t| t["gnd"] = json!([])).says("2 queries and 0 entries of `gnd`");
    with(&|t| t["gnd"][1]["bbx"] = json!([64, 0, 90, 32])).says("lies outside the image");
    with(&|t| t["gnd"] = json!("none")).says("is no ground truth of retrieval");
    fs::remove_file(tiny.path("lists/gnd_lists.json")).unwrap();
    eval().says("has `jpg/` but no ground truth `gnd_NAME.pkl`");
    fs::write(tiny.path("lists/gnd_lists.pkl"), "").unwrap();
    eval().says("is no ground truth of retrieval").says("byte 0 of the pickle");
    let classes = |more: &[&str]| {
        tiny.run(&[&["eval", "retrieval", "run", "--data", "classes"], more].concat())
    };
    classes(&["--gem-p", "0"]).code(2).says("must be a number above 0");
    classes(&["--size", "7"]).code(2).says("7 is not in 8..=8192");
    fs::remove_dir_all(tiny.path("classes/flat")).unwrap();
    fs::remove_dir_all(tiny.path("classes/single")).unwrap();
    classes(&[]).code(1).says("has images of 1 class");
}
