//! Resolves hard and symbolic links inside an archive.
//!
//! A link to an image in the archive is an image with another name, as it would be after unpacking.
//! `tar` writes a hard link when a file has several names on disk.

use std::collections::{HashMap, HashSet};

use super::member::Member;
use crate::dataset::left_out::Tally;
use crate::dataset::names::{Kind, is_hidden, kind_of, normalize};

/// Limit on the length of a chain of links; a longer one is a loop.
const MAX_CHAIN: usize = 40;

/// A link to another member.
pub(super) struct Link {
    pub(super) name: Vec<u8>,
    /// The member that it points to; empty if that is outside the archive.
    pub(super) target: Vec<u8>,
}

/// The member that a link called `name` points to; empty if that is outside the archive.
///
/// A hard link names a member. A symbolic link names a path relative to its own folder.
pub(super) fn target(name: &[u8], link: &[u8], symbolic: bool) -> Vec<u8> {
    if !symbolic {
        return normalize(link);
    }
    if link.starts_with(b"/") {
        return Vec::new();
    }
    let folder = name.iter().rposition(|&byte| byte == b'/').map_or(&b""[..], |end| &name[..=end]);
    normalize(&[folder, link].concat())
}

/// Adds the links that lead to images, and counts links with an image's name that lead nowhere.
pub(super) fn resolve(
    links: Vec<Link>,
    images: &mut Vec<Member>,
    hidden: &[Member],
    left_out: &mut Tally,
) {
    if links.is_empty() {
        return;
    }
    let span = |member: &Member| (member.name.clone(), (member.offset, member.len));
    // of several members with one name, unpacking keeps the last
    let files: HashMap<_, _> = hidden.iter().chain(&*images).map(span).collect();
    let folders: HashSet<_> = files.keys().flat_map(|name| parents(name)).collect();
    let targets: HashMap<_, _> =
        links.iter().map(|link| (&link.name[..], &link.target[..])).collect();
    let mut added = Vec::new();
    for Link { name, .. } in links.iter().filter(|link| !is_hidden(&link.name)) {
        let mut place = &name[..];
        for _ in 0..MAX_CHAIN {
            let Some(next) = targets.get(place) else { break };
            place = next;
        }
        if let Some(&(offset, len)) = files.get(place) {
            if matches!(kind_of(name), Kind::Image | Kind::Unknown) {
                let name = name.clone();
                added.push(Member { name, offset, len, label: None, keyed: false });
            }
        } else if folders.contains(place) {
            left_out.add("links to folders, which are read under their own names", name);
        } else if kind_of(name) == Kind::Image {
            left_out.add("links to images that the archive does not hold", name);
        }
    }
    images.extend(added);
}

/// The folders around a name.
fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    // bounds the total length of the parents of a very deep name
    const MAX_PARENTS: usize = 64;
    name.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(end, _)| &name[..end])
        .take(MAX_PARENTS)
}
