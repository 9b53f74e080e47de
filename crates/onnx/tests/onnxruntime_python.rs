//! Compares the tokens that ONNX Runtime computes from written files with those of this program.
//!
//! Every file passes `onnx.checker` with `full_check`. Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks
//! the packages.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use engine::ops::patch_embed::Images;
use engine::{ParamTable, Params, Role};
use libtest_mimic::{Arguments, Failed, Trial};
use onnx::write::{MAX_MESSAGE, write};
use onnx::{Export, Precision};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use vit::{Crops, MlpKind, Resampling, Tokens, Vit, VitShape};

/// Largest difference in units of the largest token.
const F32: f64 = 1e-4;
/// With weights and arithmetic in 16 bits, whose precision is 5e-4.
const F16: f64 = 4e-3;

fn main() {
    let arguments = Arguments::from_args();
    let python = env::var_os("DINO_VMF_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let found = Command::new(&python).args(["-c", "import onnx, onnxruntime, numpy"]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    let name = "onnx_runtime_gives_the_tokens_of_this_program";
    let trial = match is_there {
        true => Trial::test(name, move || compare(&python)),
        false => Trial::test(name, || Ok(()))
            .with_kind("needs python3 or $DINO_VMF_PYTHON with onnx and onnxruntime")
            .with_ignored_flag(true),
    };
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

/// A network and how it is written.
struct Case {
    name: &'static str,
    shape: VitShape,
    precision: Precision,
    size: Option<(usize, usize)>,
    max_message: usize,
}

/// A stored grid of 4 x 4 patches of 8 pixels.
fn small() -> VitShape {
    VitShape {
        embed_dim: 32,
        depth: 3,
        heads: 4,
        mlp_hidden: 64,
        patch_size: 8,
        image_size: 32,
        ..VitShape::default()
    }
}

fn cases() -> Vec<Case> {
    let case = |name, shape| Case {
        name,
        shape,
        precision: Precision::F32,
        size: None,
        max_message: MAX_MESSAGE,
    };
    let resampled =
        |offset, antialias| VitShape { resampling: Resampling { offset, antialias }, ..small() };
    let registers = VitShape { registers: 3, layer_scale: Some(0.5), ..small() };
    vec![
        case("dino", small()),
        case("exact_scale", resampled(0.0, false)),
        case("antialiased", resampled(0.0, true)),
        case("antialiased_with_offset", resampled(0.1, true)),
        case("tanh_gelu", VitShape { mlp: MlpKind::GeluTanh, norm_eps: 1e-2, ..small() }),
        case("swiglu", VitShape { mlp: MlpKind::SwiGlu, ..small() }),
        case("registers_and_layer_scale", registers.clone()),
        case("one_channel_and_a_mask_token", VitShape { channels: 1, masked: true, ..small() }),
        Case { size: Some((40, 60)), ..case("fixed_size", registers.clone()) },
        Case { precision: Precision::F16, ..case("half", registers) },
        Case { precision: Precision::F16, size: Some((32, 32)), ..case("half_fixed", small()) },
        Case { max_message: 1 << 10, ..case("weights_in_another_file", small()) },
    ]
}

impl Case {
    /// Three sizes and two batch sizes: the stored size; larger, not square; smaller, with a remainder.
    fn passes(&self) -> Vec<Images> {
        let sizes = match self.size {
            Some(size) => vec![size],
            None => vec![(32, 32), (40, 72), (29, 18)],
        };
        let channels = self.shape.channels;
        let each = sizes.into_iter().flat_map(|(height, width)| {
            [1, 3].map(|count| Images { count, channels, height, width })
        });
        each.collect()
    }

    fn write(&self, folder: &Path) {
        let mut table = ParamTable::default();
        let vit = Vit::new(&self.shape, "backbone.", &mut table);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let params = draw(table, &mut rng);
        let export = Export { prefix: "backbone.", precision: self.precision, size: self.size };
        let graph = onnx::backbone::graph(&vit, &params, &export).unwrap();
        let properties = [("mean".to_owned(), "[0.5]".to_owned())];
        let model = onnx::model(graph, "1.2.3", "A network.", &properties);
        let path = folder.join(format!("{}.onnx", self.name));
        let files = write(model, &path, self.max_message).unwrap();
        assert_eq!(files.len(), if self.max_message == MAX_MESSAGE { 1 } else { 2 });
        let passes: Vec<Value> = (self.passes().into_iter().enumerate())
            .map(|(i, images)| self.pass(folder, i, images, (&vit, &params), &mut rng))
            .collect();
        fs::write(path.with_extension("json"), json!(passes).to_string()).unwrap();
    }

    /// Writes images and the tokens that this program computes.
    fn pass(
        &self,
        folder: &Path,
        i: usize,
        images: Images,
        (vit, params): (&Vit, &Params),
        rng: &mut ChaCha8Rng,
    ) -> Value {
        let Images { count, channels, height, width } = images;
        let len = count * channels * height * width;
        let pixels: Vec<f32> = (0..len).map(|_| rng.random_range(-2.0..2.0)).collect();
        let tokens = vit.infer(params, &[Crops::new(&pixels, images)], Tokens::All);
        let (registers, d) = (self.shape.registers, self.shape.embed_dim);
        let all = self.shape.tokens(&images);
        let save = |part: &str, shape: Vec<usize>, values: Vec<f32>| {
            let file = format!("{}-{i}-{part}.f32", self.name);
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            fs::write(folder.join(&file), bytes).unwrap();
            json!({ "file": file, "shape": shape })
        };
        let rows = |first: usize, end: usize| -> Vec<f32> {
            let each = tokens.host().chunks_exact(all * d);
            each.flat_map(|of_image| &of_image[first * d..end * d]).copied().collect()
        };
        let first = 1 + registers;
        let mut expected = json!({
            "cls": save("cls", vec![count, d], rows(0, 1)),
            "patches": save("patches", vec![count, all - first, d], rows(first, all)),
        });
        if registers > 0 {
            let values = rows(1, first);
            expected["registers"] = save("registers", vec![count, registers, d], values);
        }
        let images = save("images", vec![count, channels, height, width], pixels);
        json!({ "images": images, "tokens": expected })
    }
}

/// Weights of which every one has an effect.
fn draw(table: ParamTable, rng: &mut ChaCha8Rng) -> Params {
    let mut params = Params::zeros(table.into());
    for entry in params.table().clone().entries() {
        let (middle, spread) = match entry.role {
            Role::Norm => (1.0, 0.5),
            Role::LayerScale => (0.5, 0.3),
            Role::Positions | Role::Token => (0.0, 1.0),
            _ => (0.0, 0.2),
        };
        for x in params.view_mut(entry.param).host_mut() {
            *x = middle + spread * rng.random_range(-1.0..1.0);
        }
    }
    params
}

fn compare(python: &OsString) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    cases.iter().for_each(|case| case.write(folder.path()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/run_models.py");
    let output = Command::new(python).arg("-B").arg(script).arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ONNX Runtime cannot run the files: {errors}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    for case in &cases {
        let found = &found[case.name];
        check(case, found);
    }
    Ok(())
}

fn check(case: &Case, found: &Value) {
    assert_eq!(found["opset"], onnx::OPSET);
    assert_eq!(found["metadata"], json!({ "mean": "[0.5]" }));
    let [height, width] = match case.size {
        Some((height, width)) => [json!(height), json!(width)],
        None => [json!("height"), json!("width")],
    };
    assert_eq!(found["inputs"], json!([["batch", case.shape.channels, height, width]]));
    let outputs = match case.shape.registers {
        0 => json!(["cls", "patches"]),
        _ => json!(["cls", "patches", "registers"]),
    };
    assert_eq!(found["outputs"], outputs);
    let passes = found["passes"].as_array().unwrap();
    assert_eq!(passes.len(), case.passes().len());
    let tolerance = if case.precision == Precision::F16 { F16 } else { F32 };
    let differences = passes.iter().flat_map(|pass| pass.as_object().unwrap());
    let largest = differences.map(|(_, x)| x.as_f64().unwrap()).fold(0.0, f64::max);
    assert!(largest < tolerance, "{} of {passes:?}", case.name);
}
