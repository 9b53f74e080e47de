//! Backbones as ONNX files, which ONNX Runtime, TensorRT, OpenVINO and others run.
//!
//! ```text
//! Vit, weights ─▶ backbone::graph ─▶ Graph, a builder ─▶ message::Model ─▶ write   NAME.onnx
//!                 reads like vit      names, weights      protobuf                 (and NAME.onnx.data)
//! ```
//!
//! [`backbone`] describes the network with the operations of opset 17. A person can read its names in a
//! viewer such as Netron: `blocks.0.attn.q`, `blocks.0.mlp.fc1`. Inputs are `images`, normalized, of any
//! number and any size; outputs are `cls`, `patches` and, if the network has them, `registers`.
//!
//! ```
//! use engine::{ParamTable, Params};
//! use onnx::{Export, Precision, message};
//! use vit::{Vit, VitShape};
//!
//! let shape = VitShape {
//!     embed_dim: 16, depth: 2, heads: 2, mlp_hidden: 64, patch_size: 4, image_size: 16,
//!     ..VitShape::default()
//! };
//! let mut table = ParamTable::default();
//! let vit = Vit::new(&shape, "backbone.", &mut table);
//! let params = Params::zeros(table.into());
//!
//! let export = Export { prefix: "backbone.", precision: Precision::F32, size: None };
//! let graph = onnx::backbone::graph(&vit, &params, &export)?;
//! let outputs: Vec<_> = graph.output.iter().map(|output| output.name.as_str()).collect();
//! assert_eq!(outputs, ["cls", "patches"]);
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("vit.onnx");
//! let model = onnx::model(graph, "0.1.0", "A small network.", &[]);
//! onnx::write::write(model, &path, onnx::write::MAX_MESSAGE)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod backbone;
pub mod error;
mod graph;
pub mod message;
mod positions;
pub mod write;

pub use backbone::Export;
pub use error::{Error, Result};
pub use graph::Precision;

/// The opset of the graphs. It is the first one with `LayerNormalization`.
pub const OPSET: i64 = 17;

/// A file's message: a graph, the version of this program, a description for people, and names with values for
/// programs.
pub fn model(
    graph: message::Graph,
    version: &str,
    about: &str,
    properties: &[(String, String)],
) -> message::Model {
    let property = |(key, value): &(String, String)| message::Property {
        key: key.clone(),
        value: value.clone(),
    };
    message::Model {
        ir_version: message::IR_VERSION,
        producer_name: "dino-vmf".to_owned(),
        producer_version: version.to_owned(),
        doc_string: about.to_owned(),
        graph: Some(graph),
        opset_import: vec![message::OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: properties.iter().map(property).collect(),
    }
}
