use std::str;

use serde_json::json;

use super::crc::{crc32c, masked_crc32c};
use super::*;

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

/// A file of one test, and what it holds.
fn written(write: impl FnOnce(&mut EventFile)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write(&mut EventFile::create(folder.path(), 0).unwrap());
    event_bytes(folder.path())
}

/// A field of a message: its number, and its content as it is encoded.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| *byte < 0x80).unwrap();
        let value =
            bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
        *bytes = &bytes[end + 1..];
        value
    }
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let before = message;
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                let length = before.len() - message.len();
                message = before;
                length
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, &message[..length]));
        message = &message[length..];
    }
    fields
}

/// The content of the fields at a path of numbers.
fn at<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((first, rest)) = path.split_first() else { return vec![message] };
    let found = fields(message).into_iter().filter(|(number, _)| number == first);
    found.flat_map(|(_, content)| at(content, rest)).collect()
}

const VALUE: [u64; 2] = [5, 1]; // Event.summary, Summary.value

#[test]
fn scalars_are_the_protocol_buffers_of_tensorboard() {
    let scalar = |tag: &str, value, about| Scalar { tag: tag.to_owned(), value, about };
    let bytes = written(|events| {
        events.scalars(300, &[scalar("knn/top1", 2.0, ""), scalar("loss", 1.5, "")]).unwrap();
        events.scalars(301, &[scalar("kl", 1.0, "nats")]).unwrap();
        events.scalars(302, &[scalar("kl", 1.0, "nats")]).unwrap();
    });
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 4);
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
    // The description stands at the first value of a tag alone.
    assert_eq!(at(frames[2], &[5, 1, 9, 3]), [b"nats"]);
    assert!(at(frames[3], &[5, 1, 9]).is_empty());
}

#[test]
fn numbers_of_a_record_have_tags_below_its_own() {
    let record = json!({"step": 7, "kappa": {"min": 1, "max": 2.5}, "note": "text"});
    let mut found = Scalar::all_in("diagnostics", &record);
    found.sort_by(|a, b| a.tag.cmp(&b.tag));
    let found: Vec<_> = found.iter().map(|scalar| (&scalar.tag[..], scalar.value)).collect();
    assert_eq!(found, [("diagnostics/kappa/max", 2.5), ("diagnostics/kappa/min", 1.0)]);
}

#[test]
fn text_is_a_tensor_of_the_plugin_for_text() {
    let bytes = written(|events| events.text(3, "config", "# *a*").unwrap());
    let value = at(frames(&bytes)[1], &VALUE)[0];
    assert_eq!(at(value, &[1]), [b"config"]);
    assert_eq!(at(value, &[9, 1, 1]), [b"text"]);
    assert_eq!(at(value, &[8, 8]), [b"# *a*"]);
    assert_eq!(at(value, &[8, 1]), [[7]]); // strings
}

#[test]
fn an_image_is_a_png_with_its_size() {
    let picture = Picture { width: 2, height: 1, pixels: vec![255, 0, 0, 1, 2, 3] };
    let bytes = written(|events| events.image(3, "data/crops", &picture).unwrap());
    let value = at(frames(&bytes)[1], &VALUE)[0];
    assert_eq!(at(value, &[9, 1, 1]), [b"images"]);
    let strings = at(value, &[8, 8]);
    assert_eq!(strings[..2], [b"2", b"1"]);
    let mut reader = png::Decoder::new(io::Cursor::new(strings[2])).read_info().unwrap();
    let mut pixels = [0; 6];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, picture.pixels[..]);
}

#[test]
fn hyperparameters_are_the_start_of_a_session() {
    let values = [
        ("optim.lr".to_owned(), HyperParameter::Number(0.5)),
        ("model.arch".to_owned(), HyperParameter::Text("vit_tiny".to_owned())),
        ("data.strict".to_owned(), HyperParameter::Bool(true)),
    ];
    let bytes = written(|events| events.hyperparameters(&values).unwrap());
    let value = at(frames(&bytes)[1], &VALUE)[0];
    assert_eq!(at(value, &[1]), [b"_hparams_/session_start_info"]);
    assert_eq!(at(value, &[9, 1, 1]), [b"hparams"]);
    let start = [9, 1, 2, 3]; // metadata, plugin data, content, session_start_info
    let names = at(value, &[&start[..], &[1, 1]].concat());
    assert_eq!(names, [b"optim.lr".as_slice(), b"model.arch", b"data.strict"]);
    let of = |kind| at(value, &[&start[..], &[1, 2, kind]].concat());
    assert_eq!(of(2), [0.5f64.to_le_bytes()]);
    assert_eq!(of(3), [b"vit_tiny"]);
    assert_eq!(of(4), [[1]]);
    assert_eq!(at(value, &[8, 5]), [[0; 4]]);
}
