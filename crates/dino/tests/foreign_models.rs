//! Opens networks of other programs, and compares their tokens with those that these programs compute.
//!
//! Models of timm and transformers with random weights: ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks
//! torch, timm or transformers. The trained ViT-S/14: ignored unless `$DINO_VMF_VITS14` names its file, which
//! `golden/extract_vits14.py` in the shared folder writes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dino::open::{Choices, Opened, open, open_with};
use engine::ops::patch_embed::Images;
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::SafeTensors;
use serde::Deserialize;
use vit::{Crops, Network, Resampling, Tokens};

/// A file, and what is expected of it.
#[derive(Deserialize)]
struct Case {
    path: String,
    /// Part of the message that refuses it.
    error: Option<String>,
    #[serde(default)]
    format: String,
    #[serde(default)]
    tokens: String,
    /// Largest difference, relative to the largest value.
    #[serde(default)]
    tolerance: f32,
    heads: Option<usize>,
}

fn main() {
    let arguments = Arguments::from_args();
    let out = tempfile::tempdir().unwrap();
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let folder = out.path().to_owned();
    let has_python = has_packages(&python);
    let needs_python = "needs python3 or $DINO_VMF_PYTHON with torch, timm, transformers";
    let needs_file = "needs $DINO_VMF_VITS14, see golden/extract_vits14.py, and DINO_VMF_SHARED";
    let file = env::var_os("DINO_VMF_VITS14").map(PathBuf::from);
    let stored = Path::new(goldens::folder!()).join("vits14.safetensors");
    let file = file.filter(|_| stored.is_file());
    let has_file = file.is_some();
    let trials = vec![
        Trial::test("models_of_pytorch_give_their_tokens", move || all_models(&python, &folder))
            .with_kind(if has_python { "" } else { needs_python })
            .with_ignored_flag(!has_python),
        Trial::test("the_trained_vits14_gives_the_stored_tokens", move || {
            trained(&file.unwrap(), &stored)
        })
        .with_kind(if has_file { "" } else { needs_file })
        .with_ignored_flag(!has_file),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    // removed here, because `exit` runs no destructors
    drop(out);
    conclusion.exit();
}

fn has_packages(python: &OsString) -> bool {
    let names = "from importlib.util import find_spec as f; \
                 assert all(map(f, ['torch', 'timm', 'transformers', 'safetensors']))";
    Command::new(python).args(["-c", names]).output().is_ok_and(|output| output.status.success())
}

fn all_models(python: &OsString, folder: &Path) -> Result<(), Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/foreign_models.py");
    let mut command = Command::new(python);
    let output = command.arg("-B").arg(script).arg(folder).stdout(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script that makes the models failed: {errors}");
    let cases: Vec<Case> =
        serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let failed: Vec<_> = cases.iter().filter_map(|case| model(folder, case).err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failed::from(failed.join("\n"))) }
}

fn model(folder: &Path, case: &Case) -> Result<(), String> {
    let name = &case.path;
    let choices = Choices { heads: case.heads, ..Choices::default() };
    let opened = match (open_with(&folder.join(name), &choices), &case.error) {
        (Ok(opened), None) => opened,
        (Ok(_), Some(error)) => return Err(format!("{name}: not refused for `{error}`")),
        (Err(found), Some(error)) if found.to_string().contains(error) => return Ok(()),
        (Err(found), _) => return Err(format!("{name}: {found}")),
    };
    if !opened.origin.starts_with(&case.format) {
        return Err(format!("{name} is a {}, not a {}", opened.origin, case.format));
    }
    let bytes = fs::read(folder.join(&case.tokens)).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    for (pixels, tokens) in [("pixels", "tokens"), ("other_pixels", "other_tokens")] {
        let Ok(image) = stored.tensor(pixels) else { continue };
        let [count, channels, height, width] = *image.shape() else { panic!("{pixels}") };
        let images = Images { count, channels, height, width };
        let found = infer(&opened, &opened.network, &floats(&stored, pixels), images);
        let expected = floats(&stored, tokens);
        let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        let difference = difference(&found, &expected);
        if difference.is_nan() || difference > case.tolerance * largest {
            return Err(format!("{name}: {tokens} differ by {difference} of {largest}"));
        }
    }
    Ok(())
}

/// Both stored images, with both rules for the positions. A file of this size is named by its tensors alone, so
/// the rule is set here.
fn trained(file: &Path, stored: &Path) -> Result<(), Failed> {
    let opened = open(file)?;
    let bytes = fs::read(stored)?;
    let stored = SafeTensors::deserialize(&bytes)?;
    let [mean, std] = [opened.config.data.mean(), opened.config.data.std()];
    for (image, offset, tokens) in [
        ("square", 0.0, "tokens"),
        ("square", 0.1, "tokens_offset01"),
        ("wide", 0.0, "tokens"),
        ("wide", 0.1, "tokens_offset01"),
    ] {
        let mut shape = opened.network.backbone.shape().clone();
        shape.resampling = Resampling { offset, antialias: false };
        let network = Network::new(&shape, opened.network.head.shape());
        let rgb = stored.tensor(&format!("{image}/image"))?;
        let [height, width, channels] = *rgb.shape() else { panic!("{image}") };
        let pixel = |(c, i): (usize, usize)| {
            (f64::from(rgb.data()[i * channels + c]) / 255.0 - mean[c]) / std[c]
        };
        let planes = (0..channels).flat_map(|c| (0..height * width).map(move |i| (c, i)));
        let pixels: Vec<f32> = planes.map(|at| pixel(at) as f32).collect();
        let images = Images { count: 1, channels, height, width };
        let mut found = infer(&opened, &network, &pixels, images);
        let expected = floats(&stored, &format!("{image}/{tokens}"));
        found.truncate(expected.len()); // of the second rule, the first nine tokens are stored
        let difference = difference(&found, &expected);
        assert!(difference <= 2e-4, "{image}, offset {offset}: tokens differ by {difference}");
    }
    Ok(())
}

fn infer(opened: &Opened, network: &Network, pixels: &[f32], images: Images) -> Vec<f32> {
    let crops = [Crops::new(pixels, images)];
    let tokens = network.backbone.infer(&opened.teacher, &crops, Tokens::All).into_host();
    tokens.host().to_vec()
}

/// The largest difference; NaN if the lengths differ.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::NAN;
    }
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0, |largest, (a, b)| {
        let difference = (a - b).abs();
        if difference <= largest { largest } else { difference }
    })
}

fn floats(stored: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = stored.tensor(name).unwrap().data();
    data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
