//! WebDataset keys: the files of one sample have the same name up to the first dot.
//!
//! A sample gives one image, even if it holds several: of `0001.jpg` and `0001.seg.png` the first
//! is the image, and the mask is left out. But `a.b.jpg` and `a.c.jpg` in a plain archive are two
//! images. Images with the same key form one sample in these cases:
//!
//! 1. Another file has the key and a simple extension, such as `key.cls`, `key.json` or `key.txt`.
//! 2. All keys with several images have the same extensions, there are more such keys than
//!    extensions, and no part of an extension is a number. So `cat.1.jpg` and `dog.1.jpg` are
//!    separate images.
//! 3. The user chose an extension; then images with any other are left out.
//!
//! Of the images of a sample, the one with the plainest extension is used: a simple extension
//! before `input.png` and the like, then the order of [`PREFERRED`].

use std::collections::BTreeMap;
use std::path::Path;

use super::member::{Index, Member};
use crate::dataset::bytes::malformed;
use crate::dataset::left_out::Tally;
use crate::error::Error;

/// Preferred extensions of images; those of WebDataset's own examples come first.
const PREFERRED: [&str; 6] = ["jpg", "jpeg", "png", "webp", "jpe", "jfif"];
/// Words in extensions that distinguish the image from masks and depth maps.
const IMAGE_WORDS: [&str; 6] = ["image", "img", "input", "rgb", "photo", "color"];

/// The key of a file: its path up to the first dot of its name.
pub(super) fn key(name: &[u8]) -> &[u8] {
    split(name).0
}

/// Splits a path into key and extension, without the dot between them.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let file = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    match name[file..].iter().position(|&byte| byte == b'.') {
        Some(dot) => (&name[..file + dot], &name[file + dot + 1..]),
        None => (name, b""),
    }
}

fn extension(member: &Member) -> String {
    String::from_utf8_lossy(split(&member.name).1).to_lowercase()
}

/// Keeps one image of each sample, or the images with the extension `chosen`.
///
/// # Errors
/// If no image has the extension `chosen`.
pub(super) fn choose(
    path: &Path,
    indices: &mut [Index],
    chosen: Option<&str>,
    left_out: &mut Tally,
) -> Result<(), Error> {
    if let Some(chosen) = chosen {
        return keep_extension(path, indices, chosen, left_out);
    }
    let same_extensions = has_repeated_extensions(indices);
    for index in indices {
        let mut keep = Vec::with_capacity(index.members.len());
        for sample in index.members.chunk_by(|a, b| key(&a.name) == key(&b.name)) {
            let best = match sample.len() > 1 && (same_extensions || sample[0].keyed) {
                true => sample.iter().map(|member| rank(&extension(member))).min(),
                false => None,
            };
            for member in sample {
                let extension = extension(member);
                let kept = best.as_ref().is_none_or(|best| *best == rank(&extension));
                keep.push(kept);
                if !kept {
                    let what = format!("images `.{extension}` next to the image of their key");
                    left_out.add(&what, &member.name);
                }
            }
        }
        retain(&mut index.members, &keep);
    }
    Ok(())
}

fn keep_extension(
    path: &Path,
    indices: &mut [Index],
    chosen: &str,
    left_out: &mut Tally,
) -> Result<(), Error> {
    let wanted = chosen.trim_start_matches('.').to_lowercase();
    let mut others = BTreeMap::<String, (u64, Vec<u8>)>::new();
    let mut found = false;
    for index in indices {
        index.members.retain(|member| {
            let extension = extension(member);
            if extension == wanted {
                found = true;
                return true;
            }
            others.entry(extension).or_insert_with(|| (0, member.name.clone())).0 += 1;
            false
        });
    }
    if !found && !others.is_empty() {
        let names: Vec<_> = others.keys().take(8).map(|name| format!("`{name}`")).collect();
        let reason = format!(
            "has no image with the extension `{wanted}`, only with {}; set `data.image_extension` to \
             one of these",
            names.join(", ")
        );
        return Err(malformed(path, reason));
    }
    for (extension, (count, example)) in others {
        let what = format!("images `.{extension}`, because `.{wanted}` is chosen");
        left_out.add_many(&what, count, &example);
    }
    Ok(())
}

fn retain(members: &mut Vec<Member>, keep: &[bool]) {
    if keep.iter().all(|&keep| keep) {
        return;
    }
    let mut keep = keep.iter();
    members.retain(|_| keep.next().is_none_or(|&keep| keep));
}

/// Whether all keys with several images have the same extensions, as those of samples do.
fn has_repeated_extensions(indices: &[Index]) -> bool {
    let mut common: Option<Vec<String>> = None;
    let mut keys = 0;
    for index in indices {
        for sample in index.members.chunk_by(|a, b| key(&a.name) == key(&b.name)) {
            if sample.len() < 2 || sample[0].keyed {
                continue;
            }
            let extensions: Vec<_> = sample.iter().map(extension).collect();
            keys += 1;
            match &common {
                Some(common) if *common != extensions => return false,
                Some(_) => {}
                None if extensions.iter().any(|extension| has_number(extension)) => return false,
                None => common = Some(extensions),
            }
        }
    }
    common.is_some_and(|common| keys > common.len())
}

fn has_number(extension: &str) -> bool {
    let is_number = |part: &str| !part.chars().any(char::is_alphabetic);
    extension.split('.').any(is_number)
}

/// Sort key of extensions; the image of a sample has the smallest.
fn rank(extension: &str) -> (usize, bool, usize, String) {
    let parts: Vec<_> = extension.split('.').collect();
    let named = parts.iter().any(|part| IMAGE_WORDS.contains(part));
    let last = parts.last().copied().unwrap_or_default();
    let format = PREFERRED.iter().position(|known| *known == last).unwrap_or(PREFERRED.len());
    (parts.len(), !named, format, extension.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the images that are kept; with `keyed`, other files have their keys.
    fn kept(names: &[&str], keyed: bool, chosen: Option<&str>) -> Vec<String> {
        let member = |name: &&str| Member {
            name: name.as_bytes().to_vec(),
            offset: 0,
            len: 1,
            label: None,
            keyed,
        };
        let members = names.iter().map(member).collect();
        let mut indices = [Index { members, left_out: Tally::default() }];
        let mut left_out = Tally::default();
        choose(Path::new("x"), &mut indices, chosen, &mut left_out).expect("chosen");
        let left: usize = left_out.finish().iter().map(|left| left.count).sum();
        let members = &indices[0].members;
        assert_eq!(members.len() + left, names.len());
        members.iter().map(|m| String::from_utf8(m.name.clone()).expect("text")).collect()
    }

    #[test]
    fn a_sample_gives_the_image_with_the_plainest_extension() {
        assert_eq!(
            kept(&["0.jpg", "0.seg.png", "1.png", "1.seg.jpg"], true, None),
            ["0.jpg", "1.png"]
        );
        assert_eq!(kept(&["0.depth.png", "0.rgb.png"], true, None), ["0.rgb.png"]);
        assert_eq!(kept(&["0.png", "0.jpg"], true, None), ["0.jpg"]);
    }

    #[test]
    fn extensions_that_repeat_belong_to_samples() {
        let masks = ["a.jpg", "a.seg.png", "b.jpg", "b.seg.png", "c.jpg", "c.seg.png", "d.jpg"];
        assert_eq!(kept(&masks, false, None), ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]);
    }

    #[test]
    fn names_with_dots_in_a_plain_archive_are_images() {
        for names in [
            &["a.b.jpg", "a.c.jpg"][..],
            &["IMG.2020.jpg", "IMG.2021.jpg"],
            &["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg", "fox.0.jpg", "fox.1.jpg"],
            &["a.jpg", "a.png", "b.jpg", "b.seg.png", "c.jpg"],
        ] {
            assert_eq!(kept(names, false, None), names);
        }
    }

    #[test]
    fn an_extension_can_be_chosen() {
        let names = ["0.jpg", "0.seg.png", "1.jpg"];
        assert_eq!(kept(&names, false, Some(".seg.PNG")), ["0.seg.png"]);
    }
}
