//! PyTorch's format before 1.6: five pickles (magic number, version, system, content, keys of storages), then
//! each storage as its length and its bytes.

use std::collections::HashMap;
use std::sync::Arc;

use super::flatten::{flatten, storages};
use super::part::{Part, Place};
use super::{Archive, Container, failed};
use crate::error::Error;
use crate::pickle::{self, Node, Tree, Value};

/// The pickle of the magic number, 0x1950a86a20f9469cfc6c, up to its end. Its first byte is the same in all
/// protocols; the second is the protocol, 2 unless somebody chose another.
pub(super) const START: [u8; 4] = [0x80, 2, 0x8a, 10];

const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The version that follows the magic number.
const VERSION: i64 = 1001;

/// Opens a file.
pub(super) fn open(part: Part) -> Result<Archive, Error> {
    let mut pickles = Pickles::new(&part)?;
    if !matches!(pickles.next()?.root(), Value::Long(magic) if **magic == MAGIC) {
        return Err(part.damaged("byte 0", "the magic number of PyTorch is wrong"));
    }
    if pickles.next()?.root().as_int() != Some(VERSION) {
        return Err(part.damaged("its version", "it is not 1001"));
    }
    if pickles.next()?.get(&["little_endian"]) == Some(&Value::Bool(false)) {
        let (path, what) = (part.path().to_owned(), "big-endian values".to_owned());
        return Err(Error::Unsupported { path, what });
    }
    let tree = pickles.next()?;
    let keys = pickles.next()?;
    let places = places(&part, &tree, &keys, pickles.position)?;
    let tensors = flatten(&tree, &places, &part)?;
    Archive::new(Container::TorchLegacy, vec![part], tensors, Some(tree))
}

/// The pickles at the start of a file.
struct Pickles<'a> {
    part: &'a Part,
    bytes: Vec<u8>,
    position: usize,
}

impl<'a> Pickles<'a> {
    fn new(part: &'a Part) -> Result<Self, Error> {
        // All pickles fit into what one may have; most are far smaller, so read more only if it is needed.
        Ok(Self { part, bytes: part.read(0, part.len().min(1 << 20))?, position: 0 })
    }

    fn next(&mut self) -> Result<Tree, Error> {
        let most = self.part.len().min(pickle::MAX_BYTES as u64);
        loop {
            match pickle::read(&self.bytes[self.position..]) {
                Ok((tree, length)) => {
                    self.position += length;
                    return Ok(tree);
                }
                // It may only be cut off here: try again with all of it.
                Err(failure) if (self.bytes.len() as u64) < most => {
                    drop(failure);
                    self.bytes = self.part.read(0, most)?;
                }
                Err(mut failure) => {
                    failure.offset += self.position;
                    return Err(failed(self.part.path(), failure));
                }
            }
        }
    }
}

/// Where the storages lie: one after the other from `position` on, in the order of `keys`.
fn places(
    part: &Part,
    tree: &Tree,
    keys: &Tree,
    position: usize,
) -> Result<HashMap<Arc<str>, Place>, Error> {
    let sizes: HashMap<_, _> =
        storages(tree).map(|s| (&s.key, s.dtype.map_or(1, crate::Dtype::size))).collect();
    let Some(Node::Items(keys)) = keys.node(keys.root()) else {
        return Err(part.damaged("its list of storages", "it is no list"));
    };
    let mut offset = position as u64;
    let mut places = HashMap::new();
    for key in keys {
        let Value::Text(key) = key else {
            return Err(part.damaged("its list of storages", "a key is no text"));
        };
        let place = || format!("storage `{key}`");
        let Some(size) = sizes.get(key) else {
            return Err(part.damaged(place(), "no tensor refers to it"));
        };
        let length: [u8; 8] = part.read(offset, 8)?.try_into().unwrap_or_default();
        let length = u64::from_le_bytes(length);
        let bytes = length.checked_mul(*size as u64).filter(|bytes| *bytes <= part.len());
        let Some(len) = bytes else {
            let reason = format!("its {length} values go past the end of the file");
            return Err(part.damaged(place(), reason));
        };
        offset += 8;
        if offset + len > part.len() {
            let reason = format!("its {len} bytes go past the end of the file");
            return Err(part.damaged(place(), reason));
        }
        places.insert(key.clone(), Place { part: 0, offset, len, crc: None });
        offset += len;
    }
    if let Some(missing) = storages(tree).find(|storage| !places.contains_key(&storage.key)) {
        let reason = "its tensors refer to it, but it is missing";
        return Err(part.damaged(format!("storage `{}`", missing.key), reason));
    }
    Ok(places)
}
