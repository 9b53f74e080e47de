//! Compares an event file with what `tensorboard` reads in it.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks the package.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use report::tensorboard::{EventFile, HyperParameter, Picture, Scalar};
use serde_json::{Value, json};

fn main() {
    let arguments = Arguments::from_args();
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let found = Command::new(&python).args(["-c", "import tensorboard"]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    let name = "tensorboard_reads_what_is_written";
    let trial = match is_there {
        true => Trial::test(name, move || compare(&python)),
        false => Trial::test(name, || Ok(()))
            .with_kind("needs python3 or $DINO_VMF_PYTHON with tensorboard")
            .with_ignored_flag(true),
    };
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

fn compare(python: &OsString) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_events.py");
    let output = Command::new(python).arg("-B").arg(script).arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tensorboard cannot read the file: {errors}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "scalars": { "train/loss": [[1, 4.5], [2, 4.25]], "eval/knn_k20_top1/raw": [[0, 32.5]] },
        "about": "nats",
        "text": [[0, "```toml\nseed = 0\n```"]],
        "images": [[0, "2", "1", "89504e47"]],
        "hyperparameters": { "optim.lr": 0.5, "model.arch": "vit_tiny", "data.strict": true },
    });
    assert_eq!(found, expected);
    Ok(())
}

/// Two processes of one run: the second goes on after step 1, so that step 2 of the first does not count.
fn write(folder: &Path) {
    let scalar = |tag: &str, value| Scalar { tag: tag.to_owned(), value, about: "nats" };
    let mut first = EventFile::create(folder, 0).unwrap();
    first.text(0, "config", "```toml\nseed = 0\n```").unwrap();
    let values = [
        ("optim.lr".to_owned(), HyperParameter::Number(0.5)),
        ("model.arch".to_owned(), HyperParameter::Text("vit_tiny".to_owned())),
        ("data.strict".to_owned(), HyperParameter::Bool(true)),
    ];
    first.hyperparameters(&values).unwrap();
    let pixels = vec![255, 0, 0, 1, 2, 3];
    first.image(0, "data/crops", &Picture { width: 2, height: 1, pixels }).unwrap();
    first.scalars(0, &[scalar("eval/knn_k20_top1/raw", 32.5)]).unwrap();
    for step in [1, 2] {
        first.scalars(step, &[scalar("train/loss", 4.5)]).unwrap();
    }
    let mut second = EventFile::create(folder, 1).unwrap();
    second.scalars(2, &[scalar("train/loss", 4.25)]).unwrap();
}
