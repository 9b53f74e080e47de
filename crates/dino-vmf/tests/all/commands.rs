//! The output of the commands.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::fixtures::{TINY, Tiny};
use serde_json::Value;

/// A `pretrain` command line of the small network with evaluation.
fn evaluated(more: &[&str]) -> Vec<String> {
    let sets = TINY.iter().flat_map(|set| ["--set", set]);
    ["pretrain"].into_iter().chain(sets).chain(more.iter().copied()).map(str::to_owned).collect()
}

#[test]
fn presets_are_listed_and_printed() {
    let tiny = Tiny::new();
    let list = tiny.run(&["presets"]).code(0).stdout;
    assert!(list.contains("\nshapes-tiny "), "{list}");
    let recipe = tiny.run(&["presets", "shapes-tiny"]).code(0).stdout;
    assert!(recipe.contains("\n[model]\n"), "{recipe}");
    fs::write(tiny.path("mine.toml"), recipe).unwrap();
    tiny.run(&["presets", "no-such"]).code(2).says("there is no preset `no-such`");
}

#[test]
fn a_run_ends_with_its_summary() {
    let tiny = Tiny::new();
    let ended = tiny.run(&evaluated(&["--steps", "6", "--out", "run", "--json"])).code(0);
    let events: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("started"), count("step"), count("knn")), (1, 6, 3));
    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!((&summary["run"], &summary["steps"]), (&"run".into(), &6.into()));
    assert!(summary["images_per_second"].as_f64().unwrap() > 0.0);
    for features in ["raw", "untrained", "trained"] {
        assert!((0.0..=100.0).contains(&summary["knn"][features].as_f64().unwrap()));
    }
    assert!(ended.stderr.contains("step 6/6"), "{}", ended.stderr);
    let knn = ["eval", "knn", "--checkpoint", "run", "--train", "shapes", "--test", "shapes:test"];
    // The images of the run's own evaluations.
    let limits = ["--max-train", "200", "--max-test", "50"];
    let words = [&knn[..], &limits, &["--k", "5,20", "--json", "--quiet"]].concat();
    let ended = tiny.run(&words).code(0);
    assert_eq!(ended.stdout.lines().count(), 2);
    let last = ended.last_event();
    assert_eq!((&last["event"], &last["k"]), (&"knn".into(), &20.into()));
    assert_eq!(last["top1"], summary["knn"]["trained"]);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    let table = tiny.run(&[&knn[..], &["--baselines"]].concat()).code(0).stdout;
    assert!(table.contains("raw pixels") && table.lines().count() == 4, "{table}");
    let table = tiny.run(&knn).code(0).stdout;
    assert!(table.contains("trained") && !table.contains("raw pixels"), "{table}");
    tiny.run(&[&knn[..], &["--k", "0"]].concat()).code(2).says("list numbers from 1 on");
}

#[test]
fn without_json_the_result_is_a_table() {
    let tiny = Tiny::new();
    let ended = tiny.run(&evaluated(&["--steps", "2", "--quiet"])).code(0);
    let words = ["raw pixels", "untrained", "trained", "run folder: runs/shapes-tiny-1"];
    assert!(words.iter().all(|word| ended.stdout.contains(word)), "{}", ended.stdout);
}

#[test]
fn images_without_labels_have_no_knn() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.path("images")).unwrap();
    for i in 0..8u8 {
        fs::write(tiny.path(&format!("images/{i}.bmp")), bitmap(i)).unwrap();
    }
    let arguments = evaluated(&["--data", "images", "--steps", "2", "--json"]);
    let summary = tiny.run(&arguments).code(0).last_event();
    assert_eq!(summary["knn"], Value::Null);
}

/// A 40 x 40 image of one color.
fn bitmap(color: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [54 + 4800u32, 0, 54, 40, 40, 40, 1 | 24 << 16, 0, 4800, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([color; 4800]);
    bytes
}

#[test]
fn bench_step_prints_the_fields_of_the_pytorch_script() {
    let tiny = Tiny::new();
    let sizes = ["--batch", "2", "--global", "2x32", "--local", "2x16", "--k", "64"];
    let more = ["--hidden", "32", "--bottleneck", "16", "--steps", "2", "--warmup", "1"];
    let method = ["--method", "dino_vmf", "--precision", "f32", "--arch", "vit_tiny", "--json"];
    let ended = tiny.run(&[&["bench", "step"], &sizes[..], &more, &method].concat()).code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let record = ended.last_event();
    let (method, crops) = (&record["method"], &record["crops"]);
    assert_eq!((method, crops), (&"dino-vmf".into(), &"2x32+2x16".into()));
    assert_eq!(record["s_per_step"].as_array().unwrap().len(), 2);
    assert_eq!(record["losses"].as_array().unwrap().len(), 3);
    assert!(record["img_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(record["breakdown_s"].as_object().unwrap().len(), 6);
}

#[test]
fn evaluations_of_random_features_are_timed() {
    let tiny = Tiny::new();
    for (task, passes) in [("knn", Value::Null), ("linear", 2.into()), ("logistic", Value::Null)] {
        let sizes = ["--train", "600", "--test", "50", "--width", "32", "--classes", "3"];
        let more = ["--epochs", "2", "--runs", "2", "--threads", "1"];
        let ended = tiny.run(&[&["bench", "evaluation", task], &sizes[..], &more].concat()).code(0);
        assert!(ended.stdout.contains("600 training rows and 50 test rows"), "{}", ended.stdout);
        let json = [&["bench", "evaluation", task], &sizes[..], &more, &["--json"]].concat();
        let record = tiny.run(&json).code(0).last_event();
        assert_eq!(record["seconds"].as_array().unwrap().len(), 2);
        assert!(record["top1"].as_f64().unwrap() > 50.0, "{record}");
        if task != "logistic" {
            assert_eq!(record["passes"], passes);
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dino-vmf"))
        .args(["presets", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error")).count(), 0);
}

#[test]
fn knn_reports_the_k_that_was_used() {
    let tiny = Tiny::new();
    for i in 0..18u8 {
        let class = tiny.path(&format!("photos/{}", ["a", "b", "c"][usize::from(i % 3)]));
        fs::create_dir_all(&class).unwrap();
        let color = image::Rgb([40 * (i % 3), 10 * i, 200 - 10 * i]);
        image::RgbImage::from_pixel(32, 32, color).save(class.join(format!("{i}.png"))).unwrap();
    }
    tiny.pretrain(&["--data", "photos", "--steps", "1", "--out", "run"]).code(0);
    let knn = ["eval", "knn", "--checkpoint", "run", "--train", "photos", "--test", "photos"];
    let more = ["--k", "5,1000", "--json"];
    let ended = tiny
        .run(&[&knn[..], &more].concat())
        .code(0)
        .says("warning: k-NN with k = 1000 uses k = 18, because only 18 images vote");
    let used: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["k"].clone())
        .collect();
    assert_eq!(used, [5, 18]);
}

#[test]
fn presets_report_the_memory_they_need() {
    let tiny = Tiny::new();
    let list = tiny.run(&["presets", "--json"]).code(0).says("this machine has ").stdout;
    let bytes = |name: &str| {
        let found = list
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["name"] == name);
        found.unwrap()["memory_bytes"].as_f64().unwrap() / f64::from(1 << 30)
    };
    assert!(bytes("shapes-tiny") < 0.5);
    assert!(bytes("dino-vmf-vit-s16") > 50.0);
}
