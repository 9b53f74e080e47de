//! Opens converted checkpoints with PyTorch, timm and transformers, and compares tokens.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks these packages.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixtures;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use fixtures::Tiny;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

const NATIVE: u32 = 32;
const OTHER: u32 = 48;

/// Runs of this program: a name, settings, and the formats that hold the network.
const RUNS: [(&str, &[&str], &[&str]); 3] = [
    (
        "plain",
        &["objective.method=dino", "objective.prototype_norm=free"],
        &["dino", "ibot", "timm", "hf"],
    ),
    ("masked", &["objective.method=ibot"], &["dino", "ibot", "timm", "hf"]),
    (
        "scaled",
        &[
            "model.layer_scale=0.5",
            "model.registers=4",
            "model.position_offset=exact",
            "model.position_antialias=true",
        ],
        &["timm", "hf"],
    ),
];

/// Models that Python writes, and the formats that hold them.
const FOREIGN: [(&str, &[&str]); 5] = [
    ("vit", &["timm", "hf"]),
    ("dinov2", &["ibot", "timm", "hf"]),
    ("swiglu", &["timm", "hf"]),
    ("registers", &["timm", "hf"]),
    ("official.pth", &["ibot", "timm", "hf"]),
];

fn main() {
    let arguments = Arguments::from_args();
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let packages = "['torch', 'timm', 'transformers', 'safetensors', 'numpy', 'PIL']";
    let find = format!("import importlib.util as u; assert all(map(u.find_spec, {packages}))");
    let found = Command::new(&python).args(["-c", &find]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    let name = "pytorch_timm_and_transformers_compute_the_same_tokens";
    let trial = match is_there {
        true => Trial::test(name, move || compare(&python)),
        false => Trial::test(name, || Ok(()))
            .with_kind("needs python3 or $DINO_VMF_PYTHON with torch, timm, transformers, pillow")
            .with_ignored_flag(true),
    };
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

fn compare(python: &OsString) -> Result<(), Failed> {
    let tiny = Tiny::new();
    for size in [NATIVE, OTHER] {
        write_images(&tiny.path(&format!("images{size}")), size);
    }
    let mut judge = Judge::start(python, tiny.folder.path());
    let mut cases = Vec::new();
    for (name, settings, formats) in RUNS {
        train(&tiny, name, settings);
        convert(&tiny, name, formats, &mut cases);
    }
    for (name, formats) in FOREIGN {
        convert(&tiny, name, formats, &mut cases);
    }
    for (run, format, learns_norms) in [("plain", "dino", true), ("masked", "ibot", false)] {
        let path = format!("{run}-full.pth");
        tiny.run(&["convert", run, &path, "--to", format, "--full"]).code(0);
        cases.push(json!({
            "training": true, "path": path, "format": format, "learns_norms": learns_norms, "steps": 2,
            "has_center": true, "run": format!("{run}/checkpoints/step-00000002/model.safetensors"),
        }));
    }
    fs::write(tiny.path("cases.json"), Value::from(cases).to_string()).unwrap();
    let failures = judge.failures();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Images of one size, so that nothing is resized.
fn write_images(folder: &Path, size: u32) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..3 {
        let image = image::RgbImage::from_fn(size, size, |x, y| {
            image::Rgb([(x * 5 + i * 40) as u8, (y * 7 + x) as u8, (x * y + i * 90) as u8])
        });
        image.save(folder.join(format!("{i}.png"))).unwrap();
    }
}

/// Trains a network with weights that make every layer count, and writes its tokens.
fn train(tiny: &Tiny, name: &str, settings: &[&str]) {
    let common =
        ["--steps", "2", "--set", "model.init_std=0.2", "--set", "optim.lr=0.01", "--out", name];
    let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
    tiny.pretrain(&common.into_iter().chain(settings).collect::<Vec<_>>()).code(0);
    for size in [NATIVE, OTHER].map(|size| size.to_string()) {
        let (images, out) = (format!("images{size}"), format!("{name}.{size}.safetensors"));
        let columns = ["--features", "cls,patches"];
        let view = ["--resize", &size, "--crop", &size];
        let words = [&["features", "--checkpoint", name, &images][..], &view, &columns].concat();
        tiny.run(&[&words[..], &["--out", &out]].concat()).code(0);
        fs::rename(tiny.path(&out), tiny.path(&format!("{name}.{size}.tokens"))).unwrap();
    }
}

/// Converts a checkpoint to each format: as it is for images of its own size, and with a table for the other one.
fn convert(tiny: &Tiny, name: &str, formats: &[&str], cases: &mut Vec<Value>) {
    for format in formats {
        let ending = match *format {
            "hf" => "",
            "timm" => ".safetensors",
            _ => ".pth",
        };
        for (table, size) in [(NATIVE, NATIVE), (OTHER, OTHER)] {
            let path = format!("{name}-{format}-{table}{ending}");
            let mut words = vec!["convert", name, &path, "--to", format, "--json"];
            let table_text = table.to_string();
            if table != NATIVE {
                words.extend(["--image-size", &table_text]);
            }
            if name == "official.pth" || name == "registers" {
                words.extend(["--heads", "2"]);
            }
            let converted = tiny.run(&words).code(0).last_event();
            let path_there = tiny.path(&path).display().to_string();
            let python = converted["python"].as_str().unwrap().replace(&path, &path_there);
            cases.push(json!({
                "path": path, "format": format, "source": name, "table": table, "size": size, "python": python,
            }));
            // the table of the network's own size, where both programs resample it in the same way
            let same = match *format {
                "dino" => true,
                "ibot" => name != "dinov2",
                "hf" => !["plain", "masked", "official.pth"].contains(&name),
                _ => name == "registers" || name == "scaled",
            };
            if table == NATIVE && same {
                let mut case = cases.last().unwrap().clone();
                case["size"] = OTHER.into();
                cases.push(case);
            }
        }
    }
}

/// The Python program, which imports its packages once.
struct Judge {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Judge {
    /// Starts it, and waits for the models that it writes.
    fn start(python: &OsString, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/conversions.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut judge = Self { process, lines };
        assert_eq!(judge.line(), "made");
        judge
    }

    /// Lets it check all cases.
    fn failures(&mut self) -> Vec<String> {
        drop(self.process.stdin.take());
        let failures = serde_json::from_str(&self.line()).unwrap();
        assert!(self.process.wait().unwrap().success());
        failures
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the Python program has ended, see stderr").unwrap()
    }
}
