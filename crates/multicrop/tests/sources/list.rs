//! Text files that list images.

use super::*;

/// Opens a list of this text beside four images.
fn list(text: &[u8]) -> (TempDir, Result<std::sync::Arc<dyn Dataset>, Error>) {
    let root = folder(&["a/0.png", "a/1.png", "b/with space.png", "b/with, comma.png"]);
    write(root.path(), "list", text);
    let data = open_at(root.path(), "list");
    (root, data)
}

/// Values, labels and classes of a list.
fn contents(text: &str) -> (Vec<u8>, Vec<u32>, String) {
    let (_root, data) = list(text.as_bytes());
    let data = data.unwrap();
    (values(&*data), labels(&*data), data.classes().join(" "))
}

#[test]
fn a_list_of_paths_keeps_its_order() {
    let text = "b/with, comma.png\n\na/1.png\r\nb/with space.png\na/1.png";
    assert_eq!(contents(text), (vec![3, 1, 2, 1], vec![], String::new()));
}

#[test]
fn a_list_with_labels_is_read_in_all_its_forms() {
    let names = (vec![1, 0, 2], vec![1, 0, 1], "cat dog".to_owned());
    assert_eq!(contents("a/1.png,dog\na/0.png,cat\nb/with space.png,dog\n"), names);
    assert_eq!(contents("path,label\na/1.png,dog\na/0.png,cat\nb/with space.png,dog\n"), names);
    let table = [["id", "file", "class"], ["7", "a/1.png", "dog"], ["8", "a/0.png", "cat"]];
    let table = table.map(|row| row.join("\t")).join("\n") + "\n9\tb/with space.png\tdog";
    assert_eq!(contents(&table), names);
    assert_eq!(contents("\"a/1.png\";\"dog\"\na/0.png; cat\nb/with space.png; dog"), names);
    assert_eq!(contents("a/1.png dog\na/0.png cat\nb/with space.png dog"), names);
    // lines of old Macs, which all count as the first one
    assert_eq!(contents("file,class\ra/1.png,dog\ra/0.png,cat\rb/with space.png,dog\r"), names);
    let numbers = (vec![1, 3], vec![2, 0], "0 1 2".to_owned());
    assert_eq!(contents("a/1.png,2\n\"b/with, comma.png\",0\n"), numbers);
}

#[test]
fn an_image_without_a_label_keeps_its_place_in_a_list() {
    let (_root, data) = list(b"a/0.png,cat\na/1.png\nb/with space.png,dog\n");
    let data = data.unwrap();
    let labels: Vec<_> = (0..3).map(|index| data.label(index)).collect();
    assert_eq!(
        (labels, data.classes().join(" ")),
        (vec![Some(0), None, Some(1)], "cat dog".into())
    );
}

#[test]
fn missing_files_of_a_list_are_bad_images() {
    let (root, data) = list(b"a/0.png\nnowhere.png\nb\na/1.png\n");
    let data = data.unwrap();
    let load = |index| data.load(index, &Options::default());
    assert_eq!(data.len(), 4);
    assert!(load(0).is_ok() && load(3).is_ok());
    assert_eq!((load(1).unwrap_err().kind(), load(2).unwrap_err().kind()), {
        ("unreadable".to_owned(), "unreadable".to_owned())
    });
    assert_eq!(data.name(1), root.path().join("nowhere.png").display().to_string());
}

#[test]
fn a_list_that_makes_no_sense_is_refused_in_one_sentence() {
    let refused = |text: &[u8]| message(list(text).1);
    let error = refused(b"Dear reader,\nthis is no list.\n");
    assert!(error.contains("is text, but none of its first lines names a file"), "{error}");
    assert!(error.contains("line 1 is `Dear reader,`"), "{error}");
    let error = refused(b"a/0.png,cat\n,dog\n");
    assert!(error.contains("has no path in line 2"), "{error}");
    assert!(refused(b"a/0.png\0").contains("in no format that is known"));
    let (root, _) = list(b"a/0.png\n");
    assert!(message(open_at(root.path(), "list:test")).contains("without parts"));
}

#[cfg(unix)]
#[test]
fn paths_in_a_list_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempdir().unwrap();
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xFF.png")), png([5; 3])).unwrap();
    write(root.path(), "list.txt", b"\xFF.png,\xE9\n");
    let data = open_at(root.path(), "list.txt").unwrap();
    assert_eq!((values(&*data), data.classes().join("")), (vec![5], "\u{FFFD}".into()));
}
