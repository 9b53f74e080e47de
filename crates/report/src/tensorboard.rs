//! An `EventFile` writes numbers, text and images for TensorBoard: TFRecord frames around protocol buffers
//! `Event`. The few messages are encoded by hand, which is shorter than generated code.
//!
//! | module | |
//! | --- | --- |
//! | `summary` | the values of an event: numbers, text, images, hyperparameters |
//! | `wire` | fields of protocol buffers |
//! | `crc` | the checksum of frames |

mod crc;
mod summary;
mod wire;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Error, Result, io_error};
use crc::masked_crc32c;
use wire::Message;

/// Fields of `Event`, `Summary` and `SessionLog` in TensorFlow's `event.proto`.
mod field {
    pub const WALL_TIME: u32 = 1; // double
    pub const STEP: u32 = 2; // int64
    pub const FILE_VERSION: u32 = 3; // string
    pub const SUMMARY: u32 = 5; // message
    pub const SESSION_LOG: u32 = 7; // message
    pub const SUMMARY_VALUE: u32 = 1; // message, repeated
    pub const SESSION_STATUS: u32 = 1; // enum
}

const SESSION_START: u64 = 1;

/// A number under a tag. TensorBoard groups charts by what stands before the first `/`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The tag, such as `train/loss`.
    pub tag: String,
    /// The number.
    pub value: f64,
    /// What it is, shown beside the chart; may be empty.
    pub about: &'static str,
}

impl Scalar {
    /// The numbers in `value`, each under its path below `tag`. Leaves out `step`, which an event has.
    pub fn all_in(tag: &str, value: &Value) -> Vec<Self> {
        match value {
            Value::Number(number) => {
                let value = number.as_f64().unwrap_or(f64::NAN);
                vec![Self { tag: tag.to_owned(), value, about: "" }]
            }
            Value::Object(fields) => {
                let fields = fields.iter().filter(|(name, _)| *name != "step");
                fields
                    .flat_map(|(name, value)| Self::all_in(&format!("{tag}/{name}"), value))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum HyperParameter {
    /// A number.
    Number(f64),
    /// One of several words.
    Text(String),
    /// On or off.
    Bool(bool),
}

/// An image in color.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row.
    pub pixels: Vec<u8>,
}

/// An event file for TensorBoard. Each process that trains in a run folder writes one.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
    /// Tags whose description is written.
    described: BTreeSet<String>,
}

impl EventFile {
    /// Creates a new file in `folder`. With `step > 0`, the start of a resumed run, TensorBoard
    /// ignores what earlier files have after `step`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<Self> {
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let (path, file) = create_new(folder)?;
        let mut events = Self { path, file, described: BTreeSet::new() };
        events.event(0, |event| event.bytes(field::FILE_VERSION, "brain.Event:2"))?;
        if step > 0 {
            let status = Message::default().varint(field::SESSION_STATUS, SESSION_START);
            events.event(step + 1, |event| event.message(field::SESSION_LOG, &status))?;
        }
        Ok(events)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the numbers of one step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(&mut self, step: u64, scalars: &[Scalar]) -> Result<()> {
        if scalars.is_empty() {
            return Ok(());
        }
        let summary = scalars.iter().fold(Message::default(), |summary, scalar| {
            let described = !self.described.insert(scalar.tag.clone());
            summary.message(field::SUMMARY_VALUE, &summary::scalar(scalar, described))
        });
        self.event(step, |event| event.message(field::SUMMARY, &summary))
    }

    /// Writes text in Markdown.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn text(&mut self, step: u64, tag: &str, markdown: &str) -> Result<()> {
        self.value(step, &summary::text(tag, markdown))
    }

    /// Writes an image.
    ///
    /// # Errors
    /// If the file cannot be written.
    ///
    /// # Panics
    /// If the picture has not three bytes for each pixel.
    pub fn image(&mut self, step: u64, tag: &str, picture: &Picture) -> Result<()> {
        let Picture { width, height, pixels } = picture;
        assert_eq!(pixels.len(), 3 * *width as usize * *height as usize, "bytes of a picture");
        let png = png(picture).map_err(io_error("write", &self.path))?;
        self.value(step, &summary::image(tag, (*width, *height), &png))
    }

    /// Writes the hyperparameters of the run, by which TensorBoard compares it with others.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn hyperparameters(&mut self, values: &[(String, HyperParameter)]) -> Result<()> {
        self.value(0, &summary::hyperparameters(values, now()))
    }

    fn value(&mut self, step: u64, value: &Message) -> Result<()> {
        let summary = Message::default().message(field::SUMMARY_VALUE, value);
        self.event(step, |event| event.message(field::SUMMARY, &summary))
    }

    fn event(&mut self, step: u64, what: impl FnOnce(Message) -> Message) -> Result<()> {
        let event = Message::default().double(field::WALL_TIME, now()).varint(field::STEP, step);
        let frame = frame(what(event).as_bytes());
        self.file.write_all(&frame).map_err(io_error("write", &self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn png(picture: &Picture) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// A file with the first free name. TensorBoard reads the files of a folder in the order of their names.
fn create_new(folder: &Path) -> Result<(PathBuf, File)> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut number = 0;
    loop {
        let name = format!("events.out.tfevents.{seconds:010}.{number}.{}", process::id());
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error { action: "create", path, source }),
        }
    }
}

/// A TFRecord: length, checksum of the length, data, checksum of the data.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut frame = length.to_vec();
    frame.extend(masked_crc32c(&length).to_le_bytes());
    frame.extend(data);
    frame.extend(masked_crc32c(data).to_le_bytes());
    frame
}

#[cfg(test)]
mod tests;
