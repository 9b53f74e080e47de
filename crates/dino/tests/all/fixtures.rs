//! Golden fixtures: a JSON file with settings and tolerances, and tensors beside it.
//! `crates/goldens/build.rs` says where they are looked for.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// One fixture, all of it in memory.
pub struct Fixture {
    /// The content of `NAME.json`.
    pub json: serde_json::Value,
    tensors: BTreeMap<String, Stored>,
}

struct Stored {
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

/// The fixture `name`; `#[goldens::test(name)]` ignores the test where it is missing.
///
/// # Panics
/// If a file of the fixture is missing or unreadable.
pub fn fixture(name: &str) -> Fixture {
    let path = folder().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let json = serde_json::from_str(&text).expect("JSON in a fixture");
    let tensors = read_tensors(&path.with_extension("safetensors"));
    Fixture { json, tensors }
}

/// `DINO_VMF_GOLDEN` if it is set now, else the folder that was found when the tests were compiled.
fn folder() -> PathBuf {
    let now = env::var_os("DINO_VMF_GOLDEN").filter(|value| !value.is_empty());
    now.map_or_else(|| goldens::folder!().into(), PathBuf::from)
}

fn read_tensors(path: &Path) -> BTreeMap<String, Stored> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.iter()
        .map(|(name, view)| {
            let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), Stored { shape, dtype: view.dtype(), bytes })
        })
        .collect()
}

impl Fixture {
    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape and values of the tensor `name`; F64, F32, I64, I32, U8 and BOOL are converted.
    pub fn f64(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let stored = self.tensors.get(name).unwrap_or_else(|| panic!("no tensor `{name}`"));
        let bytes = &stored.bytes;
        let values = match stored.dtype {
            Dtype::F64 => convert(bytes, f64::from_le_bytes),
            Dtype::F32 => convert(bytes, |b| f64::from(f32::from_le_bytes(b))),
            Dtype::I64 => convert(bytes, |b| i64::from_le_bytes(b) as f64),
            Dtype::I32 => convert(bytes, |b| f64::from(i32::from_le_bytes(b))),
            Dtype::U8 | Dtype::BOOL => convert(bytes, |b: [u8; 1]| f64::from(b[0])),
            other => panic!("tensor `{name}` has the type {other:?}, which no fixture uses"),
        };
        (stored.shape.clone(), values)
    }

    /// As [`Fixture::f64`], rounded to `f32`.
    pub fn f32(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (shape, values) = self.f64(name);
        (shape, values.into_iter().map(|value| value as f32).collect())
    }

    /// Shape and values of an integer tensor (I64, I32, U8, BOOL).
    pub fn usize(&self, name: &str) -> (Vec<usize>, Vec<usize>) {
        let (shape, values) = self.f64(name);
        (shape, values.into_iter().map(|value| value as usize).collect())
    }
}

fn convert<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (numbers, rest) = bytes.as_chunks::<N>();
    assert!(rest.is_empty(), "{} bytes are no whole number of values", bytes.len());
    numbers.iter().map(|number| read(*number)).collect()
}
