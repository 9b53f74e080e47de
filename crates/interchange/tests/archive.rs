//! Opens the golden checkpoints: every tensor has the expected type, shape and bytes; hostile and damaged files
//! are refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use interchange::{Archive, Error};
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    PathBuf::from(goldens::folder!()).join("checkpoints")
}

fn files() -> serde_json::Map<String, serde_json::Value> {
    let text = fs::read_to_string(folder().join("checkpoints.json")).unwrap();
    let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all["files"].take()).unwrap()
}

/// The fixtures leave out the dict between the optimizer and its tensors.
fn name_in_fixture(name: &str) -> String {
    name.replace("optimizer/state/", "optimizer/")
}

#[goldens::test(checkpoints)]
fn every_tensor_has_the_expected_bytes() {
    for (file, about) in files() {
        let Some(expected) = about["expected"].as_str() else { continue };
        let archive = Archive::open(&folder().join(&file)).unwrap();
        let bytes = fs::read(folder().join(expected)).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let tensors: BTreeMap<_, _> =
            archive.tensors().iter().map(|t| (name_in_fixture(&t.name), t)).collect();
        for (name, wanted) in expected.tensors() {
            let Some(found) = tensors.get(&name) else {
                // the fixtures store plain numbers, such as the steps of the optimizer, as tensors
                let keys: Vec<_> = name.split('/').collect();
                let keys = [&[keys[0], "state"], &keys[1..]].concat();
                let plain = archive.plain(&keys).unwrap_or_else(|| panic!("{file}: {name}"));
                let value = f32::from_le_bytes(wanted.data().try_into().unwrap());
                assert_eq!(plain.as_int(), Some(value as i64), "{file}: {name}");
                continue;
            };
            assert_eq!(found.shape, wanted.shape(), "{file}: {name}");
            assert_eq!(found.dtype.to_string(), wanted.dtype().to_string(), "{file}: {name}");
            assert_eq!(archive.read(found).unwrap(), wanted.data(), "{file}: {name}");
        }
        for name in tensors.keys() {
            assert!(expected.tensor(name).is_ok(), "{file}: nobody expects `{name}`");
        }
        if let Some(epoch) = about["epoch"].as_i64() {
            assert_eq!(archive.plain(&["epoch"]).unwrap().as_int(), Some(epoch), "{file}");
        }
    }
}

#[goldens::test(checkpoints)]
fn hostile_and_damaged_files_are_refused() {
    let mut refused = 0;
    for (file, about) in files() {
        if about["must_refuse"] != true {
            continue;
        }
        let error = Archive::open(&folder().join(&file)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&file), "{text}");
        if file.starts_with("malicious") {
            assert!(matches!(error, Error::Code { .. }), "{text}");
        }
        refused += 1;
    }
    assert!(refused > 0);
}
