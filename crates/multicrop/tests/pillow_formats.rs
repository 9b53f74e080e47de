//! Compares every image format with Pillow, on a generated matrix of files
//! (`tests/pillow/files.py`) with one test for each part. A file must have Pillow's pixels, or be
//! refused by both, or be refused by us with the name of an unsupported feature.
//!
//! Needs `python3` (or `$DINO_VMF_PYTHON`) with Pillow 12 or newer and numpy; without them all
//! parts count as ignored. `DINO_VMF_PICTURES=folder` compares the files below a folder instead,
//! and prints the differences.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "figures of a comparison are its result")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use multicrop::SampleError;
use multicrop::decode::{Options, decode};
use serde_json::Value;

/// Parts of the matrix, the functions of `files.py`.
const PARTS: [&str; 24] = [
    "tiff_rgb",
    "tiff_gray_and_palette",
    "tiff_alpha_and_ink",
    "tiff_order_of_bits",
    "tiff_big",
    "tiff_by_libtiff",
    "tiff_fax",
    "tiff_jpeg",
    "tiff_luma_and_chroma",
    "tiff_cut",
    "png_depths",
    "png_transparency",
    "png_palettes",
    "png_filters",
    "png_cut",
    "orientation_png",
    "orientation_webp",
    "orientation_tiff",
    "orientation_jpeg",
    "webp",
    "webp_cut",
    "gif",
    "pnm",
    "bmp",
];

/// Number of differing files that are named.
const LISTED: usize = 40;

fn main() {
    let mut arguments = Arguments::from_args();
    // one thread keeps the output of a part together, and parts are short
    arguments.test_threads = Some(1);
    let pictures = env::var_os("DINO_VMF_PICTURES").map(PathBuf::from);
    let out = tempfile::tempdir().unwrap();
    let expected = match arguments.list {
        true => Err("not generated for a list".to_owned()),
        false => expect(out.path(), pictures.as_deref()).map(Arc::new),
    };
    let names = if pictures.is_some() { &["pictures"][..] } else { &PARTS[..] };
    let trials = names.iter().map(|&name| match &expected {
        Ok(expected) => {
            let (expected, folder) = (Arc::clone(expected), out.path().to_owned());
            let strict = pictures.is_none();
            Trial::test(format!("{name}_is_what_pillow_reads"), move || {
                compare(&expected, &folder, name, strict)
            })
        }
        Err(reason) => Trial::test(format!("{name}_is_what_pillow_reads"), || Ok(()))
            .with_kind(reason)
            .with_ignored_flag(true),
    });
    let trials = trials.collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// The manifest that Python writes, or the reason why there is none.
fn expect(out: &Path, pictures: Option<&Path>) -> Result<Vec<Value>, String> {
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| "python3".into());
    let probe =
        "import numpy, PIL; assert int(PIL.__version__.split('.')[0]) >= 12, PIL.__version__";
    let found = Command::new(&python).args(["-c", probe]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return Err("needs python3 or $DINO_VMF_PYTHON with Pillow 12 and numpy".into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow/expect.py");
    let status = Command::new(&python)
        .arg("-B")
        .arg(script)
        .arg(out)
        .args(pictures)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the script that makes the files failed: {status}");
    Ok(serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap())
}

/// The results for the files of a part.
#[derive(Default)]
struct Figures {
    tried: usize,
    equal: usize,
    refused_by_both: usize,
    read_by_us_only: usize,
    refused_by_us: BTreeMap<String, usize>,
    faults: Vec<String>,
}

fn compare(expected: &[Value], folder: &Path, part: &str, strict: bool) -> Result<(), Failed> {
    let mut figures = Figures::default();
    for (number, entry) in expected.iter().enumerate().filter(|(_, entry)| entry["part"] == part) {
        figures.tried += 1;
        let file = fs::read(entry["path"].as_str().unwrap()).unwrap();
        let pixels = |mode: &str| fs::read(folder.join(format!("{number}.{mode}"))).unwrap();
        match check(entry, &file, pixels) {
            Outcome::Equal => figures.equal += 1,
            Outcome::RefusedByBoth => figures.refused_by_both += 1,
            Outcome::RefusedByName(name) => *figures.refused_by_us.entry(name).or_default() += 1,
            Outcome::ReadByUsOnly(_) if !strict => figures.read_by_us_only += 1,
            Outcome::ReadByUsOnly(fault) | Outcome::Fault(fault) => {
                figures.faults.push(format!("{}: {fault}", entry["name"].as_str().unwrap()));
            }
        }
    }
    let by_us: usize = figures.refused_by_us.values().sum();
    println!(
        "{part}: tried {}, equal {}, refused by both {}, by us only {by_us}, read by us only {}, wrong {}",
        figures.tried,
        figures.equal,
        figures.refused_by_both,
        figures.read_by_us_only,
        figures.faults.len()
    );
    for (name, count) in &figures.refused_by_us {
        println!("    {count} {name}");
    }
    if figures.faults.is_empty() && figures.tried > 0 {
        return Ok(());
    }
    let listed = if strict { LISTED } else { usize::MAX };
    Err(figures.faults.into_iter().take(listed).collect::<Vec<_>>().join("\n").into())
}

enum Outcome {
    Equal,
    RefusedByBoth,
    /// Refused by us, as not yet supported.
    RefusedByName(String),
    ReadByUsOnly(String),
    Fault(String),
}

fn check(entry: &Value, file: &[u8], pixels: impl Fn(&str) -> Vec<u8>) -> Outcome {
    let tolerance = entry["tolerance"].as_u64().unwrap_or(0) as u8;
    let refused = entry.get("refused").map(|reason| reason.as_str().unwrap());
    for (mode, channels) in [("RGB", 3), ("L", 1), ("RGBA", 4)] {
        let image = match (decode(file, &Options { channels, ..Options::default() }), refused) {
            (Err(_), Some(_)) => return Outcome::RefusedByBoth,
            (Err(SampleError::Unsupported { what }), None) => return Outcome::RefusedByName(what),
            (Err(error), None) => return Outcome::Fault(format!("{mode}: {error}")),
            (Ok(_), Some(reason)) => {
                return Outcome::ReadByUsOnly(format!("read, but Pillow says {reason}"));
            }
            (Ok(image), None) => image,
        };
        let size = (u64::from(image.width()), u64::from(image.height()));
        let wanted = (entry["width"].as_u64().unwrap(), entry["height"].as_u64().unwrap());
        if size != wanted {
            return Outcome::Fault(format!("{mode}: {size:?} pixels, not {wanted:?}"));
        }
        let wanted = pixels(mode);
        let off = image.pixels().iter().zip(&wanted).filter(|(a, b)| a.abs_diff(**b) > tolerance);
        let count = off.clone().count();
        if count > 0 || image.pixels().len() != wanted.len() {
            let largest = off.map(|(a, b)| a.abs_diff(*b)).max();
            let total = wanted.len();
            return Outcome::Fault(format!("{mode}: {count} of {total} differ, by {largest:?}"));
        }
    }
    Outcome::Equal
}
