//! Tar archives, alone and as shards.

use std::sync::Arc;

use multicrop::dataset::Selected;
use multicrop::loader::{Loader, LoaderConfig};
use multicrop::order;
use multicrop::recipe::Recipe;

use super::*;

#[test]
fn tar_archives_are_read_plain_and_gzipped() {
    let files = [
        ("./data/dog/1.png", png([1; 3])),
        ("./data/cat/2.png", png([2; 3])),
        ("./data/cat/._2.png", b"from a Mac".to_vec()),
        ("./data/readme", b"no image".to_vec()),
    ];
    let root = tempdir().unwrap();
    write(root.path(), "plain", &tar(&files));
    write(root.path(), "packed", &gz(&tar(&files)));
    for name in ["plain", "packed"] {
        let data = open_at(root.path(), name).unwrap();
        assert_eq!(data.classes(), ["cat", "dog"]);
        assert_eq!((values(&*data), labels(&*data)), (vec![2, 1], vec![0, 1]));
        assert!(data.name(0).ends_with(": cat/2.png"), "{}", data.name(0));
    }
    let data = open_at(root.path(), "plain").unwrap();
    assert_eq!(
        left_out(&*data),
        ["1 images with hidden names (a part of the name starts with a dot) (data/cat/._2.png)"]
    );
    let whole = tar(&files);
    // inside the first image, and inside the second header
    for len in [580, 1300] {
        write(root.path(), "cut", &whole[..len]);
        assert!(message(open_at(root.path(), "cut")).contains("copy"), "cut at {len}");
    }
    write(root.path(), "text", &tar(&[("a.txt", b"text".to_vec())]));
    assert!(message(open_at(root.path(), "text")).contains("holds no images"));
}

#[test]
fn tar_archives_have_parts() {
    let root = tempdir().unwrap();
    let parts = [("train/a/1.png", png([1; 3])), ("test/a/2.png", png([2; 3]))];
    write(root.path(), "parts.tar", &tar(&parts));
    assert_eq!(values(&*open_at(root.path(), "parts.tar").unwrap()), [1]);
    assert_eq!(values(&*open_at(root.path(), "parts.tar:test").unwrap()), [2]);
}

/// Shards of four images each, gzipped or not; images have consecutive numbers.
fn shards(root: &Path, count: usize, ending: &str) {
    for shard in 0..count {
        let file = |i: usize| {
            [
                (format!("{i:04}.png"), png([i as u8; 3])),
                (format!("{i:04}.json"), format!("{{\"label\": {}}}", i % 3).into_bytes()),
            ]
        };
        let files: Vec<_> = (4 * shard..4 * shard + 4).flat_map(file).collect();
        let files: Vec<_> = files.iter().map(|(name, bytes)| (&name[..], bytes.clone())).collect();
        let bytes = tar(&files);
        let bytes = if ending.ends_with('z') { gz(&bytes) } else { bytes };
        write(root, &format!("shard-{shard:03}.{ending}"), &bytes);
    }
}

#[test]
fn shards_are_one_data_set() {
    let numbers: Vec<u8> = (0..48).collect();
    for ending in ["tar", "tar.gz", "tgz"] {
        let root = tempdir().unwrap();
        shards(root.path(), 12, ending);
        for name in ["", &format!("shard-{{000..011}}.{ending}")] {
            let data = open_at(root.path(), name).unwrap();
            assert_eq!(values(&*data), numbers);
            assert_eq!(labels(&*data)[..5], [0, 1, 2, 0, 1]);
            assert!(data.name(9).ends_with(&format!("shard-002.{ending}: 0009.png")));
        }
        let some = open_at(root.path(), &format!("shard-00{{1,3}}.{ending}")).unwrap();
        assert_eq!(values(&*some), [4, 5, 6, 7, 12, 13, 14, 15]);
        let error = message(open_at(root.path(), &format!("shard-{{010..012}}.{ending}")));
        assert!(error.contains(&format!("shard-012.{ending}`")), "{error}");
        assert!(error.contains("stands for 3 files"), "{error}");
    }
}

#[test]
fn shards_have_parts_by_their_names_or_inside() {
    let root = tempdir().unwrap();
    write(root.path(), "train/0.tar", &tar(&[("1.png", png([1; 3]))]));
    write(root.path(), "train/1.tar", &tar(&[("2.png", png([2; 3]))]));
    write(root.path(), "val/0.tar", &tar(&[("3.png", png([3; 3]))]));
    assert_eq!(values(&*open_at(root.path(), "").unwrap()), [1, 2]);
    assert_eq!(values(&*open_at(root.path(), ":test").unwrap()), [3]);
    let inside = tempdir().unwrap();
    for shard in 0..2 {
        let files = [("train/a/1.png", png([shard; 3])), ("test/a/2.png", png([shard + 10; 3]))];
        write(inside.path(), &format!("{shard}.tar"), &tar(&files));
    }
    assert_eq!(values(&*open_at(inside.path(), "").unwrap()), [0, 1]);
    assert_eq!(values(&*open_at(inside.path(), ":test").unwrap()), [10, 11]);
    let plain = tempdir().unwrap();
    write(plain.path(), "0.tar", &tar(&[("a/1.png", png([1; 3]))]));
    assert!(message(open_at(plain.path(), ":test")).contains("no folder `test` or `val`"));
}

#[test]
fn images_beside_archives_are_what_was_unpacked_from_them() {
    let root = folder(&["a/1.png", "b/2.png"]);
    write(root.path(), "all.tar", &tar(&[("a/1.png", png([9; 3]))]));
    assert_eq!(values(&*open_at(root.path(), "").unwrap()), [0, 1]);
}

#[test]
fn packed_shards_are_visited_near_each_other_and_plain_ones_in_any_order() {
    let (plain, packed) = (tempdir().unwrap(), tempdir().unwrap());
    shards(plain.path(), 12, "tar");
    shards(packed.path(), 12, "tar.gz");
    let (plain, packed) = (open_at(plain.path(), "").unwrap(), open_at(packed.path(), "").unwrap());
    assert_eq!(order::for_dataset(&*plain, 3, 1), order::epoch_order(3, 1, 48));
    let order = order::for_dataset(&*packed, 3, 1);
    for stretch in order.windows(4) {
        let mut shards: Vec<_> = stretch.iter().map(|index| index / 4).collect();
        shards.sort_unstable();
        shards.dedup();
        assert!(shards.len() <= 4);
    }
    // Of some images, too: three in each shard but the last, which has none.
    let some = Selected::new(packed.clone(), (0..44).filter(|place| place % 4 != 1));
    assert_eq!(values(&some)[..5], [0, 2, 3, 4, 6]);
    let shards = some.shards().expect("shards");
    assert_eq!(
        (shards.ends[..3].to_vec(), shards.ends[10..].to_vec()),
        (vec![3, 6, 9], vec![33, 33])
    );
    let order = order::for_dataset(&some, 3, 1);
    for shard in 0..11 {
        let mut visits = (0..33).filter(|&place| order[place] / 3 == shard);
        let (first, last) =
            (visits.next().expect("a visit"), visits.next_back().expect("a last one"));
        assert!(last - first < shards.window * shards.window, "shard {shard}: {order:?}");
    }
    let batches = |workers, first| -> Vec<_> {
        let config = LoaderConfig { batch_size: 5, workers, seed: 3, ..LoaderConfig::default() };
        let recipe = Arc::new(Recipe::dino(8, 4, 1));
        let loader = Loader::<f32>::start(Arc::clone(&packed), recipe, config, first, 20).unwrap();
        loader.map(Result::unwrap).collect()
    };
    let all = batches(1, 0);
    assert_eq!(
        all[0].indices[..],
        order::for_dataset(&*packed, 3, 0)[..5].iter().map(|&i| i as usize).collect::<Vec<_>>()
    );
    assert_eq!(all, batches(3, 0));
    assert_eq!(all[13..], batches(2, 13));
}

#[test]
fn archives_that_are_damaged_or_vanish_are_refused_or_have_bad_images() {
    let root = tempdir().unwrap();
    shards(root.path(), 3, "tar.gz");
    let data = open_at(root.path(), "").unwrap();
    let whole = fs::read(root.path().join("shard-001.tar.gz")).unwrap();
    write(root.path(), "shard-001.tar.gz", &whole[..whole.len() / 2]);
    fs::remove_file(root.path().join("shard-002.tar.gz")).unwrap();
    let load = |index| data.load(index, &Options::default());
    assert!(load(0).is_ok());
    assert!(load(4).unwrap_err().to_string().contains("damaged gzip file"));
    assert!(load(8).unwrap_err().to_string().contains("cannot read"));
    assert!(message(open_at(root.path(), "")).contains("shard-001.tar.gz` is a damaged"));
    write(root.path(), "shard-001.tar.gz", b"no archive");
    assert!(message(open_at(root.path(), "")).contains("not a tar archive, though other"));
}

#[test]
fn bombs_are_refused_by_size() {
    let root = tempdir().unwrap();
    // 100 MiB of zeros after a header; a name of 2 MiB
    let zeros = tar(&[("zeros.png", vec![0; 100 << 20])]);
    write(root.path(), "zeros.tar.gz", &gz(&zeros));
    let error = message(open_at(root.path(), "zeros.tar.gz"));
    assert!(error.contains("unpacks to more than"), "{error}");
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(2 << 20);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(vec![b'x'; 2 << 20]);
    bytes.extend(tar(&[("1.png", png([1; 3]))]));
    write(root.path(), "name.tar", &bytes);
    let error = message(open_at(root.path(), "name.tar"));
    assert!(error.contains("a header of more than 1 MiB"), "{error}");
}

#[test]
fn names_in_an_archive_need_not_be_utf_8() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"a/\xE9.png");
    header.set_size(png([4; 3]).len() as u64);
    header.set_cksum();
    builder.append(&header, &png([4; 3])[..]).unwrap();
    let root = tempdir().unwrap();
    write(root.path(), "latin.tar", &builder.into_inner().unwrap());
    let data = open_at(root.path(), "latin.tar").unwrap();
    assert_eq!((values(&*data), labels(&*data)), (vec![4], vec![0]));
}

/// A tar member with a name that `tar::Builder` would change.
fn member(name: &str, kind: ::tar::EntryType, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = ::tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.as_gnu_mut().unwrap().realsize = *b"00000000000\0";
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(contents.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An archive of these members, with its end mark.
fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn file(name: &str, value: u8) -> Vec<u8> {
    member(name, ::tar::EntryType::Regular, "", &png([value; 3]))
}

#[test]
fn names_with_dots_and_slashes_are_normalized() {
    let root = tempdir().unwrap();
    for prefix in ["", "./", "photos/./", "../photos/", "/photos/", ".//photos//", "x/../photos/"] {
        let names = [format!("{prefix}dog/1.png"), format!("{prefix}cat/2.png")];
        write(root.path(), "a.tar", &archive(&[file(&names[0], 1), file(&names[1], 2)]));
        let data = open_at(root.path(), "a.tar").unwrap();
        assert_eq!(
            (values(&*data), data.classes().join(" ")),
            (vec![2, 1], "cat dog".into()),
            "{prefix}"
        );
    }
}

#[test]
fn links_are_the_images_that_they_lead_to() {
    use ::tar::EntryType::{Link, Symlink};
    let root = tempdir().unwrap();
    let bytes = archive(&[
        file("./a/1.png", 1),
        file(".store/x.png", 2),
        member("b/1.png", Link, "./a/1.png", b""),
        member("b/2.png", Symlink, "../.store/x.png", b""),
        member("b/3.png", Symlink, "2.png", b""),
        member("b/4.png", Symlink, "../../elsewhere.png", b""),
        member("b/5.png", Symlink, "5.png", b""),
        member("c", Symlink, "a", b""),
    ]);
    for (name, bytes) in [("links.tar", bytes.clone()), ("links.tgz", gz(&bytes))] {
        write(root.path(), name, &bytes);
        let data = open_at(root.path(), name).unwrap();
        assert_eq!((values(&*data), labels(&*data)), (vec![1, 1, 2, 2], vec![0, 1, 1, 1]));
        assert_eq!(
            left_out(&*data),
            [
                "1 images with hidden names (a part of the name starts with a dot) (.store/x.png)",
                "1 links to folders, which are read under their own names (c)",
                "2 links to images that the archive does not hold (b/4.png)",
            ]
        );
    }
}

#[test]
fn rare_members_are_counted_and_later_versions_replace_earlier_ones() {
    use ::tar::EntryType::{Char, Continuous, Fifo, GNUSparse, Regular};
    let root = tempdir().unwrap();
    let pax = member("PaxHeaders/1", ::tar::EntryType::XHeader, "", b"22 GNU.sparse.major=1\n");
    let bytes = archive(&[
        file("a/1.png", 1),
        file("a/2.png", 2),
        member("a/3.png", Char, "", b""),
        member("a/4.png", Fifo, "", b""),
        member("a/5.png", GNUSparse, "", b""),
        pax,
        file("a/6.png", 6),
        member("a/7.png", Continuous, "", &png([7; 3])),
        member("a/8.png/", Regular, "", b""),
        file("a/1.png", 9),
    ]);
    write(root.path(), "rare.tar", &bytes);
    let data = open_at(root.path(), "rare.tar").unwrap();
    assert_eq!(values(&*data), [9, 2, 7]);
    assert_eq!(
        left_out(&*data),
        [
            "1 earlier versions of images that the archive holds again (a/1.png)",
            "4 images in tar members of rare kinds (sparse files, devices) (a/3.png)",
        ]
    );
}

#[test]
fn archives_and_unread_images_inside_of_an_archive_are_counted() {
    let root = tempdir().unwrap();
    let other =
        |name: &str| member(name, ::tar::EntryType::Regular, "", b"PK\x03\x04, not an image");
    let inner = [other("a/more.tar"), other("a/more.zip"), other("a/5.heic"), other("a/notes.txt")];
    let bytes = archive(&[&[file("a/1.png", 1)][..], &inner].concat());
    write(root.path(), "outer.tar", &bytes);
    let data = open_at(root.path(), "outer.tar").unwrap();
    assert_eq!(values(&*data), [1]);
    assert_eq!(
        left_out(&*data),
        [
            "2 archives inside of the archive, which are not opened (unpack them first) (a/more.tar)",
            "1 images in a format that is not read; convert them to PNG or JPEG (a/5.heic)",
        ]
    );
}

#[test]
fn an_archive_that_may_be_cut_is_read_with_a_word() {
    let root = tempdir().unwrap();
    let members = [file("a/1.png", 1), file("a/2.png", 2)];
    for (name, cut) in [("cut.tar", members.concat()), ("cut.tgz", gz(&members.concat()))] {
        write(root.path(), name, &cut);
        let data = open_at(root.path(), name).unwrap();
        assert_eq!(values(&*data), [1, 2]);
        assert!(left_out(&*data)[0].contains("without an end mark; they may be cut"), "{name}");
    }
    let joined = [archive(&members), archive(&[file("a/3.png", 3)])].concat();
    for (name, joined) in [("joined.tar", joined.clone()), ("joined.tgz", gz(&joined))] {
        write(root.path(), name, &joined);
        let data = open_at(root.path(), name).unwrap();
        assert_eq!(values(&*data), [1, 2]);
        assert!(left_out(&*data)[0].contains("data after their end mark"), "{name}");
    }
}

#[test]
fn archives_without_images_are_empty_shards() {
    let root = tempdir().unwrap();
    write(root.path(), "s-0.tar", b"");
    write(root.path(), "s-1.tar", &[0; 10240]);
    write(root.path(), "s-2.tar", &archive(&[file("1.png", 1)]));
    write(
        root.path(),
        "s-3.tar",
        &archive(&[member("a.txt", ::tar::EntryType::Regular, "", b"x")]),
    );
    write(root.path(), "s-4.tar.gz", &gz(&[0; 1024]));
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(values(&*data), [1]);
    let example = root.path().join("s-0.tar");
    assert_eq!(left_out(&*data), [format!("4 archives without images ({})", example.display())]);
    fs::remove_file(root.path().join("s-2.tar")).unwrap();
    assert!(message(open_at(root.path(), "")).contains("holds no images"));
    assert!(message(open_at(root.path(), "s-1.tar")).contains("holds no images"));
}

#[test]
fn bytes_after_a_gzipped_archive_are_ignored_in_opening_and_reading() {
    let root = tempdir().unwrap();
    let packed = gz(&archive(&[file("1.png", 1)]));
    for (tail, said) in [(&[0; 700][..], false), (b"\0\0garbage", true), (b"\x1F", true)] {
        write(root.path(), "a.tgz", &[&packed[..], tail].concat());
        let data = open_at(root.path(), "a.tgz").unwrap();
        assert_eq!(values(&*data), [1]);
        assert_eq!(left_out(&*data).iter().any(|left| left.contains("other bytes after")), said);
    }
    // members one after the other, with zeros between them
    let whole = archive(&[file("1.png", 1), file("2.png", 2)]);
    let (first, second) = whole.split_at(700);
    write(root.path(), "a.tgz", &[gz(first), vec![0; 9], gz(second)].concat());
    assert_eq!(values(&*open_at(root.path(), "a.tgz").unwrap()), [1, 2]);
    // damage at the end of a file is noticed when it is opened
    let mut damaged = packed;
    let sum = damaged.len() - 6;
    damaged[sum] ^= 1;
    write(root.path(), "a.tgz", &damaged);
    assert!(message(open_at(root.path(), "a.tgz")).contains("damaged"));
}

#[test]
fn shards_are_found_in_folders_of_any_depth() {
    let root = tempdir().unwrap();
    write(root.path(), "data/v1/train/b/0.tar", &archive(&[file("1.png", 1)]));
    write(root.path(), "data/v1/Validation/0.tar", &archive(&[file("2.png", 2)]));
    write(root.path(), "data/v1/more.tar", &archive(&[file("3.png", 3)]));
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(values(&*data), [1]);
    assert!(left_out(&*data)[0].starts_with("1 files that belong to no part ("));
    assert_eq!(values(&*open_at(root.path(), ":val").unwrap()), [2]);
}

#[test]
fn a_name_of_very_many_folders_is_read() {
    let name = "a/".repeat(450_000) + "1.png";
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(name.len() as u64);
    header.set_cksum();
    let mut long = [header.as_bytes(), name.as_bytes()].concat();
    long.resize(long.len().next_multiple_of(512), 0);
    let root = tempdir().unwrap();
    write(root.path(), "long.tar", &archive(&[long, file("x", 4)]));
    let data = open_at(root.path(), "long.tar").unwrap();
    assert_eq!((values(&*data), data.classes().join("")), (vec![4], "a".into()));
}
