//! Classifiers and measures of `eval` against those of scikit-learn on the same features.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks these packages.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixtures;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use fixtures::Tiny;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

/// Images of each class in each set: unequal, so that the accuracies differ.
const SETS: [(&str, [u32; 3]); 4] =
    [("train", [40, 25, 12]), ("val", [12, 9, 6]), ("test", [22, 16, 10]), ("other", [9, 9, 9])];
const SIZE: [&str; 4] = ["--resize", "32", "--crop", "32"];

fn main() {
    let arguments = Arguments::from_args();
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let find = "import importlib.util as u; assert all(map(u.find_spec, ['sklearn', 'numpy']))";
    let found = Command::new(&python).args(["-c", find]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    let name = "scikit_learn_finds_the_same_optima_and_measures";
    let trial = match is_there {
        true => Trial::test(name, move || compare(&python)),
        false => Trial::test(name, || Ok(()))
            .with_kind("needs python3 or $DINO_VMF_PYTHON with scikit-learn, numpy")
            .with_ignored_flag(true),
    };
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

fn compare(python: &OsString) -> Result<(), Failed> {
    let tiny = Tiny::new();
    write_images(&tiny);
    let weights = ["--set", "model.init_std=0.2", "--set", "optim.lr=0.01"];
    let run = ["--data", "photos:train", "--steps", "2", "--out", "run"];
    tiny.pretrain(&[&run[..], &weights].concat()).code(0);
    for (name, source) in [
        ("train", "photos/train"),
        ("val", "photos/val"),
        ("test", "photos/test"),
        ("many-train", "many-train.csv"),
        ("many-val", "many-val.csv"),
        ("many-test", "many-test.csv"),
    ] {
        let out = format!("f-{name}.npy");
        let words = ["features", "--checkpoint", "run", source, "--out", &out];
        tiny.run(&[&words[..], &SIZE].concat()).code(0);
    }
    let parts = ["--train", "photos/train", "--test", "photos/test"];
    let val = ["--val", "photos/val", "--metric"];
    let many = ["--train", "many-train.csv", "--val", "many-val.csv", "--test", "many-test.csv"];
    let ood = ["--train", "photos/train", "--known", "photos/test", "--unknown", "photos/other"];
    let (logistic, transfer) = (["eval", "logistic", "run"], ["eval", "transfer", "run"]);
    let commands: [(&str, Vec<&str>); 6] = [
        ("logistic", [&logistic[..], &parts, &["--strength", "0.5"]].concat()),
        ("logistic", [&logistic[..], &parts, &["--strength", "0.001"]].concat()),
        ("transfer", [&transfer[..], &parts, &val, &["top1"]].concat()),
        ("transfer", [&transfer[..], &parts, &val, &["mean-per-class"]].concat()),
        ("several", [&transfer[..], &many, &["--metric", "map11"]].concat()),
        ("ood", [&["eval", "ood", "run"], &ood[..], &["--k", "1,5", "--csv", "ood.csv"]].concat()),
    ];
    let mut cases: Vec<(&str, Value)> = Vec::new();
    for (name, command) in &commands {
        let ended = tiny.run(&[&command[..], &SIZE, &["--json"]].concat()).code(0);
        let events = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        cases.extend(events.map(|event: Value| (*name, event)));
    }
    assert_eq!(cases.len(), 9, "{cases:?}");
    fs::write(tiny.path("cases.json"), json!(cases).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/scikit_learn.py");
    let judged = Command::new(python).arg("-B").arg(script).arg(tiny.folder.path()).output()?;
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    let failures: Vec<String> = serde_json::from_str(&said)?;
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// Images of three classes whose colors overlap, and lists in which an image has any of two classes.
fn write_images(tiny: &Tiny) {
    for (set, counts) in SETS {
        let mut list = String::new();
        for (class, count) in counts.into_iter().enumerate() {
            let folder = tiny.path(&format!("photos/{set}/{class}"));
            fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let seed = i * 31 + class as u32 * 1009 + set.len() as u32 * 5003;
                let noise = |n: u32| (seed.wrapping_mul(2_654_435_761).rotate_left(n) % 97) as u8;
                let (bright, warm) = (noise(3) > 48, noise(11) > 60);
                let base = [class as u8 * 40, 80 - class as u8 * 30, if warm { 90 } else { 20 }];
                let shade = if bright { 60 } else { 10 };
                let image = image::RgbImage::from_fn(32, 32, |x, y| {
                    let grain = (x * 7 + y * 13 + seed) % 23;
                    let color = |c: usize| base[c] + shade + noise(5 * c as u32) / 2 + grain as u8;
                    image::Rgb([color(0), color(1), color(2)])
                });
                image.save(folder.join(format!("{i:02}.png"))).unwrap();
                let labels = [("bright", bright ^ (i % 7 == 0)), ("warm", warm ^ (i % 5 == 0))];
                let labels = labels.iter().filter(|of| of.1).map(|of| of.0).collect::<Vec<_>>();
                list += &format!("photos/{set}/{class}/{i:02}.png,{}\n", labels.join(";"));
            }
        }
        fs::write(tiny.path(&format!("many-{set}.csv")), list).unwrap();
    }
}
