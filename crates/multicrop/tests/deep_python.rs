//! Compares images of more than 8 bits with Python (`tests/deep/files.py`): what `tifffile`,
//! `imagecodecs` and numpy wrote must be read exactly, and crops must be those of Pillow's mode `F`,
//! scipy and numpy.
//!
//! Needs `python3` (or `$DINO_VMF_PYTHON`) with the packages of `scripts/judges.txt`; without them all
//! parts count as ignored.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use multicrop::augment::CropParameters;
use multicrop::augment::color_jitter::{Adjustment, Jitter};
use multicrop::decode::{Options, Pages, decode_stored};
use multicrop::image::{DeepImage, Image, Rect};
use multicrop::recipe::Recipe;
use serde_json::Value;

/// Largest difference of a normalized value: 1e-5 of the range, by the smallest standard deviation.
const TOLERANCE: f32 = 1e-4;

/// Compares the files in a folder with its manifest.
type Test = fn(&Value, &Path) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let out = tempfile::tempdir().unwrap();
    let manifest = match arguments.list {
        true => Err("not generated for a list".to_owned()),
        false => write_files(out.path()).map(Arc::new),
    };
    let tests: [(&str, Test); 5] = [
        ("tiffs_have_the_values_that_tifffile_wrote", |all, out| stored(all, out, "tiff", 400)),
        ("pages_have_the_values_that_tifffile_wrote", |all, out| stored(all, out, "pages", 4)),
        ("pngs_of_16_bits_have_their_values", |all, out| stored(all, out, "png", 3)),
        ("pgm_and_ppm_of_16_bits_have_their_values", |all, out| stored(all, out, "pnm", 2)),
        ("crops_of_floats_are_those_of_pillow_scipy_and_numpy", augmented),
    ];
    let trials = tests.map(|(name, test)| match &manifest {
        Ok(manifest) => {
            let (manifest, out) = (Arc::clone(manifest), out.path().to_owned());
            Trial::test(name, move || test(&manifest, &out))
        }
        Err(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// The manifest that Python writes, or the reason why there is none.
fn write_files(out: &Path) -> Result<Value, String> {
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = ["-c", "import PIL, imagecodecs, numpy, scipy, tifffile"];
    if !Command::new(&python).args(probe).output().is_ok_and(|output| output.status.success()) {
        return Err("needs python3 or $DINO_VMF_PYTHON with tifffile, imagecodecs and scipy".into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deep/files.py");
    let made = Command::new(&python).arg(script).arg(out).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap())
}

fn floats(out: &Path, name: &Value) -> Vec<f32> {
    let bytes = fs::read(out.join(name.as_str().unwrap())).unwrap();
    bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

fn whole(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

/// Reads the files of a part, of which there are at least `least`.
fn stored(manifest: &Value, out: &Path, part: &str, least: usize) -> Result<(), Failed> {
    let entries = manifest["stored"].as_array().unwrap();
    let entries: Vec<_> = entries.iter().filter(|entry| entry["part"] == part).collect();
    assert!(entries.len() >= least, "{} files", entries.len());
    for entry in entries {
        let name = entry["file"].as_str().unwrap();
        let pages = match &entry["page"] {
            Value::String(_) => Pages::Channels,
            page => Pages::One(page.as_u64().unwrap_or(0) as usize),
        };
        let channels = whole(&entry["channels"]) as usize;
        let options = Options { channels, pages, ..Options::default() };
        let bytes = fs::read(out.join(name)).unwrap();
        let found = decode_stored(&bytes, &options).map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(found.channels, channels, "{name}");
        let Image::F32(image) = found.pixels else { return Err(format!("{name}: bytes").into()) };
        let size = [image.width(), image.height()];
        assert_eq!(size, [whole(&entry["width"]), whole(&entry["height"])], "{name}");
        let expected = floats(out, &entry["values"]);
        let pairs = image.pixels().iter().zip(&expected);
        let wrong = pairs.filter(|(found, expected)| found != expected).count();
        assert_eq!((image.pixels().len(), wrong), (expected.len(), 0), "{name} as {entry}");
    }
    Ok(())
}

/// Makes crops with given parameters.
fn augmented(manifest: &Value, out: &Path) -> Result<(), Failed> {
    let entries = manifest["augmented"].as_array().unwrap();
    assert!(entries.len() >= 18);
    for entry in entries {
        let (width, height) = (whole(&entry["width"]), whole(&entry["height"]));
        let channels = whole(&entry["channels"]) as usize;
        let pixels = floats(out, &entry["image"]);
        let image = DeepImage::with_channels(width, height, channels, pixels).unwrap();
        let parameters = parameters(entry);
        let list = |name: &str| -> Vec<f32> {
            let values = entry[name].as_array().unwrap().iter();
            values.map(|value| value.as_f64().unwrap() as f32).collect()
        };
        let recipe = Recipe { mean: list("mean"), std: list("std"), ..Recipe::dino(32, 16, 2) };
        let expected = floats(out, &entry["values"]);
        let mut found = vec![f32::NAN; expected.len()];
        recipe.apply(&parameters, &image, &mut found);
        let pairs = found.iter().zip(&expected).filter(|(_, expected)| !expected.is_nan());
        let worst = pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
        assert!(worst < TOLERANCE, "off by {worst}: {entry}");
    }
    Ok(())
}

fn parameters(entry: &Value) -> CropParameters {
    let [left, top, width, height] = [0, 1, 2, 3].map(|i| whole(&entry["box"][i]));
    let jitter = &entry["jitter"];
    let number = |name: &str| jitter[name].as_f64().unwrap();
    let adjustment = |i: usize| match jitter["order"][i].as_str().unwrap() {
        "brightness" => Adjustment::Brightness,
        "contrast" => Adjustment::Contrast,
        "saturation" => Adjustment::Saturation,
        _ => Adjustment::Hue,
    };
    CropParameters {
        size: whole(&entry["size"]),
        source: Rect { left, top, width, height },
        flip: entry["flip"].as_bool().unwrap(),
        flip_vertical: false,
        quarter_turns: 0,
        jitter: Some(Jitter {
            order: [0, 1, 2, 3].map(adjustment),
            brightness: number("brightness"),
            contrast: number("contrast"),
            saturation: number("saturation"),
            hue: number("hue"),
        }),
        grayscale: entry["gray"].as_bool().unwrap(),
        blur: entry["sigma"].as_f64(),
        solarize: entry["threshold"].as_u64().map(|threshold| threshold as u32),
    }
}
