//! Folders of images.

use super::*;

#[test]
fn a_folder_is_sorted_and_its_first_folders_are_the_labels() {
    let root = folder(&["dog/b.png", "cat/deep/a.png", "dog/a.png"]);
    write(root.path(), "notes.txt", b"no image");
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.classes(), ["cat", "dog"]);
    assert_eq!((labels(&*data), values(&*data)), (vec![0, 1, 1], vec![1, 2, 0]));
    assert!(data.name(1).ends_with("dog/a.png"), "{}", data.name(1));
}

#[test]
fn an_image_in_the_root_has_no_label_and_needs_no_extension() {
    let root = folder(&["dog/b.png", "photo", ".hidden.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(
        (data.label(0), data.label(1), data.classes()),
        (Some(0), None, &["dog".into()][..])
    );
    assert_eq!(values(&*data), [0, 1]);
}

#[test]
fn parts_of_a_folder_are_chosen_by_suffix() {
    let root = folder(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/c/4.png"]);
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    // `folder/` and `:test` make `folder/:test`
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), values(&*test)), (vec![0, 1], vec![2, 3]));
    let error = same_classes(&*train, &*test).unwrap_err().to_string();
    assert!(error.contains("only the first has `b`, only the second has `c`"), "{error}");
    assert!(same_classes(&*train, &*train).is_ok());
    let plain = folder(&["a/1.png"]);
    let error = message(open_at(plain.path(), ":test"));
    assert!(error.contains("no folder `test` or `val`"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_in_a_loop_end() {
    let root = folder(&["a/1.png", "b/2.png"]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("b/lost.png")).unwrap();
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.len(), 3);
    assert!(data.load(2, &Options::default()).is_err(), "a link to nothing is a bad image");
}

#[cfg(unix)]
#[test]
fn a_folder_with_two_names_belongs_to_the_shorter_one() {
    let root = folder(&["b/1.png", "c/2.png"]);
    fs::create_dir(root.path().join("a")).unwrap();
    std::os::unix::fs::symlink("../b", root.path().join("a/link")).unwrap();
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.classes().join(" ")), (vec![0, 1], "b c".into()));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_read_and_shown() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempdir().unwrap();
    let class = root.path().join(std::ffi::OsStr::from_bytes(b"caf\xE9"));
    fs::create_dir(&class).unwrap();
    fs::write(class.join(std::ffi::OsStr::from_bytes(b"\xFF.png")), png([3; 3])).unwrap();
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), labels(&*data)), (vec![3], vec![0]));
    assert_eq!(data.classes(), ["caf\u{FFFD}"]);
    assert!(data.name(0).ends_with("/\u{FFFD}.png"), "{}", data.name(0));
}

#[test]
fn a_file_that_vanishes_is_a_bad_image() {
    let root = folder(&["a/1.png", "a/2.png"]);
    let data = open_at(root.path(), "").unwrap();
    fs::remove_file(root.path().join("a/1.png")).unwrap();
    let error = data.load(0, &Options::default()).unwrap_err();
    assert_eq!(error.kind(), "unreadable");
    assert!(data.load(1, &Options::default()).is_ok());
}

#[test]
fn a_file_too_large_for_an_image_is_a_bad_image_before_it_is_read() {
    let root = folder(&["a/1.png"]);
    let film = fs::File::create(root.path().join("a/2.png")).unwrap();
    film.set_len(1 << 30).unwrap();
    let data = open_at(root.path(), "").unwrap();
    let error = data.load(1, &Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot be read: it has 1073741824 bytes, more than the 536870912 that an image may have"
    );
}

#[cfg(unix)]
#[test]
fn what_is_named_like_an_image_but_is_no_file_is_a_bad_image() {
    let root = folder(&["a/1.png"]);
    // reading either would block forever
    std::os::unix::fs::symlink("/dev/zero", root.path().join("a/2.png")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.path().join("a/3.png")).status();
    assert!(made.unwrap().success());
    let data = open_at(root.path(), "").unwrap();
    for (index, what) in [(1, "a device"), (2, "a pipe")] {
        let error = data.load(index, &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot be read: it is {what}, not a file"));
    }
}

#[test]
fn files_and_folders_of_similar_names_are_sorted_part_by_part() {
    let names = ["a/b/1.png", "a/b.png", "a-b/1.png", "a/c/d/1.png", "a/c/d.png", "a/d/0.png"];
    let root = folder(&names);
    let data = open_at(root.path(), "").unwrap();
    let mut paths: Vec<_> = names.iter().map(|name| root.path().join(name)).collect();
    paths.sort();
    let found: Vec<_> = (0..data.len()).map(|i| std::path::PathBuf::from(data.name(i))).collect();
    assert_eq!(found, paths);
}

#[test]
fn images_beside_the_parts_are_counted_and_named() {
    let root = folder(&["train/a/1.png", "val/a/2.png", "extra/a/3.png", "stray.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.classes()), (vec![0], &["a".to_owned()][..]));
    assert_eq!(left_out(&*data), ["2 images outside the parts (extra/a/3.png)"]);
    let parts: Vec<_> = data.parts().iter().map(|p| (&p.name[..], p.count, p.read)).collect();
    assert_eq!(parts, [("train", 1, true), ("val", 1, false)]);
}

#[test]
fn the_words_for_parts_are_those_of_everybody_in_any_case() {
    for (train, other) in [
        ("training", "validation"),
        ("Train", "Test"),
        ("TRAIN", "valid"),
        ("train2017", "val2017"),
        ("train_images", "test_images"),
        ("train", "dev"),
    ] {
        let root = folder(&[&format!("{train}/a/1.png"), &format!("{other}/a/2.png")]);
        let open = |suffix| open_at(root.path(), suffix).unwrap();
        assert_eq!((values(&*open("")), values(&*open(":test"))), (vec![0], vec![1]), "{train}");
        assert_eq!(open(":test").classes(), ["a"]);
    }
    let root = folder(&["bullet_train/1.png", "test_tube/2.png"]);
    assert_eq!(open_at(root.path(), "").unwrap().classes(), ["bullet_train", "test_tube"]);
}

#[test]
fn validation_and_test_parts_are_told_apart() {
    let root = folder(&["train/a/1.png", "val/a/2.png", "test/a/3.png"]);
    let part = |suffix| values(&*open_at(root.path(), suffix).unwrap());
    assert_eq!((part(""), part(":val"), part(":test")), (vec![0], vec![1], vec![2]));
    let error = message(open_at(folder(&["a/1.png"]).path(), ":val"));
    assert!(error.contains("there is no folder `val` in it"), "{error}");
    assert!(message(open("shapes:val")).contains("it has `:train` and `:test`"));
}

#[test]
fn a_training_part_without_images_is_not_replaced_by_the_validation_part() {
    let root = folder(&["val/a/2.png"]);
    fs::create_dir(root.path().join("train")).unwrap();
    assert!(message(open_at(root.path(), "")).contains("train` holds no images"));
}

#[test]
fn parts_may_be_inside_another_folder() {
    let root = folder(&["set/train/a/1.png", "set/train/b/2.png", "set/val/a/3.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.classes().join(" ")), (vec![0, 1], "a b".into()));
    assert_eq!(
        data.describe(),
        format!("folder `{}` (train part)", root.path().join("set/train").display())
    );
}

#[test]
fn what_is_hidden_or_not_read_is_counted_and_named() {
    let root =
        folder(&["a/1.png", "a/._1.png", ".cache/deep/2.png", "__MACOSX/a/3.png", "a/.notes"]);
    write(root.path(), "a/phone.HEIC", b"....ftypheic");
    write(root.path(), "a/readme.txt", b"text");
    write(root.path(), "a/all.tar.gz", b"packed");
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(values(&*data), [0]);
    assert_eq!(
        left_out(&*data),
        [
            "1 archives next to images, which were probably unpacked from them (a/all.tar.gz)",
            "1 images in a format that is not read; convert them to PNG or JPEG (a/phone.HEIC)",
            "3 images with hidden names (a part of the name starts with a dot) (.cache/deep/2.png)",
        ]
    );
}

#[test]
fn extensions_count_in_any_case_and_empty_files_are_bad_images() {
    let root = folder(&["a/1.PNG", "a/2.JPeG"]);
    write(root.path(), "a/3.btf", b"");
    let data = open_at(root.path(), "").unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data.load(2, &Options::default()).unwrap_err().kind(), "empty");
}

#[cfg(unix)]
#[test]
fn a_link_names_no_class_whose_folder_is_there() {
    let root = folder(&["real/1.png"]);
    std::os::unix::fs::symlink("real", root.path().join("alias")).unwrap();
    let elsewhere = folder(&["2.png"]);
    std::os::unix::fs::symlink(elsewhere.path(), root.path().join("linked")).unwrap();
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((data.classes().join(" "), labels(&*data)), ("linked real".into(), vec![0, 1]));
    assert_eq!(left_out(&*data), ["1 links to folders that are read under another name (alias)"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_or_device_as_source_is_refused_at_once() {
    let root = tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.path().join("pipe")).status();
    assert!(made.unwrap().success());
    assert!(message(open_at(root.path(), "pipe")).contains("it is a pipe; pass a file or folder"));
    assert!(message(open("/dev/zero")).contains("it is a device; pass a file or folder"));
    fs::rename(root.path().join("pipe"), root.path().join("0.tar")).unwrap();
    assert!(message(open_at(root.path(), "")).contains("it is a pipe, not a file"));
}

#[test]
fn parts_without_a_training_part_are_classes_with_a_word() {
    let root = folder(&["val/a/0.png", "test/a/1.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.classes().join(" ")), (vec![1, 0], "test val".into()));
    let [remark] = data.remarks() else { panic!("{:?}", data.remarks()) };
    assert!(remark.starts_with("the folders `test` and `val` of"), "{remark}");
    assert!(remark.ends_with(":test` reads one part alone"), "{remark}");
    assert!(open_at(root.path(), ":val").unwrap().remarks().is_empty());
    let files = [("val/a/0.png", png([0; 3])), ("test/a/1.png", png([1; 3]))];
    write(root.path(), "a.tar", &tar(&files));
    assert_eq!(open_at(root.path(), "a.tar").unwrap().remarks().len(), 1);
    for names in [["val/a/0.png", "cat/a/1.png"], ["bullet_train/0.png", "cat/1.png"]] {
        assert!(open_at(folder(&names).path(), "").unwrap().remarks().is_empty(), "{names:?}");
    }
}

#[test]
fn another_word_for_a_part_gets_the_one_to_use() {
    let root = folder(&["train/a/0.png", "val/a/1.png"]);
    let hint = |suffix: &str| message(open_at(root.path(), suffix));
    for (suffix, part) in [(":valid", "val"), (":TRAIN", "train"), (":dev", "val")] {
        let error = hint(suffix);
        assert!(error.ends_with(&format!(":{part}` reads its part `{part}`")), "{error}");
    }
    assert!(hint(":val:train").ends_with(":val` is a part already"), "{}", hint(":val:train"));
    assert!(hint(":cats").ends_with("or `:test`"), "{}", hint(":cats"));
}

#[cfg(unix)]
#[test]
fn names_with_newlines_are_names() {
    let root = folder(&["a\nb/1\n.png"]);
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((values(&*data), data.classes()), (vec![0], &["a\nb".to_owned()][..]));
}

#[test]
fn whichever_are_more_of_loose_images_and_archives_are_read_and_the_others_counted() {
    let root = folder(&["0.png", "1.png", "2.png"]);
    let backup = tar(&[("a/8.png", png([8; 3])), ("a/9.png", png([9; 3]))]);
    write(root.path(), "backup.tar", &backup);
    let photos = open_at(root.path(), "").unwrap();
    assert_eq!(values(&*photos), [0, 1, 2]);
    assert!(photos.left_out()[0].to_string().starts_with("1 archives next to images"));
    fs::remove_file(root.path().join("1.png")).unwrap();
    fs::remove_file(root.path().join("2.png")).unwrap();
    write(root.path(), "more.tar", &backup);
    let shards = open_at(root.path(), "").unwrap();
    assert_eq!(values(&*shards), [8, 9, 8, 9]);
    assert_eq!(
        shards.left_out()[0].to_string(),
        "1 images next to the archives (for example `0.png`)"
    );
}
