//! An `EventFile` writes scalars for TensorBoard: TFRecord frames around protocol buffers `Event`. The few
//! fields are encoded by hand, which is shorter than generated code.

mod crc;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result, io_error};
use crc::masked_crc32c;

/// Fields of `Event`, `Summary`, `Summary.Value` and `SessionLog` in TensorFlow's `event.proto`.
mod field {
    pub const WALL_TIME: u32 = 1; // double
    pub const STEP: u32 = 2; // int64
    pub const FILE_VERSION: u32 = 3; // string
    pub const SUMMARY: u32 = 5; // message
    pub const SESSION_LOG: u32 = 7; // message
    pub const SUMMARY_VALUE: u32 = 1; // message, repeated
    pub const VALUE_TAG: u32 = 1; // string
    pub const VALUE_SIMPLE: u32 = 2; // float
    pub const SESSION_STATUS: u32 = 1; // enum
}

const SESSION_START: u64 = 1;

/// An event file for TensorBoard. Each process that trains in a run folder writes one.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
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
        let mut events = Self { path, file };
        let version = bytes_field(field::FILE_VERSION, b"brain.Event:2");
        events.event(0, &version)?;
        if step > 0 {
            let status = varint_field(field::SESSION_STATUS, SESSION_START);
            events.event(step + 1, &bytes_field(field::SESSION_LOG, &status))?;
        }
        Ok(events)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes named values of one step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(&mut self, step: u64, scalars: &[(String, f32)]) -> Result<()> {
        if scalars.is_empty() {
            return Ok(());
        }
        let summary: Vec<u8> = scalars
            .iter()
            .flat_map(|(tag, value)| {
                let mut fields = bytes_field(field::VALUE_TAG, tag.as_bytes());
                fields.extend(key(field::VALUE_SIMPLE, 5));
                fields.extend(value.to_le_bytes());
                bytes_field(field::SUMMARY_VALUE, &fields)
            })
            .collect();
        self.event(step, &bytes_field(field::SUMMARY, &summary))
    }

    fn event(&mut self, step: u64, what: &[u8]) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = key(field::WALL_TIME, 1);
        event.extend(since.as_secs_f64().to_le_bytes());
        event.extend(varint_field(field::STEP, step));
        event.extend(what);
        self.file.write_all(&frame(&event)).map_err(io_error("write", &self.path))
    }
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

fn key(field: u32, wire_type: u32) -> Vec<u8> {
    varint(u64::from(field << 3 | wire_type))
}

fn varint_field(field: u32, value: u64) -> Vec<u8> {
    let mut bytes = key(field, 0);
    bytes.extend(varint(value));
    bytes
}

fn bytes_field(field: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = key(field, 2);
    bytes.extend(varint(content.len() as u64));
    bytes.extend(content);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests;
