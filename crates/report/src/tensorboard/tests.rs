use serde_json::json;

use super::crc::{crc32c, masked_crc32c};
use super::*;
use crate::MetricsWriter;

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283); // the check value of every CRC catalogue
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa); // RFC 3720, B.4
    assert_eq!(masked_crc32c(&[0; 32]).wrapping_sub(0xa282_ead8).rotate_left(15), 0x8a91_36aa);
}

/// Splits TFRecord frames and checks both checksums of each.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(number(&bytes[8..]), masked_crc32c(&bytes[..8]));
        let data = &bytes[12..12 + length];
        assert_eq!(number(&bytes[12 + length..]), masked_crc32c(data));
        frames.push(data);
        bytes = &bytes[16 + length..];
    }
    frames
}

fn event_bytes(run: &Path) -> Vec<u8> {
    let is_events = |path: &PathBuf| path.to_string_lossy().contains("tfevents");
    let mut paths = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    fs::read(paths.find(is_events).unwrap()).unwrap()
}

#[test]
fn scalars_are_the_protocol_buffers_of_tensorboard() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = MetricsWriter::open(folder.path(), 0).unwrap();
    metrics.write(300, &json!({"loss": 1.5, "knn": {"top1": 2}, "note": "text"})).unwrap();
    let bytes = event_bytes(folder.path());
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 2);
    assert_eq!(&frames[0][9..11], &[0x10, 0]);
    assert_eq!(&frames[0][11..], b"\x1a\x0dbrain.Event:2");
    assert_eq!(frames[1][0], 0x09); // wall time, a double
    let expected = [
        b"\x10\xac\x02".as_slice(), // step 300
        b"\x2a\x1e",                // summary of 30 bytes
        b"\x0a\x0f\x0a\x08knn/top1\x15\0\0\0\x40",
        b"\x0a\x0b\x0a\x04loss\x15\0\0\xc0\x3f",
    ];
    assert_eq!(frames[1][9..], expected.concat());
}
