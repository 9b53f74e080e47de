//! The values that events hold: `Summary.Value` of TensorFlow's `summary.proto`, and what TensorBoard's
//! plugins for text, images and hyperparameters put into it.

use super::wire::Message;
use super::{HyperParameter, Scalar};

/// Fields of the messages, by their names in TensorFlow's and TensorBoard's `.proto` files.
mod field {
    pub const VALUE_TAG: u32 = 1; // Summary.Value
    pub const VALUE_SIMPLE: u32 = 2;
    pub const VALUE_TENSOR: u32 = 8;
    pub const VALUE_METADATA: u32 = 9;
    pub const METADATA_PLUGIN: u32 = 1; // SummaryMetadata
    pub const METADATA_DESCRIPTION: u32 = 3;
    pub const METADATA_DATA_CLASS: u32 = 4;
    pub const PLUGIN_NAME: u32 = 1; // SummaryMetadata.PluginData
    pub const PLUGIN_CONTENT: u32 = 2;
    pub const TENSOR_TYPE: u32 = 1; // TensorProto
    pub const TENSOR_SHAPE: u32 = 2;
    pub const TENSOR_FLOATS: u32 = 5;
    pub const TENSOR_STRINGS: u32 = 8;
    pub const SHAPE_DIM: u32 = 2; // TensorShapeProto
    pub const DIM_SIZE: u32 = 1;
    pub const HPARAMS_START: u32 = 3; // HParamsPluginData
    pub const START_HPARAMS: u32 = 1; // SessionStartInfo
    pub const START_TIME: u32 = 5;
    pub const ENTRY_KEY: u32 = 1; // of a map
    pub const ENTRY_VALUE: u32 = 2;
    pub const ANY_NUMBER: u32 = 2; // google.protobuf.Value
    pub const ANY_STRING: u32 = 3;
    pub const ANY_BOOL: u32 = 4;
}

const DT_FLOAT: u64 = 1;
const DT_STRING: u64 = 7;
const DATA_CLASS_SCALAR: u64 = 1;
const DATA_CLASS_TENSOR: u64 = 2;
const DATA_CLASS_BLOB_SEQUENCE: u64 = 3;
/// The tag under which the plugin for hyperparameters looks for those of a run.
const SESSION_START: &str = "_hparams_/session_start_info";

/// A number. TensorBoard reads the description of a tag where it meets the tag first.
pub(super) fn scalar(scalar: &Scalar, described: bool) -> Message {
    let value = Message::default()
        .bytes(field::VALUE_TAG, &scalar.tag)
        .float(field::VALUE_SIMPLE, scalar.value as f32);
    if described || scalar.about.is_empty() {
        return value;
    }
    // TensorBoard drops the description where the plugin is left open.
    let metadata = Message::default()
        .message(field::METADATA_PLUGIN, &Message::default().bytes(field::PLUGIN_NAME, "scalars"))
        .bytes(field::METADATA_DESCRIPTION, scalar.about)
        .varint(field::METADATA_DATA_CLASS, DATA_CLASS_SCALAR);
    value.message(field::VALUE_METADATA, &metadata)
}

/// Text in Markdown.
pub(super) fn text(tag: &str, markdown: &str) -> Message {
    let tensor = Message::default()
        .varint(field::TENSOR_TYPE, DT_STRING)
        .message(field::TENSOR_SHAPE, &Message::default())
        .bytes(field::TENSOR_STRINGS, markdown);
    of_plugin(tag, "text", &Message::default(), DATA_CLASS_TENSOR, &tensor)
}

/// An image, as PNG.
pub(super) fn image(tag: &str, (width, height): (u32, u32), png: &[u8]) -> Message {
    let tensor = Message::default()
        .varint(field::TENSOR_TYPE, DT_STRING)
        .message(field::TENSOR_SHAPE, &vector(3))
        .bytes(field::TENSOR_STRINGS, width.to_string())
        .bytes(field::TENSOR_STRINGS, height.to_string())
        .bytes(field::TENSOR_STRINGS, png);
    of_plugin(tag, "images", &Message::default(), DATA_CLASS_BLOB_SEQUENCE, &tensor)
}

/// The hyperparameters of a run that starts at `time`, in seconds since 1970.
pub(super) fn hyperparameters(values: &[(String, HyperParameter)], time: f64) -> Message {
    let start = values.iter().fold(Message::default(), |start, (name, value)| {
        let value = match value {
            HyperParameter::Number(number) => Message::default().double(field::ANY_NUMBER, *number),
            HyperParameter::Text(text) => Message::default().bytes(field::ANY_STRING, text),
            HyperParameter::Bool(on) => Message::default().varint(field::ANY_BOOL, u64::from(*on)),
        };
        let entry =
            Message::default().bytes(field::ENTRY_KEY, name).message(field::ENTRY_VALUE, &value);
        start.message(field::START_HPARAMS, &entry)
    });
    let start = start.double(field::START_TIME, time);
    let content = Message::default().message(field::HPARAMS_START, &start);
    // The plugin ignores values without a tensor.
    let tensor = Message::default()
        .varint(field::TENSOR_TYPE, DT_FLOAT)
        .message(field::TENSOR_SHAPE, &vector(1))
        .float(field::TENSOR_FLOATS, 0.0);
    of_plugin(SESSION_START, "hparams", &content, DATA_CLASS_TENSOR, &tensor)
}

fn of_plugin(
    tag: &str,
    plugin: &str,
    content: &Message,
    data_class: u64,
    tensor: &Message,
) -> Message {
    let plugin = Message::default()
        .bytes(field::PLUGIN_NAME, plugin)
        .message(field::PLUGIN_CONTENT, content);
    let metadata = Message::default()
        .message(field::METADATA_PLUGIN, &plugin)
        .varint(field::METADATA_DATA_CLASS, data_class);
    Message::default()
        .bytes(field::VALUE_TAG, tag)
        .message(field::VALUE_TENSOR, tensor)
        .message(field::VALUE_METADATA, &metadata)
}

/// The shape of a tensor with one dimension.
fn vector(size: u64) -> Message {
    let dim = Message::default().varint(field::DIM_SIZE, size);
    Message::default().message(field::SHAPE_DIM, &dim)
}
