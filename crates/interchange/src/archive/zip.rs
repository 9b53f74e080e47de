//! PyTorch's zip archives: `NAME/data.pkl`, and `NAME/data/KEY` for each storage. Members are never compressed.

use std::collections::HashMap;

use zip::{CompressionMethod, ZipArchive};

use super::flatten::{flatten, storages};
use super::part::{Part, Place};
use super::{Archive, Container, failed};
use crate::about::{self, About};
use crate::error::Error;
use crate::pickle;

/// Opens an archive.
pub(super) fn open(part: Part) -> Result<Archive, Error> {
    let members = members(&part)?;
    let is_pickle = |name: &&String| {
        name.strip_suffix("data.pkl").is_some_and(|folder| folder.matches('/').count() <= 1)
    };
    let unsupported =
        |what: &str| Error::Unsupported { path: part.path().to_owned(), what: what.into() };
    let Some(name) = members.keys().filter(is_pickle).min() else {
        let found = "it is a zip archive without a `data.pkl`, which PyTorch writes".to_owned();
        return Err(Error::NoCheckpoint { path: part.path().to_owned(), found });
    };
    let folder = name.strip_suffix("data.pkl").unwrap_or_default();
    if members.contains_key(&format!("{folder}constants.pkl")) {
        return Err(unsupported("a TorchScript program"));
    }
    let read = |place: &Place| part.read_checked(place);
    if let Some(order) = members.get(&format!("{folder}byteorder"))
        && order.len < 16
        && read(order)?.starts_with(b"big")
    {
        return Err(unsupported("big-endian values"));
    }
    let place = &members[name];
    if place.len > pickle::MAX_BYTES as u64 {
        return Err(unsupported("a pickle of more than 64 MiB"));
    }
    let (tree, _) = pickle::read(&read(place)?).map_err(|failure| failed(part.path(), failure))?;
    let mut places = HashMap::new();
    for storage in storages(&tree) {
        let Some(place) = members.get(&format!("{folder}data/{}", storage.key)) else {
            let reason = "its tensors refer to it, but it is missing";
            return Err(part.damaged(format!("storage `{}`", storage.key), reason));
        };
        places.insert(storage.key.clone(), place.clone());
    }
    let about = members.get(&format!("{folder}{}", about::MEMBER));
    let about = about.filter(|place| place.len <= about::MAX_BYTES).map(read).transpose()?;
    let tensors = flatten(&tree, &places, &part)?;
    let mut archive = Archive::new(Container::TorchZip, vec![part], tensors, Some(tree))?;
    archive.about = about.and_then(|text| About::parse(&text));
    Ok(archive)
}

/// Places of all members by name.
fn members(part: &Part) -> Result<HashMap<String, Place>, Error> {
    let broken = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(source)
            if source.kind() != std::io::ErrorKind::UnexpectedEof
                && source.raw_os_error().is_some() =>
        {
            Error::Read { path: part.path().to_owned(), source }
        }
        error => part.damaged("its list of members", error.to_string()),
    };
    let mut archive = ZipArchive::new(part.source()?).map_err(broken)?;
    let mut members = HashMap::with_capacity(archive.len());
    for i in 0..archive.len() {
        let member = archive.by_index_raw(i).map_err(broken)?;
        let name = member.name().map_err(broken)?.into_owned();
        if member.compression() != CompressionMethod::Stored || member.encrypted() {
            let what = format!("the compressed member `{name}`, which PyTorch does not write");
            return Err(Error::Unsupported { path: part.path().to_owned(), what });
        }
        // PyTorch writes 0 where it is told to compute no checksums.
        let (len, crc) = (member.size(), Some(member.crc32()).filter(|crc| *crc != 0));
        let Some(offset) = member.data_start() else {
            return Err(part.damaged(format!("member `{name}`"), "it has no start"));
        };
        if offset.checked_add(len).is_none_or(|end| end > part.len()) {
            let reason = format!("its {len} bytes go past the end of the file");
            return Err(part.damaged(format!("member `{name}`"), reason));
        }
        members.insert(name, Place { part: 0, offset, len, crc });
    }
    Ok(members)
}
