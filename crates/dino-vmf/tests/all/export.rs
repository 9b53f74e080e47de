//! `export`: a run becomes an ONNX file that says how it is used.

use std::fs;

use crate::fixtures::Tiny;
use onnx::message::{DataType, Model};
use prost::Message;

fn read(tiny: &Tiny, name: &str) -> Model {
    Model::decode(&*fs::read(tiny.path(name)).unwrap()).unwrap()
}

fn property<'a>(model: &'a Model, key: &str) -> &'a str {
    &model.metadata_props.iter().find(|entry| entry.key == key).unwrap().value
}

#[test]
fn a_run_becomes_an_onnx_file() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    let ended = tiny.run(&["export", "--to", "onnx", "run", "vit.onnx", "--json"]).code(0);
    let event = ended.last_event();
    assert_eq!((&event["event"], &event["opset"]), (&"export".into(), &17.into()));
    assert_eq!(event["outputs"][1], "patches [batch, patches, 16]");
    let model = read(&tiny, "vit.onnx");
    assert_eq!((property(&model, "network"), property(&model, "step")), ("teacher", "1"));
    assert_eq!((property(&model, "channels"), property(&model, "crop")), ("RGB", "32"));
    assert!(property(&model, "mean").starts_with("[0.485"), "{}", property(&model, "mean"));
    let names = |model: &Model| -> Vec<String> {
        model.graph.as_ref().unwrap().node.iter().map(|node| node.name.clone()).collect()
    };
    assert!(names(&model).iter().any(|name| name == "blocks.1.attn.weights"));

    let fixed = ["export", "run", "small.onnx", "--dtype", "f16", "--fixed-size", "32", "64"];
    let text = tiny.run(&fixed).code(0).stdout;
    assert!(
        text.contains("images of 32 x 64 to cls [batch, 16], patches [batch, 32, 16]"),
        "{text}"
    );
    let small = read(&tiny, "small.onnx");
    assert!(names(&small).len() < names(&model).len(), "positions are resampled already");
    let weights = &small.graph.as_ref().unwrap().initializer;
    let weight = weights.iter().find(|weight| weight.name == "blocks.0.attn.qkv.weight").unwrap();
    assert_eq!((weight.data_type(), &weight.dims), (DataType::Float16, &vec![16, 48]));
}

#[test]
fn mistakes_are_explained() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    tiny.run(&["export", "vit.onnx", "run"]).code(2).says("name the checkpoint first");
    tiny.run(&["export", "nowhere", "vit.onnx"]).code(1).says("nowhere");
    let small = ["export", "run", "vit.onnx", "--fixed-size", "4", "64"];
    tiny.run(&small).code(1).says("images of 4 x 64 pixels have no patch of 8 x 8");
    tiny.run(&["export", "run", "no/folder/vit.onnx"]).code(1).says("cannot write");
    tiny.run(&["export", "run", "vit.onnx", "--to", "tflite"]).code(2).says("onnx");
    tiny.run(&["onnx", "run"]).code(2).says("export --to onnx");
}
