//! Text files that list images.

use super::*;

/// Opens a list with this text, in a folder with four images.
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
    // with line ends of old Macs, all lines count as the first
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
    assert!(refused(b"a/0.png\0").contains("in an unknown format"));
    let (root, _) = list(b"a/0.png\n");
    assert!(
        message(open_at(root.path(), "list:test"))
            .contains("nor a column `split` of text names it")
    );
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

#[test]
fn only_a_column_that_is_named_like_one_has_labels_below_a_header() {
    let captions = "file_name,text\na/0.png,\"a photo, nice\"\na/1.png,\"another, one\"\n";
    assert_eq!(contents(captions), (vec![0, 1], vec![], String::new()));
    let (root, _) = list(captions.as_bytes());
    let chosen = |column: &str| {
        let options = OpenOptions { label_column: Some(column.into()), ..OpenOptions::default() };
        open_with(root.path().join("list").to_str().unwrap(), &options)
    };
    assert_eq!(chosen("Text").unwrap().classes(), ["a photo, nice", "another, one"]);
    let error = message(chosen("kind"));
    assert!(error.contains("no column `kind` for labels (it has `file_name`, `text`)"), "{error}");
}

#[test]
fn the_column_of_paths_is_the_one_named_so_where_several_hold_files() {
    let text = "mask,file_name,label\na/1.png,a/0.png,x\na/1.png,b/with space.png,y\n";
    assert_eq!(contents(text), (vec![0, 2], vec![0, 1], "x y".into()));
    let (root, _) = list(text.as_bytes());
    let options = OpenOptions { image_column: Some("mask".into()), ..OpenOptions::default() };
    let data = open_with(root.path().join("list").to_str().unwrap(), &options).unwrap();
    assert_eq!(values(&*data), [1, 1]);
}

#[test]
fn json_lines_are_a_list() {
    let text = "{\"file_name\": \"a/0.png\", \"label\": 2, \"text\": \"x\"}\n\n\
                {\"file_name\": \"b/with, comma.png\", \"label\": null}\n\
                {\"label\": 0.0, \"file_name\": \"a/1.png\"}\n";
    let (_root, data) = list(text.as_bytes());
    let data = data.unwrap();
    assert_eq!(
        (values(&*data), label_of_each(&*data)),
        (vec![0, 3, 1], vec![Some(2), None, Some(0)])
    );
    let (_root, several) = list(b"{\"file_name\": \"a/0.png\", \"label\": [\"cat\", 7]}\n");
    assert_eq!(several.unwrap().classes(), ["cat;7"]);
    let error = message(list(b"{\"file_name\": \"a/0.png\"}\n{oops\n").1);
    assert!(error.contains("has no JSON object in line 2"), "{error}");
}

/// Programs that write JSON leave out what an image does not have.
#[test]
fn fields_that_only_late_json_lines_have_are_found() {
    let mut text = "{\"file_name\": \"a/0.png\", \"id\": 3}\n".repeat(150);
    text += "{\"file_name\": \"a/1.png\", \"Label\": \"cat\", \"note\": \"late\", \"split\": \"train\"}\n";
    text += "{\"file_name\": \"a/0.png\", \"Label\": \"dog\", \"split\": \"test\"}\n";
    let (root, data) = list(text.as_bytes());
    let data = data.unwrap();
    assert_eq!((values(&*data), data.classes().join(" ")), (vec![1], "cat dog".into()));
    assert_eq!(values(&*open_at(root.path(), "list:test").unwrap()), [0]);
    assert!(
        left_out(&*data)[0].starts_with("150 images outside the parts"),
        "{:?}",
        left_out(&*data)
    );
    let options = OpenOptions { label_column: Some("note".into()), ..OpenOptions::default() };
    let chosen = open_with(root.path().join("list").to_str().unwrap(), &options).unwrap();
    assert_eq!(chosen.classes(), ["late"]);
}

#[test]
fn lines_of_blanks_and_comments_are_no_images() {
    let text = "\u{FEFF}# made by hand\r\na/0.png\r\n   \r\n\t\r\n#a/1.png\r\na/1.png\r\n";
    let (_root, data) = list(text.as_bytes());
    let data = data.unwrap();
    assert_eq!(values(&*data), [0, 1]);
    assert_eq!(left_out(&*data), ["1 images in lines that start with `#` (line 5)"]);
    let (_root, data) = list(b"a/0.png,cat\n,dog\n");
    assert_eq!(left_out(&*data.unwrap()), ["1 lines without a path (line 2)"]);
}

#[test]
fn a_long_line_is_refused_before_it_is_in_memory() {
    let mut text = b"a/0.png\n".to_vec();
    text.resize(3 << 20, b'x');
    let error = message(list(&text).1);
    assert!(error.contains("a line has more than 1 MiB"), "{error}");
    let mut open_quote = b"path,label\na/0.png,\"cat\n".to_vec();
    (0..300_000).for_each(|_| open_quote.extend_from_slice(b"a/1.png,dog\n"));
    let error = message(list(&open_quote).1);
    assert!(error.contains("perhaps a closing quote is missing"), "{error}");
}

#[test]
fn a_column_of_parts_chooses_the_lines() {
    let text =
        b"path,Subset,label\na/0.png,train,cat\na/1.png,val,cat\nb/with space.png,train,dog\n\
                 \"b/with, comma.png\",,dog\n";
    let (root, data) = list(text);
    let data = data.unwrap();
    assert_eq!((values(&*data), labels(&*data)), (vec![0, 2], vec![0, 1]));
    assert!(data.describe().ends_with("list` (train part)"), "{}", data.describe());
    assert!(data.left_out()[0].to_string().contains("1 images outside the parts"));
    let test = open_at(root.path(), "list:test").unwrap();
    assert_eq!((values(&*test), test.classes().join(" ")), (vec![1], "cat dog".into()));

    let text = br#"{"file_name": "a/0.png", "split": "test"}
{"file_name": "a/1.png", "split": "train"}"#;
    let (root, data) = list(text);
    assert_eq!(values(&*data.unwrap()), [1]);
    assert_eq!(values(&*open_at(root.path(), "list:test").unwrap()), [0]);
    let error = message(open_at(root.path(), "list:val"));
    assert!(error.ends_with("its column `split` has `test`, `train`"), "{error}");
}

#[test]
fn a_column_that_holds_labels_names_no_parts() {
    let text = b"path,split\na/0.png,train\na/1.png,test\n";
    let (root, data) = list(text);
    assert_eq!(data.unwrap().len(), 1);
    let options = OpenOptions { label_column: Some("split".into()), ..OpenOptions::default() };
    let source = root.path().join("list").display().to_string();
    let data = open_with(&source, &options).unwrap();
    assert_eq!((data.len(), data.classes().join(" ")), (2, "test train".into()));
}

#[test]
fn the_column_of_parts_is_the_one_with_parts_and_an_unused_one_is_named() {
    let text = b"path,split,set\na/0.png,0,train\na/1.png,1,test\n";
    assert_eq!(values(&*list(text).1.unwrap()), [0]);
    let (_root, data) = list(b"path,split\na/0.png,train\na/1.png,tets\n");
    let data = data.unwrap();
    assert_eq!((data.len(), data.parts().len()), (2, 0));
    let remark = &data.remarks()[0];
    assert!(remark.contains("are read (1 of `train`, 1 of no part), because its column `split`"));
    assert!(data.left_out().is_empty());
    assert!(list(b"path,split\na/0.png,train\na/1.png,train\n").1.unwrap().remarks().is_empty());
}

#[test]
fn quotes_after_a_space_are_quotes() {
    let text =
        "path, \"label\", \"split\"\na/0.png, \"cat\", \"train\"\na/1.png, \"dog\", \"val\"\n";
    assert_eq!(contents(text), (vec![0], vec![0], "cat dog".into()));
}

#[test]
fn a_list_as_long_as_an_image_of_cifar_is_a_list() {
    let mut text = "path,label\na/0.png,cat\na/1.png,dog\n".to_owned();
    text += &"\n".repeat(3074 - text.len());
    assert_eq!(contents(&text), (vec![0, 1], vec![0, 1], "cat dog".into()));
}

#[test]
fn a_column_of_paths_that_is_chosen_must_be_there() {
    let root = folder(&["a/0.png", "a/1.png"]);
    write(root.path(), "list", b"before,after\na/0.png,a/1.png\na/1.png,a/0.png\n");
    let open = |column: &str| {
        let options = OpenOptions { image_column: Some(column.into()), ..OpenOptions::default() };
        open_with(&root.path().join("list").display().to_string(), &options)
    };
    assert_eq!(values(&*open("after").unwrap()), [1, 0]);
    let error = message(open("nope"));
    assert!(error.contains("has no column `nope` for paths (it has `before`, `after`)"), "{error}");
}
