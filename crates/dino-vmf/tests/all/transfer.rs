//! `eval transfer` as a person runs it.

use std::fs;

use crate::fixtures::{Ended, Tiny};
use serde_json::Value;

/// Colors of the classes, so far apart that a small network tells them.
const COLORS: [(&str, [u8; 3]); 3] =
    [("blue", [20, 20, 200]), ("green", [20, 200, 20]), ("red", [200, 20, 20])];

fn save(tiny: &Tiny, path: &str, color: [u8; 3], shade: u8) {
    let path = tiny.path(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let color = color.map(|value| value.wrapping_add(shade));
    image::RgbImage::from_pixel(32, 32, image::Rgb(color)).save(path).expect("an image");
}

/// A run, and images of three classes with training, validation and test images.
fn run_and_colors() -> Tiny {
    let tiny = Tiny::new();
    for (part, count) in [("train", 6u8), ("val", 2), ("test", 4)] {
        for (class, color) in COLORS {
            for i in 0..count {
                let shade = 3 * i + part.len() as u8;
                save(&tiny, &format!("colors/{part}/{class}/{i}.png"), color, shade);
            }
        }
    }
    tiny.pretrain(&["--data", "colors:train", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

fn transfer(tiny: &Tiny, more: &[&str]) -> Ended {
    let size: &[&str] = &["--resize", "32", "--crop", "32"];
    tiny.run(&[&["eval", "transfer", "run"], size, more].concat())
}

fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn parts_of_a_source_are_used_and_named() {
    let tiny = run_and_colors();
    let ended = transfer(&tiny, &["--data", "colors", "--json"]).code(0);
    assert!(!ended.stderr.contains("are also images"), "{}", ended.stderr);
    let found = ended.last_event();
    let counts = ["train_images", "validation_images", "test_images", "classes"];
    assert_eq!(counts.map(|key| found[key].as_u64().unwrap()), [18, 6, 12, 3], "{found}");
    assert_eq!((&found["metric"], &found["value"]), (&"top1".into(), &100.0.into()), "{found}");
    assert_eq!((&found["drawn"], &found["not_converged"]), (&false.into(), &0.into()));
    let validation = found["validation"].as_array().unwrap();
    assert_eq!(validation.len(), 45);
    // The smallest of the weight decays that are equally good.
    let best = validation.iter().map(|of| of["value"].as_f64().unwrap()).fold(0.0, f64::max);
    let first = validation.iter().find(|of| of["value"].as_f64().unwrap() == best).unwrap();
    assert_eq!(first["weight_decay"], found["weight_decay"], "{found}");

    let sources = ["--train", "colors:train", "--test", "colors:test"];
    let drawn = transfer(&tiny, &[&sources[..], &["--dataset", "pets", "--json"]].concat());
    let drawn = drawn.code(0).says("a fifth of each class").last_event();
    assert_eq!(counts.map(|key| drawn[key].as_u64().unwrap()), [15, 3, 12, 3], "{drawn}");
    assert_eq!((&drawn["metric"], &drawn["set"]), (&"mean-per-class".into(), &"pets".into()));
    let own = ["--train", "colors:test", "--test", "colors:test", "--val", "colors:test"];
    transfer(&tiny, &own)
        .code(0)
        .says("12 of 12 images to classify are also images to learn from, such as")
        .says("12 of 12 validation images are also images to learn from, such as")
        .says("12 of 12 validation images are also images to classify, such as");
    let official = transfer(&tiny, &[&sources[..], &["--dataset", "dtd"]].concat()).code(0);
    let official = official.says("`dtd` has validation images of its own");
    assert_eq!(official.stdout.lines().count(), 3, "{}", official.stdout);
}

#[test]
fn threads_never_change_a_score() {
    let tiny = run_and_colors();
    let with = |threads| {
        let more = ["--data", "colors", "--json", "--threads", threads, "--metric", "map11"];
        transfer(&tiny, &more).code(0).stdout
    };
    assert_eq!(with("1"), with("2"));
}

/// A list of images of several classes, and the same in the layout of VOC.
fn several(tiny: &Tiny) {
    let mut lists = [String::new(), String::new()];
    let mut labels = vec![[String::new(), String::new()]; 2];
    for i in 0..24u8 {
        let (bright, green) = (i % 2 == 0, i % 3 == 0);
        let color = [if bright { 220 } else { 30 }, if green { 200 } else { 40 }, 3 * i];
        let part = usize::from(i >= 16);
        let name = format!("{i:06}");
        save(tiny, &format!("voc/VOC2007/JPEGImages/{name}.jpg"), color, 0);
        let classes = [("bright", bright), ("green", green)];
        let of: Vec<_> = classes.iter().filter(|of| of.1).map(|of| of.0).collect();
        lists[part] += &format!("voc/VOC2007/JPEGImages/{name}.jpg,{}\n", of.join(";"));
        for (place, (_, is)) in classes.into_iter().enumerate() {
            // One image without the class is marked as difficult.
            let other = if i == 1 { " 0" } else { "-1" };
            labels[part][place] += &format!("{name} {}\n", if is { " 1" } else { other });
        }
    }
    let main = tiny.path("voc/VOC2007/ImageSets/Main");
    fs::create_dir_all(&main).unwrap();
    for (part, labels) in ["trainval", "test"].into_iter().zip(&labels) {
        for (class, text) in ["bright", "green"].into_iter().zip(labels) {
            fs::write(main.join(format!("{class}_{part}.txt")), text).unwrap();
        }
        fs::write(main.join(format!("{part}.txt")), "not read").unwrap();
    }
    fs::write(tiny.path("train.csv"), &lists[0]).unwrap();
    fs::write(tiny.path("test.csv"), &lists[1]).unwrap();
}

#[test]
fn a_list_and_the_layout_of_voc_give_the_same_precision() {
    let tiny = run_and_colors();
    several(&tiny);
    let voc = ["--train", "voc:trainval", "--test", "voc:test", "--dataset", "voc2007", "--json"];
    let of_voc = transfer(&tiny, &voc).code(0).says("2 labels of `voc/VOC2007` (trainval)");
    let of_voc = of_voc.says("`voc2007` has validation images of its own").last_event();
    let list = ["--train", "train.csv", "--test", "test.csv", "--metric", "map11", "--json"];
    let of_list = transfer(&tiny, &list).code(0).says("of list `train.csv` belong to no class");
    assert!(!of_list.stderr.contains("a fifth of each class"), "{}", of_list.stderr);
    let of_list = of_list.last_event();
    for key in ["map11", "precisions", "validation", "weight_decay"] {
        assert_eq!(of_voc[key], of_list[key], "{of_voc}");
    }
    assert_eq!(of_voc["precisions"][1][0], "green");
    assert!(of_voc["map11"].as_f64().unwrap() > 80.0, "{of_voc}");
    // The part `val` of VOC is taken by itself.
    let main = tiny.path("voc/VOC2007/ImageSets/Main");
    for class in ["bright", "green"] {
        let text = fs::read_to_string(main.join(format!("{class}_trainval.txt"))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        fs::write(main.join(format!("{class}_train.txt")), lines[..10].join("\n")).unwrap();
        fs::write(main.join(format!("{class}_val.txt")), lines[10..].join("\n")).unwrap();
    }
    let parts = ["--data", "voc", "--dataset", "voc2007", "--json"];
    let found = transfer(&tiny, &parts).code(0).last_event();
    let counts = ["train_images", "validation_images", "test_images"];
    assert_eq!(counts.map(|key| found[key].as_u64().unwrap()), [10, 6, 8], "{found}");
}

#[test]
fn several_data_sets_have_a_mean_and_finished_ones_are_kept() {
    let tiny = run_and_colors();
    several(&tiny);
    let write = |more: &str| {
        let colors = "[[set]]\nname = 'colors'\ndata = 'colors'\nmetric = 'mean-per-class'\n";
        let lists = "[[set]]\nname = 'voc2007'\ntrain = 'train.csv'\ntest = 'test.csv'\n";
        fs::write(tiny.path("sets.toml"), format!("{colors}{lists}{more}")).unwrap();
    };
    write("");
    let all = ["--sets", "sets.toml", "--out", "out", "--json", "--csv", "table.csv"];
    let first = transfer(&tiny, &all).code(0);
    let found = events(&first);
    let values = [&found[0]["value"], &found[1]["value"], &found[2]["mean"]];
    let [a, b, mean] = values.map(|value| value.as_f64().unwrap());
    assert!((mean - (a + b) / 2.0).abs() < 1e-9, "{found:?}");
    let table = fs::read_to_string(tiny.path("table.csv")).unwrap();
    assert!(table.contains("\ncolors,mean-per-class,100,100,100,,"), "{table}");
    assert!(!first.stderr.contains("not computed again"), "{}", first.stderr);
    let again = transfer(&tiny, &all).code(0).says("`voc2007` is finished in `out`");
    assert_eq!(again.stdout, first.stdout);
    // A new image is noticed.
    save(&tiny, "colors/train/red/new.png", [200, 20, 20], 1);
    let again = transfer(&tiny, &all).code(0);
    assert!(!again.stderr.contains("`colors` is finished"), "{}", again.stderr);
    assert!(again.stderr.contains("`voc2007` is finished"), "{}", again.stderr);
    // A data set that fails does not stop the others.
    for i in 0..20 {
        fs::write(tiny.path(&format!("broken{i}.png")), b"no image").unwrap();
    }
    let lines: String = (0..20).map(|i| format!("broken{i}.png,{}\n", i % 2)).collect();
    fs::write(tiny.path("broken.csv"), lines).unwrap();
    write("[[set]]\nname = 'broken'\ntrain = 'broken.csv'\ntest = 'broken.csv'\n");
    let failed = transfer(&tiny, &all).code(1).says("data set `broken` failed");
    let failed = failed.says("no mean: 2 of 3 data sets are finished");
    assert!(failed.last_event()["mean"].is_null(), "{}", failed.stdout);
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_computed() {
    let tiny = run_and_colors();
    several(&tiny);
    let fails = |more: &[&str], text: &str| {
        transfer(&tiny, more).code(1).says(text);
    };
    fails(&[], "no images are named: give `--data SOURCE`");
    fails(&["--data", "nowhere"], "nowhere");
    let sources = ["--train", "train.csv", "--test"];
    let map11 = ["--metric", "map11"];
    let with = |test| [&sources[..], &[test], &map11].concat();
    fs::write(tiny.path("few.csv"), "voc/VOC2007/JPEGImages/000000.jpg,bright\n").unwrap();
    fails(&with("few.csv"), "class `green` of list `train.csv` is not in list `few.csv`");
    fails(
        &["--train", "voc:train", "--test", "voc:test", "--metric", "map11"],
        "has no file `CLASS_",
    );
    let file = tiny.path("voc/VOC2007/ImageSets/Main/green_test.txt");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("000016 -1", "000016 2")).unwrap();
    fails(&with("voc:test"), "is `000016 2`: a name and 1, 0 or -1 are expected");
    fs::write(&file, text.replace("000016 ", "000099 ")).unwrap();
    fails(&with("voc:test"), "lists other images than the first class");
    fs::write(&file, &text).unwrap();
    fs::remove_file(tiny.path("voc/VOC2007/JPEGImages/000016.jpg")).unwrap();
    fails(&with("voc:test"), "000016.jpg` is no image, but a list in");

    (1..6).for_each(|i| fs::remove_file(tiny.path(&format!("colors/train/red/{i}.png"))).unwrap());
    let drawn = ["--train", "colors:train", "--test", "colors:test"];
    fails(&drawn, "class `red` has 1 image in");
    transfer(&tiny, &[&drawn[..], &["--val", "colors:val"]].concat()).code(0);
    fs::remove_dir_all(tiny.path("colors/test/red")).unwrap();
    fails(&["--data", "colors"], "is not in folder `colors/test`");

    let sets = |text: &str| fs::write(tiny.path("sets.toml"), text).unwrap();
    let all = ["--sets", "sets.toml", "--out", "out"];
    sets("[[set]]\nname = 'a'\ndata = 'x'\ncolour = 1\n");
    fails(&all, "colour");
    sets("[[set]]\nname = 'a'\ntrain = 'x'\n");
    fails(&all, "data set `a`");
    let one = "[[set]]\nname = 'a'\ndata = 'x'\n";
    sets(&format!("{one}{one}"));
    fails(&all, "two data sets `a`");
    transfer(&tiny, &["--data", "colors", "--dataset", "mnist"]).code(2).says("mnist");
    assert!(!tiny.path("out").exists(), "nothing is computed");
}
