//! Every key of the configuration: extreme values are refused in a sentence, and no key is unread.
//!
//! [`TABLE`] says for each key what another value changes in a small run. A key that is not in the
//! table fails the test, so a new key comes with its line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use dino::config::{Config, keys};
use dino::memory::Estimate;
use dino::plan::{Facts, Plan, idle_keys};
use dino::trainer::{self, Event, Request};
use probe::Evaluated;
use serde_json::Value;

/// What another value must change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Changes {
    /// The weights at the end.
    Weights,
    /// Lines of `metrics.jsonl` that are no evaluation.
    Metrics,
    /// The evaluations, or the batches in which they go through the images.
    Evaluation,
    /// The checkpoints that are written and kept.
    Checkpoints,
    /// How the run ends.
    End,
    /// No result, or nothing in this crate: the test `1` in the file `0` looks at it.
    Elsewhere(&'static str, &'static str),
}
use Changes::{Checkpoints, Elsewhere, End, Evaluation, Metrics, Weights};

/// Key, another value, settings with which it matters, and what it changes then.
type Line = (&'static str, &'static str, &'static [&'static str], Changes);

const IBOT: &[&str] = &["objective.method=ibot"];
const VMF: &[&str] = &["objective.prototype_norm=vmf"];
const WIDE_VMF: &[&str] = &["objective.prototype_norm=vmf", "model.bottleneck_dim=32"];
const PHOTOS: &[&str] = &["data.source=photos"];
const SINKHORN: &[&str] = &["objective.centering=sinkhorn"];
const CHOICE: Changes =
    Elsewhere("dino-vmf/tests/all/person.rs", "keys_choose_the_image_and_its_label");
const PAGES: Changes = Elsewhere("dino-vmf/tests/all/deep.rs", "pages_are_images_or_channels");
const THREADS: Changes =
    Elsewhere("dino-vmf/tests/all/threads.rs", "any_number_of_threads_gives_the_same_bits");

const BEST: Changes =
    Elsewhere("dino-vmf/tests/all/during.rs", "the_best_checkpoint_is_kept_and_opened_by_its_name");
const INIT: Changes =
    Elsewhere("dino-vmf/tests/all/init.rs", "a_run_goes_on_from_another_with_its_heads");
const FOREIGN: Changes =
    Elsewhere("dino-vmf/tests/all/init.rs", "training_goes_on_from_checkpoints_of_dino_and_ibot");

const TABLE: &[Line] = &[
    ("seed", "1", &[], Weights),
    ("init.checkpoint", "", &[], INIT),
    ("init.key", "student", &[], FOREIGN),
    ("init.heads", "2", &[], FOREIGN),
    ("init.ignore", "[\"backbone.norm.bias\"]", &[], FOREIGN),
    (
        "init.fresh_heads",
        "true",
        &[],
        Elsewhere("dino-vmf/tests/all/init.rs", "fresh_heads_warm_up_on_a_frozen_backbone"),
    ),
    (
        "init.guard",
        "stop",
        &[],
        Elsewhere("dino-vmf/tests/all/init.rs", "worse_features_end_a_run_that_asks_for_it"),
    ),
    ("model.arch", "vit_tiny", &[], Weights),
    ("model.embed_dim", "32", &[], Weights),
    ("model.depth", "3", &[], Weights),
    ("model.heads", "4", &[], Weights),
    ("model.patch_size", "16", &[], Weights),
    ("model.mlp_ratio", "2", &[], Weights),
    ("model.drop_path", "0.5", &[], Weights),
    ("model.init_std", "0.05", &[], Weights),
    ("model.layer_scale", "0.1", &[], Weights),
    ("model.image_size", "48", &[], Weights),
    ("model.position_offset", "exact", &[], Weights),
    ("model.position_antialias", "true", &[], Weights),
    ("model.registers", "2", &[], Weights),
    ("model.mlp", "swiglu", &[], Weights),
    ("model.norm_eps", "1e-3", &[], Weights),
    ("model.head_hidden_dim", "24", &[], Weights),
    ("model.bottleneck_dim", "12", &[], Weights),
    ("model.prototypes", "48", &[], Weights),
    ("model.patch_prototypes", "24", IBOT, Weights),
    ("model.precision", "bf16", &[], Weights),
    ("data.source", "other", &[], Weights),
    ("data.global_size", "48", &[], Weights),
    ("data.local_size", "24", &[], Weights),
    ("data.local_crops", "1", &[], Weights),
    ("data.global_scale", "[0.5, 0.6]", &[], Weights),
    ("data.local_scale", "[0.3, 0.4]", &[], Weights),
    ("data.aspect", "[1.0, 1.0]", &[], Weights),
    ("data.flip_p", "0", &[], Weights),
    ("data.vflip_p", "1", &[], Weights),
    ("data.rotate90_p", "1", &[], Weights),
    ("data.jitter_p", "0", &[], Weights),
    ("data.brightness", "0", &[], Weights),
    ("data.contrast", "0", &[], Weights),
    ("data.saturation", "0", &[], Weights),
    ("data.hue", "0", &[], Weights),
    ("data.grayscale_p", "1", &[], Weights),
    ("data.blur_p_first", "0", &[], Weights),
    ("data.blur_p_second", "1", &[], Weights),
    ("data.blur_p_local", "0", &[], Weights),
    ("data.blur_radius", "[1.0, 1.5]", &[], Weights),
    ("data.solarize_p", "1", &[], Weights),
    ("data.solarize_threshold", "64", &[], Weights),
    ("data.channels", "1", &[], Weights),
    ("data.range", "[0, 128]", &[], Weights),
    ("data.pages", "channels", &[], PAGES),
    ("data.mean", "[0.1, 0.2, 0.3]", &[], Weights),
    ("data.std", "[0.5, 0.5, 0.5]", &[], Weights),
    ("data.orientation", "false", PHOTOS, Weights),
    ("data.reduced_for", "8", PHOTOS, Weights),
    ("data.max_pixels", "1000", &["data.strict=true"], End),
    ("data.image_column", "photo", &[], CHOICE),
    ("data.label_column", "kind", &[], CHOICE),
    ("data.image_extension", "png", &[], CHOICE),
    ("data.strict", "true", &["data.source=damaged"], End),
    ("objective.method", "ibot", &[], Weights),
    ("objective.prototype_norm", "free", &[], Weights),
    ("objective.centering", "prob-a", &[], Weights),
    ("objective.debye_terms", "exact", WIDE_VMF, Weights),
    ("objective.student_temp", "0.2", &[], Weights),
    ("objective.teacher_temp_start", "0.05", &[], Weights),
    ("objective.teacher_temp", "0.06", &[], Weights),
    ("objective.teacher_temp_warmup_epochs", "3", &[], Weights),
    ("objective.center_momentum", "0.5", &[], Weights),
    ("objective.sinkhorn_iterations", "1", SINKHORN, Weights),
    ("objective.patch_temp_start", "0.05", IBOT, Weights),
    ("objective.patch_temp", "0.1", IBOT, Weights),
    ("objective.patch_center_momentum", "0.5", IBOT, Weights),
    ("objective.lambda_cls", "0.5", IBOT, Weights),
    ("objective.lambda_patch", "0.5", IBOT, Weights),
    ("objective.lambda_koleo", "0.1", &[], Weights),
    ("objective.gradient_through_normalizer", "false", VMF, Weights),
    ("masking.shape", "random", IBOT, Weights),
    ("masking.ratios", "[0.0, 0.5]", IBOT, Weights),
    ("masking.spreads", "[0.0, 0.0]", IBOT, Weights),
    ("masking.start_epoch", "1", IBOT, Weights),
    ("optim.epochs", "2", &[], Weights),
    ("optim.steps", "7", &[], Weights),
    ("optim.extended", "[[4, 5]]", &[], Weights),
    ("optim.batch_size", "12", &[], Weights),
    ("optim.accumulate", "2", &[], Weights),
    ("optim.lr", "1e-3", &[], Weights),
    ("optim.min_lr", "1e-4", &[], Weights),
    ("optim.warmup_epochs", "0", &[], Weights),
    ("optim.weight_decay", "0.2", &[], Weights),
    ("optim.weight_decay_end", "0.1", &[], Weights),
    ("optim.decay_norms", "false", &["objective.prototype_norm=free"], Weights),
    ("optim.clip_grad", "1e-3", &[], Weights),
    ("optim.freeze_last_layer_epochs", "1", &[], Weights),
    ("optim.freeze_backbone_epochs", "1", &[], Weights),
    ("optim.backbone_lr", "0.5", &[], Weights),
    ("optim.teacher_momentum", "0.9", &[], Weights),
    ("optim.teacher_momentum_end", "0.99", &[], Weights),
    ("optim.betas", "[0.8, 0.99]", &[], Weights),
    ("optim.eps", "1e-3", &[], Weights),
    ("eval.train", "other", &[], Evaluation),
    ("eval.test", "other", &[], Evaluation),
    ("eval.every_epochs", "1", &[], Evaluation),
    ("eval.during", "[\"knn\", \"fewshot\"]", &[], Evaluation),
    ("eval.keep_best", "knn", &[], BEST),
    ("eval.k", "[3, 7]", &[], Evaluation),
    ("eval.temperature", "0.002", &[], Evaluation),
    ("eval.resize", "48", &[], Evaluation),
    ("eval.crop", "16", &[], Evaluation),
    ("eval.batch_size", "5", &[], Evaluation),
    ("eval.max_train", "10", &[], Evaluation),
    ("eval.max_test", "5", &[], Evaluation),
    ("run.threads", "3", &[], THREADS),
    ("run.workers", "3", &[], THREADS),
    (
        "run.device",
        "cuda",
        &[],
        Elsewhere("dino-vmf/tests/all/bad_input.rs", "another_device_is_refused"),
    ),
    ("run.out", "", &[], Elsewhere("dino/tests/all/every_key.rs", "run")),
    (
        "run.working_dir",
        "",
        &[],
        Elsewhere(
            "dino-vmf/tests/all/resume_compares.rs",
            "a_run_can_be_resumed_from_another_working_directory",
        ),
    ),
    ("run.checkpoint_every_epochs", "0", &[], Checkpoints),
    ("run.checkpoint_every_steps", "2", &[], Checkpoints),
    ("run.checkpoint_every_minutes", "1e-9", &[], Checkpoints),
    ("run.keep_every_epochs", "1", &[], Checkpoints),
    ("run.log_every_steps", "2", &[], Metrics),
    ("run.diagnose_every_steps", "3", &[], Metrics),
    (
        "run.on_collapse",
        "stop",
        &[],
        Elsewhere(
            "dino-vmf/tests/all/alarms.rs",
            "stop_saves_and_ends_the_run_and_a_resumed_run_can_continue",
        ),
    ),
    (
        "run.recompute",
        "blocks",
        &[],
        Elsewhere(
            "dino/tests/recompute.rs",
            "memory_shrinks_and_gradients_stay_the_same_in_every_bit",
        ),
    ),
];

/// Every key with its section.
fn paths() -> Vec<String> {
    keys::all().map(|key| key.path()).collect()
}

/// A run of nine steps, in three epochs, with an evaluation.
const BASE: &str = r#"
[model]
arch = "custom"
embed_dim = 16
depth = 2
heads = 2
patch_size = 8
drop_path = 0.1
head_hidden_dim = 16
bottleneck_dim = 8
prototypes = 32
[data]
source = "images/train"
global_size = 32
local_size = 16
local_crops = 2
solarize_p = 0.5
[objective]
teacher_temp_start = 0.04
teacher_temp = 0.07
teacher_temp_warmup_epochs = 2
[optim]
epochs = 3
batch_size = 8
lr = 1e-2
warmup_epochs = 1
freeze_last_layer_epochs = 0
[eval]
train = "images/train"
test = "images/test"
k = [5, 20]
resize = 32
crop = 32
[run]
diagnose_every_steps = 0
"#;

/// What a run leaves behind.
#[derive(Debug, PartialEq)]
struct Trace {
    weights: Vec<u8>,
    metrics: Vec<Value>,
    evaluations: Vec<String>,
    checkpoints: Vec<String>,
    end: String,
}

impl Trace {
    fn differs(&self, other: &Self, what: Changes) -> bool {
        match what {
            Weights => self.weights != other.weights,
            Metrics => self.metrics != other.metrics,
            Evaluation => self.evaluations != other.evaluations,
            Checkpoints => self.checkpoints != other.checkpoints,
            End => self.end != other.end,
            Elsewhere(..) => true,
        }
    }
}

/// An uncompressed picture that says nothing about its class, so that every change of an evaluation
/// moves some accuracy.
fn bitmap(side: u32, index: u8) -> Vec<u8> {
    let bytes = 3 * side * side;
    let mut file = b"BM".to_vec();
    for word in [54 + bytes, 0, 54, 40, side, side, 1 | 24 << 16, 0, bytes, 2835, 2835, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for i in 0..side * side {
        let (x, y) = (i % side, i / side);
        let texture = ((x * 7 + y * 13) * (u32::from(index) + 3) % 97) as u8;
        let color = index.wrapping_mul(37);
        file.extend([color / 2 + texture, 200 - texture, texture.wrapping_mul(index + 1) / 2]);
    }
    file
}

/// A JPEG of 21 x 18 pixels whose EXIF tag turns it by 90 degrees.
fn photograph() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../jpeg/tests/golden/golden-5.jpg");
    let file = fs::read(path).unwrap();
    let segment = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\
        \x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&file[..2], segment, &file[2..]].concat()
}

/// Labelled images: `images/train`, `images/test`, `other`, `damaged`, and `photos`.
fn write_images(root: &Path) {
    let write = |folder: &str, count: u8, first: u8| {
        for i in 0..count {
            let class = root.join(folder).join(["a", "b", "c"][usize::from(i % 3)]);
            fs::create_dir_all(&class).unwrap();
            fs::write(class.join(format!("{i:02}.bmp")), bitmap(32, first + i)).unwrap();
        }
    };
    write("images/train", 24, 0);
    write("images/test", 9, 60);
    write("other", 24, 80);
    write("damaged", 26, 0);
    fs::create_dir_all(root.join("photos")).unwrap();
    for i in 0..24 {
        fs::write(root.join(format!("photos/{i:02}.jpg")), photograph()).unwrap();
    }
    fs::write(root.join("damaged/a/00.bmp"), b"BM no picture").unwrap();
}

fn config(root: &Path, sets: &[&str]) -> Result<Config, dino::config::Error> {
    let file = root.join("base.toml");
    let sets: Vec<_> = sets.iter().map(|set| located(root, set)).collect();
    Config::resolve(None, Some(&file), &sets, &[])
}

/// The same `--set`, with the whole path of a source.
fn located(root: &Path, set: &str) -> String {
    match set.split_once('=') {
        Some((key @ ("data.source" | "eval.train" | "eval.test"), source)) => {
            format!("{key}={}", root.join(source).display())
        }
        _ => set.to_owned(),
    }
}

fn run(root: &Path, number: usize, sets: &[&str]) -> Trace {
    let mut config = config(root, sets).unwrap_or_else(|error| panic!("{sets:?}: {error}"));
    let out = root.join(format!("run-{number}"));
    config.run.out = Some(out.display().to_string());
    let (mut evaluations, mut saved) = (Vec::new(), Vec::new());
    let request = Request {
        config,
        name: "every-key".to_owned(),
        resume: false,
        allow_data_change: false,
        dataset: None,
    };
    let ended = trainer::pretrain(request, &AtomicBool::new(false), &mut |event| match event {
        Event::Scores(record) => evaluations.push(serde_json::to_string(&record).unwrap()),
        Event::Evaluating { done, total, .. } => evaluations.push(format!("{done}/{total}")),
        Event::Checkpoint { step, .. } => saved.push(format!("{step} is saved")),
        _ => {}
    });
    let end = ended.map_or_else(|error| error.to_string(), |summary| summary.steps.to_string());
    let mut kept: Vec<PathBuf> = fs::read_dir(out.join("checkpoints"))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    kept.sort_unstable();
    let last = kept.last().map(|folder| fs::read(folder.join("model.safetensors")).unwrap());
    saved.extend(kept.iter().map(|path| path.file_name().unwrap().display().to_string()));
    Trace {
        weights: last.unwrap_or_default(),
        metrics: metrics(&out.join("metrics.jsonl")),
        evaluations,
        checkpoints: saved,
        end,
    }
}

/// Lines that are no evaluation, without what the clock decides.
fn metrics(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.retain(|line| line.get("knn").is_none() && line.get("fewshot").is_none());
    for line in lines.iter_mut().filter_map(Value::as_object_mut) {
        line.retain(|key, _| {
            !matches!(key.as_str(), "images_per_second" | "data_wait_share" | "memory_mib" | "time")
        });
    }
    lines
}

/// The settings with another value of a key.
fn changed<'a>(set: &'a str, with: &[&'a str]) -> Vec<&'a str> {
    with.iter().copied().chain([set]).collect()
}

#[test]
fn another_value_of_any_key_changes_what_it_should_or_is_reported_as_idle() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_images(root);
    let base = ["images/train", "images/test"].iter().fold(BASE.to_owned(), |text, part| {
        text.replace(
            &format!("\"{part}\""),
            &format!("{:?}", root.join(part).display().to_string()),
        )
    });
    fs::write(root.join("base.toml"), base).unwrap();
    let table: BTreeMap<_, _> = TABLE.iter().map(|line| (line.0, line)).collect();
    let mut baselines: BTreeMap<&[&str], Trace> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, key) in paths().into_iter().enumerate() {
        let Some(&&(_, value, with, what)) = table.get(key.as_str()) else {
            wrong.push(format!("`{key}` is not in the table"));
            continue;
        };
        if let Elsewhere(file, test) = what {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let text = fs::read_to_string(&path).unwrap_or_default();
            if !text.contains(&format!("fn {test}(")) {
                wrong.push(format!("`{key}`: no test `{test}` in {file}"));
            }
            continue;
        }
        let count = baselines.len();
        let before = baselines.entry(with).or_insert_with(|| run(root, 1000 + count, with));
        let set = format!("{key}={value}");
        let after = run(root, number, &changed(&set, with));
        let ends = after.end.parse::<u64>().is_ok() && before.end.parse::<u64>().is_ok();
        if what != End && !ends {
            wrong.push(format!("`{set}` ends with: {} (without: {})", after.end, before.end));
        }
        if !after.differs(before, what) {
            wrong.push(format!("`{key}` changes nothing of {what:?}"));
        }
        // Some keys matter for some images only.
        let needs_settings = with.iter().any(|set| !set.starts_with("data.source="));
        if needs_settings {
            let alone = config(root, &[set.as_str()]).map(|config| idle_keys(&config));
            let told = alone.as_ref().is_ok_and(|idle| !idle.is_empty());
            let matters = || {
                let plain = run(root, 3000 + number, &[]);
                run(root, 2000 + number, &[set.as_str()]).differs(&plain, what)
            };
            if alone.is_ok() && !told && !matters() {
                wrong.push(format!("`{key}` is idle without {with:?}, and nobody says so"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values that no key should take, or that every one should take without harm.
const EXTREMES: [&str; 30] = [
    "0",
    "-0.0",
    "-1",
    "1",
    "1e-308",
    "5e-324",
    "-1e-308",
    "1e18",
    "-1e18",
    "1e308",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1000000000000000000",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "4294967296",
    "65536.5",
    "[]",
    "[0, 0]",
    "[nan, nan]",
    "[inf, inf]",
    "[-1e18, 1e18]",
    "[1e18, 1e18, 1e18]",
    "[9223372036854775807]",
    "true",
    "\"\"",
    "\"\\u0000\"",
];

/// What a command does with settings before it takes memory.
fn prepare(config: &Config) {
    for images in [1, 10_000, usize::MAX] {
        let images = images.min(1 << 40);
        let evaluated = Some(Evaluated { images, held: images, side: 224, classes: 1000 });
        let estimate = Estimate::of_training(config, 2, evaluated);
        assert!(estimate.total.is_finite() && estimate.total > 0.0, "{estimate:?}");
        if let Ok(plan) = Plan::new(config, &Facts::of_images(images)) {
            let last = plan.horizon().total_steps;
            for step in [0, 1, last / 2, last, u64::MAX] {
                let values = plan.schedules.at(step);
                assert!(values.lr.is_finite() && values.teacher_temp > 0.0, "{values:?}");
            }
            plan.recipe.validate().expect("a checked configuration is a valid recipe");
        }
    }
}

#[test]
fn no_extreme_value_of_any_key_panics_or_passes_unseen() {
    let mut wrong = Vec::new();
    for key in paths() {
        for value in EXTREMES {
            let set = format!("{key}={value}");
            match Config::resolve(Some("shapes-ibot"), None, std::slice::from_ref(&set), &[]) {
                Ok(config) => prepare(&config),
                Err(error) if !error.is_usage() => wrong.push(format!("{set}: {error}")),
                Err(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Numbers so large, or no numbers, that every key of numbers has to refuse them.
#[test]
fn every_number_has_limits() {
    let defaults = Config::default().to_toml();
    let numbers = |key: &&String| {
        let (section, name) = key.split_once('.').unwrap_or(("", key.as_str()));
        let table: toml::Table = toml::from_str(&defaults).unwrap();
        let value = if section.is_empty() { table.get(name) } else { table[section].get(name) };
        // Options that are off by default are numbers too, but for these.
        value.map_or(
            !matches!(key.as_str(), "eval.train" | "eval.test" | "run.out" | "run.working_dir"),
            |value| value.is_integer() || value.is_float(),
        )
    };
    let keys = paths();
    let mut count = 0;
    for key in keys.iter().filter(numbers) {
        for value in ["1e18", "1e308", "inf", "-inf", "nan", "-1", "1000000000000000000"] {
            // Any whole number of 63 bits is a seed.
            if key == "seed" && value == "1000000000000000000" {
                continue;
            }
            let set = format!("{key}={value}");
            let found = Config::resolve(Some("shapes-tiny"), None, std::slice::from_ref(&set), &[]);
            let error = found.err().unwrap_or_else(|| panic!("{set} is taken"));
            assert!(error.is_usage(), "{set}: {error}");
        }
        count += 1;
    }
    assert!(count > 60, "only {count} keys of numbers");
}
