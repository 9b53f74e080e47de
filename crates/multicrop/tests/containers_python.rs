//! Compares folders, tar archives, WebDataset shards and lists that `python/containers_matrix.py`
//! writes with `tarfile`, `webdataset` and `datasets`: the same images, labels and order.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks these packages or Pillow. If the order
//! differs on purpose, the name of the case says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "figures of a comparison are its result")]

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use multicrop::dataset::{OpenOptions, Sample, open_with};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Families of cases, each with its reference and the minimum number of cases.
const FAMILIES: [(&str, &str, usize); 5] = [
    ("folders", "folders_are_those_of_image_folder", 40),
    ("parts", "parts_are_those_of_datasets", 16),
    ("tars", "tars_are_what_tarfile_unpacks", 180),
    ("web_dataset", "shards_are_what_webdataset_reads", 192),
    ("lists", "lists_are_what_csv_json_and_datasets_read", 242),
];

/// A source, and what Python reads from it.
#[derive(Deserialize)]
struct Case {
    family: String,
    name: String,
    source: String,
    options: HashMap<String, String>,
    /// SHA-256 of the bytes of each image.
    images: Vec<String>,
    /// The class name of each image.
    labels: Vec<Option<String>>,
    /// Whether the order is compared too.
    order: bool,
}

fn main() {
    let arguments = Arguments::from_args();
    let out = tempfile::tempdir().unwrap();
    let cases = match arguments.list {
        true => Err("not generated for a list".to_owned()),
        false => generate(out.path()).map(Arc::new),
    };
    let trials = FAMILIES.iter().map(|&(family, name, least)| match &cases {
        Ok(cases) => {
            let cases = Arc::clone(cases);
            Trial::test(name, move || compare(&cases, family, least))
        }
        Err(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
    });
    let trials = trials.collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // removed here, because `exit` runs no destructors
    drop(out);
    conclusion.exit();
}

/// The cases that Python writes, or the reason why there are none.
fn generate(out: &Path) -> Result<Vec<Case>, String> {
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let found = Command::new(&python).args(["-c", "import PIL, datasets, webdataset"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return Err("needs python3 or $DINO_VMF_PYTHON with Pillow, datasets, webdataset".into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/containers_matrix.py");
    let mut command = Command::new(&python);
    let command = command.arg("-B").arg(script).arg(out).stdout(Stdio::null());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script that makes the sources failed: {errors}");
    Ok(serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap())
}

fn compare(cases: &[Case], family: &str, least: usize) -> Result<(), Failed> {
    let cases: Vec<_> = cases.iter().filter(|case| case.family == family).collect();
    let faults: Vec<_> =
        cases.iter().filter_map(|case| Some((&case.name, check(case).err()?))).collect();
    println!("{family}: {} sources, {} equal", cases.len(), cases.len() - faults.len());
    if cases.len() < least {
        return Err(format!("only {} cases of {least} were made", cases.len()).into());
    }
    if faults.is_empty() {
        return Ok(());
    }
    let faults: Vec<_> = faults.iter().map(|(name, fault)| format!("{name}: {fault}")).collect();
    Err(faults.join("\n").into())
}

/// The differences from Python.
fn check(case: &Case) -> Result<(), String> {
    let options = OpenOptions {
        image_extension: case.options.get("image_extension").cloned(),
        ..OpenOptions::default()
    };
    let data = open_with(&case.source, &options).map_err(|error| error.to_string())?;
    let label = |index| data.label(index).map(|label| data.classes()[label as usize].clone());
    let image = |index| match data.read(index) {
        Ok(Sample::Encoded(bytes)) => Ok((digest(&bytes), label(index))),
        Ok(Sample::Page { .. } | Sample::Pixels(_)) => Err("no image file".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let mut found = (0..data.len()).map(image).collect::<Result<Vec<_>, _>>()?;
    if !case.order {
        found.sort();
    }
    let expected: Vec<_> = case.images.iter().cloned().zip(case.labels.iter().cloned()).collect();
    if found.len() != expected.len() {
        return Err(format!("{} images, but {} in Python", found.len(), expected.len()));
    }
    match found.iter().zip(&expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(place) => Err(format!(
            "image {place} (`{}`) is {:?}, but {:?} in Python",
            data.name(place),
            found[place],
            expected[place]
        )),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
