//! Tar archives with WebDataset keys.

use super::*;

/// Images and labels of an archive of these files; a file with text is not an image.
fn keyed(files: &[(&str, &str)], options: &OpenOptions) -> std::sync::Arc<dyn Dataset> {
    let root = tempdir().unwrap();
    let bytes = |place: usize, text: &str| match text {
        "" => png([place as u8; 3]),
        text => text.as_bytes().to_vec(),
    };
    let files: Vec<_> =
        files.iter().enumerate().map(|(i, (name, text))| (*name, bytes(i, text))).collect();
    write(root.path(), "keyed.tar", &tar(&files));
    open_with(root.path().join("keyed.tar").to_str().unwrap(), options).unwrap()
}

fn label_texts(files: &[(&str, &str)]) -> (Vec<Option<u32>>, String) {
    let data = keyed(files, &OpenOptions::default());
    (label_of_each(&*data), data.classes().join(" "))
}

#[test]
fn labels_of_keys_are_numbers_or_else_names() {
    let cls = |texts: [&'static str; 3]| {
        let files = [
            ("x/0.png", ""),
            ("x/0.cls", texts[0]),
            ("x/1.png", ""),
            ("x/1.cls", texts[1]),
            ("x/2.png", ""),
            ("x/2.cls", texts[2]),
        ];
        label_texts(&files)
    };
    assert_eq!(cls(["2\n", "0", "2"]), (vec![Some(2), Some(0), Some(2)], "0 1 2".into()));
    assert_eq!(cls(["2.0", "0", "-1"]), (vec![Some(2), Some(0), None], "0 1 2".into()));
    assert_eq!(cls(["dog", "cat", "dog"]), (vec![Some(1), Some(0), Some(1)], "cat dog".into()));
    let huge = "123456789012345678901234567890";
    assert_eq!(cls([huge, "1", " \n"]), (vec![Some(1), Some(0), None], format!("1 {huge}")));
}

#[test]
fn labels_in_json_may_be_text_numbers_or_missing() {
    let json = |texts: [&'static str; 3]| {
        let files = [
            ("0.png", ""),
            ("0.json", texts[0]),
            ("1.png", ""),
            ("1.json", texts[1]),
            ("2.png", ""),
            ("2.json", texts[2]),
        ];
        label_texts(&files)
    };
    assert_eq!(
        json(["{\"label\": 1}", "{\"cls\": 0.0, \"label\": 7}", "{\"label\": null}"]),
        (vec![Some(1), Some(0), None], "0 1".into())
    );
    assert_eq!(
        json(["{\"label\": \"b\"}", "{\"class\": \"a\"}", "no json"]),
        (vec![Some(1), Some(0), None], "a b".into())
    );
    let (labels, _) = json(["{\"label\": 1e30}", "{\"label\": 1}", "{\"text\": \"x\"}"]);
    assert_eq!(labels, [Some(1), Some(0), None]);
    let files = [("0.png", ""), ("0.json", "{\"label\": 1, \"kind\": \"x\"}")];
    let options = OpenOptions { label_column: Some("kind".into()), ..OpenOptions::default() };
    assert_eq!(keyed(&files, &options).classes(), ["x"]);
}

#[test]
fn a_class_may_be_in_a_file_of_text_and_a_caption_is_none() {
    let files = [("0.png", ""), ("0.label.txt", "b"), ("1.png", ""), ("1.class", "a")];
    assert_eq!(label_texts(&files), (vec![Some(1), Some(0)], "a b".into()));
    let files = [("0.png", ""), ("0.txt", "a photo"), ("1.png", ""), ("1.txt", "another one")];
    assert_eq!(label_texts(&files), (vec![None, None], String::new()));
    let dotted = [("a.b.png", ""), ("a.b.cls", "x"), ("a.c.png", ""), ("a.c.cls", "y")];
    assert_eq!(label_texts(&dotted), (vec![Some(0), Some(1)], "x y".into()));
}

#[test]
fn a_key_gives_one_image_and_the_others_are_counted_by_extension() {
    let files = [
        ("0.jpg", ""),
        ("0.seg.png", ""),
        ("0.cls", "0"),
        ("1.depth.png", ""),
        ("1.jpg", ""),
        ("1.seg.png", ""),
        ("1.cls", "1"),
    ];
    let data = keyed(&files, &OpenOptions::default());
    assert_eq!((values(&*data), labels(&*data)), (vec![0, 4], vec![0, 1]));
    assert_eq!(
        left_out(&*data),
        [
            "1 images `.depth.png` next to the image of their key (1.depth.png)",
            "2 images `.seg.png` next to the image of their key (0.seg.png)",
        ]
    );
    let choose = |extension: &str| OpenOptions {
        image_extension: Some(extension.into()),
        ..OpenOptions::default()
    };
    let data = keyed(&files, &choose("seg.png"));
    assert_eq!((values(&*data), labels(&*data)), (vec![1, 5], vec![0, 1]));
    let root = tempdir().unwrap();
    write(root.path(), "a.tar", &tar(&[("0.jpg", png([1; 3]))]));
    let refused = open_with(root.path().join("a.tar").to_str().unwrap(), &choose("webp"));
    let error = message(refused);
    assert!(error.contains("no image with the extension `webp`, only with `jpg`"), "{error}");
}

#[test]
fn dots_in_the_names_of_a_plain_archive_make_no_keys() {
    let names = ["cat/IMG.2020.jpg", "cat/IMG.2021.jpg", "dog/a.b.jpg", "dog/a.c.jpg"];
    let files = names.map(|name| (name, ""));
    let data = keyed(&files, &OpenOptions::default());
    assert_eq!((values(&*data), left_out(&*data)), (vec![0, 1, 2, 3], vec![]));
}
