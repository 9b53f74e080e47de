//! Checkpoints are converted, as a person does it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::fixtures::{Tiny, photos};
use safetensors::SafeTensors;

/// Shapes and bytes by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let all = file.tensors().into_iter();
    all.map(|(name, tensor)| (name, (tensor.shape().to_vec(), tensor.data().to_vec()))).collect()
}

fn golden(name: &str) -> String {
    Path::new(goldens::folder!()).join("checkpoints").join(name).display().to_string()
}

fn train(tiny: &Tiny, name: &str, settings: &[&str]) {
    let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
    let words: Vec<_> = ["--steps", "1", "--out", name].into_iter().chain(settings).collect();
    tiny.pretrain(&words).code(0);
}

/// Converts `run` to a format and back, and compares with the run itself.
fn returns_unchanged(tiny: &Tiny, run: &str, format: &str, file: &str) {
    let (own, back) = (format!("{run}.safetensors"), format!("{file}-back.safetensors"));
    tiny.run(&["convert", run, &own, "--to", "safetensors", "--force"]).code(0);
    tiny.run(&["convert", run, file, "--to", format]).code(0);
    tiny.run(&["convert", file, &back, "--to", "safetensors"]).code(0);
    let (own, back) = (tensors(&tiny.path(&own)), tensors(&tiny.path(&back)));
    let held = |name: &&String| format == "safetensors" || back.contains_key(*name);
    for name in own.keys().filter(held) {
        assert!(own[name] == back[name], "{name} of {run} differs after {file}");
    }
    let lost: Vec<_> = own.keys().filter(|name| !back.contains_key(*name)).collect();
    let may_be_lost = |name: &str| name.starts_with("head.") || name == "backbone.masked_embed";
    assert!(lost.iter().all(|name| may_be_lost(name)), "{file} lacks {lost:?}");
    let network = |path: &str| {
        let inspect = ["checkpoint", "inspect", path, "--json"];
        let mut network = tiny.run(&inspect).code(0).last_event()["network"].clone();
        // what the formats do without, and how they store the rest
        for key in ["head", "mask_token", "fused_qkv", "layer_scale"] {
            network.as_object_mut().unwrap().remove(key);
        }
        network
    };
    assert_eq!(network(file), network(&format!("{run}.safetensors")), "{file}");
}

#[test]
fn every_format_returns_every_bit() {
    let tiny = Tiny::new();
    train(&tiny, "plain", &["objective.method=ibot", "model.norm_eps=0.000001"]);
    for (format, file) in [
        ("dino", "plain.pth"),
        ("ibot", "plain.pt"),
        ("timm", "plain-timm.safetensors"),
        ("timm", "plain-timm.pth"),
        ("hf", "plain-hf"),
        ("safetensors", "plain-own.safetensors"),
    ] {
        returns_unchanged(&tiny, "plain", format, file);
    }
    let scaled = ["model.layer_scale=0.1", "model.registers=4", "model.mlp=gelu_tanh"];
    train(&tiny, "scaled", &[&scaled[..], &["model.position_offset=exact"]].concat());
    train(&tiny, "gated", &["model.mlp=swiglu", "model.mlp_ratio=3", "model.norm_eps=0.00001"]);
    for run in ["scaled", "gated"] {
        for (format, file) in
            [("timm", "timm.pth"), ("hf", "hf"), ("safetensors", "own.safetensors")]
        {
            returns_unchanged(&tiny, run, format, &format!("{run}-{file}"));
        }
    }
}

#[test]
fn converted_files_see_images_as_the_run_does() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 3);
    for (name, sizes, shown) in [
        ("small", ["eval.resize=48", "eval.crop=24"], "shorter side 48, center crop of 24 pixels"),
        ("whole", ["eval.resize=none", "eval.crop=32"], "not resized, center crop of 32 pixels"),
    ] {
        train(&tiny, name, &sizes);
        let features = |checkpoint: &str| {
            let out = format!("{checkpoint}.npy");
            let line = ["features", "--checkpoint", checkpoint, "photos:test", "--out", &out];
            tiny.run(&line).code(0);
            fs::read(tiny.path(&out)).unwrap()
        };
        let own = features(name);
        for (format, file) in [
            ("safetensors", "own.safetensors"),
            ("dino", "dino.pth"),
            ("timm", "timm.safetensors"),
            ("hf", "hf"),
        ] {
            let (file, again) =
                (format!("{name}-{file}"), format!("{name}-{format}-again.safetensors"));
            tiny.run(&["convert", name, &file, "--to", format]).code(0);
            assert!(features(&file) == own, "{file}");
            tiny.run(&["convert", &file, &again, "--to", "timm"]).code(0);
            assert!(features(&again) == own, "{again}");
            let inspected = tiny.run(&["checkpoint", "inspect", &file]).code(0).stdout;
            let is_hf = format == "hf" && name == "whole";
            assert!(inspected.contains(shown) || is_hf, "{file}: {inspected}");
            let json = tiny.run(&["checkpoint", "inspect", &file, "--json"]).code(0).last_event();
            assert!(json["view"]["crop"].is_number(), "{json}");
        }
    }
}

#[test]
fn a_training_checkpoint_has_all_that_training_goes_on_with() {
    let tiny = Tiny::new();
    train(&tiny, "run", &["objective.method=ibot", "optim.freeze_last_layer_epochs=1"]);
    tiny.run(&["convert", "run", "ibot.pth", "--to", "ibot", "--full"])
        .code(0)
        .says("--shared_head true");
    let found = tiny.run(&["checkpoint", "inspect", "ibot.pth", "--json"]).code(0).last_event();
    assert_eq!(found["format"], "iBOT training checkpoint");
    assert_eq!((&found["epoch"], &found["student"]), (&0.into(), &true.into()));
    assert_eq!(
        (&found["center"], &found["patch_center"]),
        (&"ibot_loss/center".into(), &"ibot_loss/center2".into())
    );
    let moments = found["unused"][0]["tensors"].as_u64().unwrap();
    // step and two moments of each tensor but the frozen prototypes, whose norms are fixed
    assert_eq!((moments, &found["unused"][0]["what"]), (3 * 37, &"`optimizer`".into()));
    tiny.run(&[
        "convert",
        "run",
        "student.safetensors",
        "--to",
        "safetensors",
        "--network",
        "student",
    ])
    .code(0);
    let back =
        ["convert", "ibot.pth", "back.safetensors", "--to", "safetensors", "--key", "student"];
    tiny.run(&back).code(0);
    assert!(tensors(&tiny.path("back.safetensors")) == tensors(&tiny.path("student.safetensors")));
    train(&tiny, "vmf", &["objective.method=dino-vmf"]);
    tiny.run(&["convert", "vmf", "vmf.pth", "--to", "dino", "--full"])
        .code(0)
        .says("not written: the center")
        .says("another objective");
    tiny.run(&["convert", "vmf", "no.pth", "--to", "ibot", "--full"])
        .code(1)
        .says("no token for masked patches");
    tiny.run(&["convert", "ibot.pth", "no", "--to", "hf", "--full"]).code(2).says("--to ibot");
}

#[goldens::test(checkpoints)]
fn checkpoints_of_the_projects_come_back_as_they_were() {
    let tiny = Tiny::new();
    for (file, format) in [("dino.pth", "dino"), ("ibot.pth", "ibot")] {
        let golden = golden(file);
        let full = ["convert", &golden, file, "--to", format, "--full", "--heads", "2"];
        tiny.run(&full).code(0).says("not written: the optimizer");
        for key in ["student", "teacher"] {
            let convert = |source: &str, out: &str| {
                let words =
                    ["convert", source, out, "--to", "safetensors", "--heads", "2", "--key", key];
                tiny.run(&words).code(0);
                tensors(&tiny.path(out))
            };
            let before = convert(&golden, &format!("{format}-{key}-before.safetensors"));
            assert!(
                before == convert(file, &format!("{format}-{key}.safetensors")),
                "{file} {key}"
            );
        }
    }
}

#[goldens::test(checkpoints)]
fn nothing_is_left_of_a_conversion_that_fails() {
    let tiny = Tiny::new();
    let truncated = golden("truncated.pth");
    tiny.run(&["convert", &truncated, "out.pth", "--to", "dino"]).code(1).says("is damaged");
    let hostile = golden("malicious_system.pth");
    tiny.run(&["convert", &hostile, "out", "--to", "hf"]).code(1).says("which is code");
    // a value with one wrong bit is found while the file is written
    let mut bytes = fs::read(golden("backbone_only.pth")).unwrap();
    let values =
        &tensors(Path::new(&golden("backbone_only.expected.safetensors")))["teacher/norm.bias"].1;
    let at = bytes.windows(values.len()).position(|window| window == values).unwrap();
    bytes[at] ^= 1;
    fs::write(tiny.path("flipped.pth"), bytes).unwrap();
    for (format, out) in [("dino", "out.pth"), ("hf", "out"), ("safetensors", "out.safetensors")] {
        let words = ["convert", "flipped.pth", out, "--to", format, "--heads", "2"];
        tiny.run(&words).code(1).says("is damaged").says("checksum");
    }
    let left: Vec<_> =
        fs::read_dir(tiny.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["flipped.pth"]);
}

#[test]
fn what_a_format_cannot_hold_is_refused_with_one_that_can() {
    let tiny = Tiny::new();
    train(&tiny, "run", &["model.layer_scale=0.1"]);
    tiny.run(&["convert", "run", "a.pth", "--to", "dino"])
        .code(1)
        .says("the format `dino` cannot hold the network of `run`, which has layer scale")
        .says("`--to timm` can hold it");
    tiny.run(&["convert", "run", "a.pth", "--to", "ibot"]).code(0);
    train(&tiny, "odd", &["model.layer_scale=0.1", "model.mlp_ratio=2.5"]);
    tiny.run(&["convert", "odd", "b", "--to", "hf"]).code(1).says("MLPs of 40 at width 16");
    tiny.run(&["convert", "run", "c.safetensors", "--to", "timm", "--image-size", "50"])
        .code(2)
        .says("no whole number of patches")
        .says("--image-size 48");
}

#[goldens::test(checkpoints)]
fn a_missing_tensor_is_never_made_up() {
    let tiny = Tiny::new();
    let mut bytes = fs::read(golden("dino_legacy.pth")).unwrap();
    while let Some(at) = bytes.windows(10).position(|window| window == b".norm.bias") {
        bytes[at + 9] = b'X';
    }
    fs::write(tiny.path("renamed.pth"), bytes).unwrap();
    let convert = |more: &[&str]| {
        let words = ["convert", "renamed.pth", "a.pth", "--to", "dino", "--heads", "2"];
        tiny.run(&[&words, more].concat()).code(1)
    };
    convert(&[]).says("missing: `backbone.norm.bias`");
    convert(&["--ignore", "backbone.norm.*"])
        .says("no tensor `backbone.norm.bias`, which cannot be left out");
    assert!(!tiny.path("a.pth").exists());
}

#[test]
fn files_are_kept_unless_force_replaces_them() {
    let tiny = Tiny::new();
    train(&tiny, "run", &[]);
    let convert = |out: &str, format: &str, more: &[&str]| {
        tiny.run(&[&["convert", "run", out, "--to", format], more].concat())
    };
    convert("a.pth", "dino", &[]).code(0);
    let first = fs::read(tiny.path("a.pth")).unwrap();
    let inspected = tiny.run(&["checkpoint", "inspect", "a.pth"]).code(0).stdout;
    assert!(inspected.contains("(run of dino-vmf, step 1)"), "{inspected}");
    let step = "run/checkpoints/step-00000001";
    tiny.run(&["convert", step, "step.pth", "--to", "dino"]).code(0);
    assert!(first == fs::read(tiny.path("step.pth")).unwrap());
    convert("a.pth", "dino", &[]).code(1).says("`a.pth` exists; `--force` replaces it");
    convert("a.pth", "dino", &["--force"]).code(0);
    assert!(first == fs::read(tiny.path("a.pth")).unwrap(), "equal checkpoints give equal bytes");
    convert("hf", "hf", &[]).code(0);
    convert("hf", "hf", &["--force"]).code(0);
    fs::write(tiny.path("hf/notes.txt"), "mine").unwrap();
    convert("hf", "hf", &["--force"]).code(1).says("also holds `notes.txt`");
    convert("run", "hf", &["--force"]).code(1).says("also holds");
    convert("a.txt", "timm", &[]).code(2).says("ends in .safetensors or .pth");
    convert("a.pth", "hf", &["--force"]).code(2).says("writes a folder");
    convert("gone/a.pth", "dino", &[]).code(1).says("no folder `gone`");
    let same = ["convert", "a.pth", "a.pth", "--to", "dino", "--force"];
    tiny.run(&same).code(1).says("is what is read");
    tiny.run(&["convert", "nothing", "b.pth", "--to", "dino"]).code(1).says("nothing");
}

#[test]
fn weights_are_rounded_on_request_and_never_to_infinity() {
    let tiny = Tiny::new();
    train(&tiny, "run", &[]);
    let convert = |source: &str, out: &str, dtype: &str| {
        tiny.run(&["convert", source, out, "--to", "safetensors", "--dtype", dtype])
    };
    convert("run", "half.safetensors", "bf16").code(0).says("rounded: from F32 to BF16");
    convert("run", "whole.safetensors", "f32").code(0);
    let (whole, half) =
        (tensors(&tiny.path("whole.safetensors")), tensors(&tiny.path("half.safetensors")));
    for (name, (shape, bytes)) in &whole {
        assert_eq!((shape, bytes.len()), (&half[name].0, 2 * half[name].1.len()), "{name}");
    }
    // a second conversion rounds nothing
    let again = convert("half.safetensors", "again.safetensors", "bf16").code(0);
    assert!(!again.stderr.contains("rounded"), "{}", again.stderr);
    assert!(tensors(&tiny.path("again.safetensors")) == half);
    // 1e30 in place of the last value of the file
    let mut bytes = fs::read(tiny.path("whole.safetensors")).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&1e30f32.to_le_bytes());
    fs::write(tiny.path("large.safetensors"), bytes).unwrap();
    convert("large.safetensors", "large16.safetensors", "f16")
        .code(1)
        .says("which F16 cannot hold");
    assert!(!tiny.path("large16.safetensors").exists());
}
