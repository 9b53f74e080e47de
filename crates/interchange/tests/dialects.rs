//! Golden checkpoints under this program's names: format, network, and every value.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use half::bf16;
use interchange::dialect::{self, Format, Heads, Mlp, Options, Positions};
use interchange::{Archive, Error};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(goldens::folder!()).join("checkpoints")
}

fn about() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("checkpoints.json")).unwrap()).unwrap()
}

/// The expected values of the tensors under `key`, by the names inside of it.
fn expected(file: &str, key: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(folder().join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let inside = tensors.tensors().into_iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix(key)?.strip_prefix('/')?.to_owned();
        let values = match tensor.dtype() {
            Dtype::F32 => {
                tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
            }
            Dtype::BF16 => tensor
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| bf16::from_le_bytes(*b).to_f32())
                .collect(),
            other => panic!("{other:?}"),
        };
        Some((name, values))
    });
    inside.collect()
}

fn open(file: &str) -> (Archive, dialect::Checkpoint) {
    let archive = Archive::open(&folder().join(file)).unwrap();
    let checkpoint = dialect::read(&archive, &Options::default()).unwrap();
    checkpoint.require_whole(&archive, &[]).unwrap();
    (archive, checkpoint)
}

#[goldens::test(checkpoints)]
fn formats_are_named() {
    let formats = [
        ("dino.pth", Format::Dino, "teacher"),
        ("dino_legacy.pth", Format::Dino, "teacher"),
        ("ibot.pth", Format::Ibot, "teacher"),
        ("teacher_bf16.pth", Format::Dino, "teacher"),
        ("backbone_only.pth", Format::Backbone, "teacher"),
    ];
    for (file, format, key) in formats {
        let (_, checkpoint) = open(file);
        assert_eq!((checkpoint.format, checkpoint.key.as_str()), (format, key), "{file}");
    }
}

#[goldens::test(checkpoints)]
fn the_network_is_read_off_the_shapes() {
    let about = about();
    let size = |of: &str, key: &str| about[of][key].as_u64().unwrap() as usize;
    for file in ["dino.pth", "ibot.pth", "dino_legacy.pth", "teacher_bf16.pth", "backbone_only.pth"]
    {
        let (_, checkpoint) = open(file);
        let network = &checkpoint.network;
        assert_eq!(network.embed_dim, size("arch", "dim"));
        assert_eq!(network.depth, size("arch", "depth"));
        assert_eq!(network.patch_size, size("arch", "patch"));
        assert_eq!(network.image_size(), Some(size("arch", "img_size")));
        assert!(matches!(network.positions, Positions::Table { has_cls: true, .. }));
        assert!(matches!(network.mlp, Mlp::Gelu { .. }));
        assert!(network.fused_qkv && network.qkv_bias && !network.layer_scale);
        assert_eq!(network.heads, Heads::Unknown);
        let Some(head) = network.head else {
            assert_eq!(file, "backbone_only.pth");
            continue;
        };
        assert_eq!(head.hidden_dim, size("head", "hidden"));
        assert_eq!(head.bottleneck_dim, size("head", "bottleneck"));
        assert_eq!(head.prototypes, size("head", "out_dim"));
        // iBOT's two last layers share their memory
        assert_eq!(head.patch_prototypes, None, "{file}");
    }
}

/// The teacher's and the student's tensors, with wrappers and prefixes gone.
#[goldens::test(checkpoints)]
fn every_weight_has_this_programs_name() {
    for (file, about) in about()["files"].as_object().unwrap() {
        let Some(of_file) = about["expected"].as_str().filter(|_| !file.contains("zoo")) else {
            continue;
        };
        let (archive, checkpoint) = open(file);
        let sets = [
            Some(("teacher", &checkpoint.weights)),
            checkpoint.student.as_ref().map(|s| ("student", s)),
        ];
        for (key, weights) in sets.into_iter().flatten() {
            let expected = expected(of_file, key);
            let mut wanted = expected.len();
            for (name, shape) in checkpoint.network.tensors() {
                let found = weights.read(&archive, &checkpoint.network, &name, &shape).unwrap();
                let bare = name.strip_prefix("backbone.").unwrap_or(&name);
                let spellings = [name.clone(), format!("module.{name}"), bare.to_owned()];
                let values = spellings.iter().find_map(|name| expected.get(name));
                assert_eq!(found.as_ref(), values, "{file}: {key}: {name}");
                wanted -= usize::from(values.is_some());
            }
            // the second names of shared prototypes, and the student's mask token, which the teacher lacks
            let extra = expected
                .keys()
                .filter(|name| name.contains("last_layer2") || name.contains("masked_embed"));
            assert!(wanted <= extra.count(), "{file}: {wanted} tensors of {key} have no name");
        }
    }
}

#[goldens::test(checkpoints)]
fn centers_and_epochs_are_found() {
    let (archive, checkpoint) = open("ibot.pth");
    assert_eq!(checkpoint.epoch, about()["files"]["ibot.pth"]["epoch"].as_i64());
    for (name, key) in [(checkpoint.center, "center"), (checkpoint.patch_center, "center2")] {
        let tensor = archive.tensor(&name.unwrap()).unwrap();
        assert_eq!(
            archive.read_f32(tensor).unwrap(),
            expected("ibot.expected.safetensors", "ibot_loss")[key]
        );
    }
    let unused: Vec<_> = checkpoint.unused.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(unused, ["`optimizer`"]);
}

#[goldens::test(checkpoints)]
fn the_student_is_read_on_request() {
    let archive = Archive::open(&folder().join("dino.pth")).unwrap();
    let options = Options { key: Some("student".to_owned()), heads: Some(2) };
    let checkpoint = dialect::read(&archive, &options).unwrap();
    checkpoint.require_whole(&archive, &[]).unwrap();
    assert_eq!(checkpoint.network.heads, Heads::Known(2));
    let name = "backbone.cls_token";
    let found =
        checkpoint.weights.read(&archive, &checkpoint.network, name, &[1, 1, 16]).unwrap().unwrap();
    assert_eq!(
        found,
        expected("dino.expected.safetensors", "student")["module.backbone.cls_token"]
    );
    let options = Options { key: Some("ema".to_owned()), heads: None };
    let error = dialect::read(&archive, &options).unwrap_err().to_string();
    assert!(error.contains("under `ema`") && error.contains("`teacher` with"), "{error}");
}

#[goldens::test(checkpoints)]
fn tensors_without_a_network_are_refused() {
    let archive = Archive::open(&folder().join("tensor_zoo.pth")).unwrap();
    let error = dialect::read(&archive, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::NoNetwork { .. }), "{error}");
}

/// A name that differs can be accepted by name, and by no other.
#[goldens::test(checkpoints)]
fn differences_are_accepted_by_name() {
    let mut bytes = fs::read(folder().join("dino_legacy.pth")).unwrap();
    let at = |bytes: &[u8]| bytes.windows(10).position(|w| w == b".norm.bias");
    while let Some(at) = at(&bytes) {
        bytes[at + 9] = b'X';
    }
    let archive = Archive::from_bytes("renamed.pth", bytes).unwrap();
    let checkpoint = dialect::read(&archive, &Options::default()).unwrap();
    let accept = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        checkpoint.require_whole(&archive, &names)
    };
    let error = accept(&[]).unwrap_err().to_string();
    assert!(error.contains("missing: `backbone.norm.bias`"), "{error}");
    assert!(error.contains("unexpected: `backbone.norm.biaX`"), "{error}");
    accept(&["backbone.norm.bias"]).unwrap_err();
    accept(&["backbone.norm.bias", "backbone.norm.biaX"]).unwrap();
    accept(&["backbone.norm.*"]).unwrap();
}
