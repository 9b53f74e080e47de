//! Compares parquet files that `python/parquet_matrix.py` writes with pyarrow and `datasets`: the
//! same images, labels and order as these packages read.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks pyarrow, `datasets` or Pillow.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "figures that a reader of the log wants")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use multicrop::dataset::{OpenOptions, Sample, open_with};
use multicrop::error::SampleError;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Families of cases, each a test, with their numbers of cases.
const FAMILIES: [(&str, usize); 5] =
    [("storage", 291), ("types", 48), ("labels", 84), ("files", 7), ("hugging_face", 4)];

/// A source, and what Python reads from it.
#[derive(Deserialize)]
struct Case {
    family: String,
    name: String,
    source: PathBuf,
    /// SHA-256 of the bytes of each image.
    images: Vec<Option<String>>,
    labels: Vec<Label>,
    options: HashMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Label {
    Number(u32),
    Name(String),
    None,
}

/// The output of the script.
struct Matrix {
    root: TempDir,
    cases: Vec<Case>,
}

fn python() -> String {
    std::env::var("DINO_VMF_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn has_packages() -> bool {
    let check = ["-c", "import pyarrow, datasets, PIL"];
    Command::new(python()).args(check).output().is_ok_and(|output| output.status.success())
}

fn generate() -> Result<Matrix, String> {
    let root = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/parquet_matrix.py");
    let output = Command::new(python()).arg(script).arg(root.path()).output().unwrap();
    if !output.status.success() {
        return Err(format!("the script failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let cases = std::fs::read(root.path().join("cases.json")).unwrap();
    Ok(Matrix { cases: serde_json::from_slice(&cases).unwrap(), root })
}

/// The differences, if there are any.
fn compare(case: &Case, root: &Path) -> Result<(), String> {
    let options = OpenOptions {
        label_column: case.options.get("label_column").cloned(),
        image_column: case.options.get("image_column").cloned(),
        ..OpenOptions::default()
    };
    let source = root.join(&case.source);
    let data = open_with(source.to_str().unwrap(), &options).map_err(|error| error.to_string())?;
    if data.len() != case.images.len() {
        return Err(format!("{} images, not {}", data.len(), case.images.len()));
    }
    // without names, numbers are the classes
    for (index, (image, label)) in case.images.iter().zip(&case.labels).enumerate() {
        let found = match data.read(index) {
            Ok(Sample::Encoded(bytes)) => {
                let digest = Sha256::digest(&bytes);
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Err(SampleError::Empty) => None,
            other => return Err(format!("image {index}: {other:?}")),
        };
        if found != *image {
            return Err(format!("image {index} is {found:?}, not {image:?}"));
        }
        let name = data.label(index).map(|class| data.classes()[class as usize].clone());
        let expected = match label {
            Label::Number(number) => Some(number.to_string()),
            Label::Name(name) => Some(name.clone()),
            Label::None => None,
        };
        if name != expected {
            return Err(format!("label {index} is {name:?}, not {expected:?}"));
        }
    }
    Ok(())
}

fn check(family: &str, expected: usize, matrix: &Result<Matrix, String>) -> Result<(), Failed> {
    let matrix = matrix.as_ref()?;
    let cases: Vec<_> = matrix.cases.iter().filter(|case| case.family == family).collect();
    let compare =
        |case: &&Case| Some(format!("{}: {}", case.name, compare(case, matrix.root.path()).err()?));
    let wrong: Vec<_> = cases.iter().filter_map(compare).collect();
    if cases.len() != expected {
        return Err(format!("{} cases, not {expected}", cases.len()).into());
    }
    let equal = cases.len() - wrong.len();
    println!("{family}: {equal} of {} sources are equal", cases.len());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = !has_packages();
    let matrix = Arc::new(OnceLock::new());
    let trial = |(family, count): (&'static str, usize)| {
        let matrix = Arc::clone(&matrix);
        let name = format!("parquet_{family}_is_read_as_by_pyarrow_and_datasets");
        let run = move || check(family, count, matrix.get_or_init(generate));
        let trial = Trial::test(name, run).with_ignored_flag(missing);
        if missing { trial.with_kind("needs Python with pyarrow, datasets, Pillow") } else { trial }
    };
    libtest_mimic::run(&arguments, FAMILIES.into_iter().map(trial).collect()).exit_code()
}
