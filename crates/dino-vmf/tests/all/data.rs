//! The commands that need only images: `data inspect`, `data preview`, `bench loader`.

use std::fs;

use crate::fixtures::Tiny;
use image::{ImageFormat, RgbImage};
use serde_json::json;

/// Settings with small crops, which are fast.
const SMALL: [&str; 6] =
    ["--set", "data.global_size=32", "--set", "data.local_size=16", "--set", "model.patch_size=16"];

/// Writes images of three sizes in two classes, one of them gray, and two files that are not images.
fn photos(tiny: &Tiny) {
    let folders = ["photos/cat", "photos/dog"];
    for folder in folders {
        fs::create_dir_all(tiny.path(folder)).unwrap();
    }
    for (place, (width, height)) in [(40, 30), (50, 30), (60, 80)].into_iter().enumerate() {
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
        let path = tiny.path(&format!("{}/{place}.png", folders[place / 2]));
        image.save_with_format(path, ImageFormat::Png).unwrap();
    }
    let gray = image::GrayImage::new(50, 30);
    gray.save_with_format(tiny.path("photos/dog/gray.png"), ImageFormat::Png).unwrap();
    fs::write(tiny.path("photos/dog/empty.jpg"), b"").unwrap();
    fs::write(tiny.path("photos/dog/short.jpg"), b"\xff\xd8\xff\xe0").unwrap();
}

#[test]
fn shapes_are_inspected() {
    let tiny = Tiny::new();
    let inspect = ["data", "inspect", "shapes:test", "--json"];
    let ended = tiny.run(&[&inspect[..], &SMALL].concat()).code(0);
    let found = ended.last_event();
    assert_eq!(found["event"], "data");
    assert_eq!(found["images"], 2000);
    assert_eq!(found["smallest"], json!([64, 64]));
    assert_eq!(found["channels"], json!({ "3": 2000 }));
    assert_eq!(found["classes"].as_array().unwrap().len(), 10);
    assert_eq!(found["bad"], json!([]));
    assert!(found["loader"]["img_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(found["loader"]["global"], 32);
    tiny.run(&["data", "inspect", "nowhere"]).code(1).says("no data set `nowhere`");
    tiny.run(&["data", "inspect", "shapes", "--preset", "none"]).code(2).says("no preset `none`");
}

#[test]
fn sizes_channels_classes_and_bad_images_are_listed() {
    let tiny = Tiny::new();
    photos(&tiny);
    let text = tiny.run(&[&["data", "inspect", "photos"][..], &SMALL].concat()).code(0).stdout;
    let lines = [
        "sizes: 3, from 40 x 30 to 60 x 80, median 50 x 30",
        "channels (images): 1 (1), 3 (3)",
        "classes: 2\n        4  dog\n        2  cat",
        "bad images: 2 (33.3 %)",
        "        1  empty\n",
        "empty.jpg: the file is empty",
        "loader: about ",
    ];
    for line in lines {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
}

#[test]
fn parts_labels_and_what_is_left_out_are_shown() {
    let tiny = Tiny::new();
    photos(&tiny);
    fs::create_dir_all(tiny.path("set/Train")).unwrap();
    fs::rename(tiny.path("photos/cat"), tiny.path("set/Train/cat")).unwrap();
    fs::rename(tiny.path("photos/dog"), tiny.path("set/valid")).unwrap();
    fs::copy(tiny.path("set/Train/cat/0.png"), tiny.path("set/Train/loose.png")).unwrap();
    fs::copy(tiny.path("set/Train/cat/0.png"), tiny.path("set/Train/.hidden.png")).unwrap();
    fs::copy(tiny.path("set/Train/cat/0.png"), tiny.path("set/stray.png")).unwrap();
    let text = tiny.run(&[&["data", "inspect", "set"][..], &SMALL].concat()).code(0).stdout;
    let lines = [
        "(train part): 3 images",
        "parts: Train (3 images), valid (4 images); reading Train",
        "classes: 1; 2 of 3 images have a label",
        "left out:\n        1  images outside the parts\n           stray.png",
        "        1  images with hidden names",
    ];
    for line in lines {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    let inspect = ["data", "inspect", "set", "--json"];
    let found = tiny.run(&[&inspect[..], &SMALL].concat()).code(0).last_event();
    assert_eq!((&found["labelled"], &found["left_out"][0]["count"]), (&2.into(), &1.into()));
    assert_eq!(
        found["parts"][0],
        json!({ "name": "Train", "count": 3, "unit": "images", "read": true })
    );
    let out = ["data", "preview", "set", "--images", "1"];
    tiny.run(&[&out[..], &SMALL].concat())
        .code(0)
        .says("1 images outside the parts (for example `stray.png`)")
        .says("2 of 3 images of folder `set/Train` (train part) have a label");
    let sets = ["--set", "data.global_size=16", "--set", "data.local_size=8"];
    let batch = ["--set", "optim.batch_size=3", "--steps", "1", "--data", "set"];
    tiny.pretrain(&[&sets[..], &batch].concat())
        .code(0)
        .says("1 images outside the parts (for example `stray.png`)")
        .says("2 of 3 images of folder `set/Train` (train part) have a label");
}

#[test]
fn a_preview_shows_what_the_network_sees() {
    let tiny = Tiny::new();
    photos(&tiny);
    let preview = ["data", "preview", "photos", "--images", "4", "--seed", "3", "--json"];
    let ended = tiny.run(&[&preview[..], &SMALL].concat()).code(0);
    let event = ended.says("image `photos/dog/").last_event();
    assert_eq!((&event["event"], &event["out"]), (&"preview".into(), &"crops.png".into()));
    let images = event["images"].as_array().unwrap();
    assert_eq!(images.len(), 4);
    for shown in images {
        let crops = shown["crops"].as_array().unwrap();
        assert_eq!(crops.len(), 6);
        for crop in crops {
            let end = |start: &str, length: &str| {
                crop[start].as_u64().unwrap() + crop[length].as_u64().unwrap()
            };
            assert!(end("left", "width") <= shown["width"].as_u64().unwrap());
            assert!(end("top", "height") <= shown["height"].as_u64().unwrap());
        }
    }
    let sheet = image::open(tiny.path("crops.png")).unwrap();
    assert!(sheet.width() > 500 && sheet.height() > 4 * 224, "{:?}", sheet.color());
    // the same seed draws the same sheet, another seed draws another sheet
    let bytes = |seed: &str, out: &str| {
        let preview = ["data", "preview", "photos", "--images", "4", "--seed", seed, "--out", out];
        tiny.run(&[&preview[..], &SMALL].concat()).code(0);
        fs::read(tiny.path(out)).unwrap()
    };
    assert!(bytes("3", "a.png") == fs::read(tiny.path("crops.png")).unwrap());
    assert!(bytes("4", "b.png") != fs::read(tiny.path("crops.png")).unwrap());
}

#[test]
fn a_preview_follows_the_settings() {
    let tiny = Tiny::new();
    let none = ["--set", "data.local_crops=0", "--set", "data.global_size=16"];
    let preview = ["data", "preview", "shapes", "--images", "1", "--json"];
    let event = tiny.run(&[&preview[..], &none].concat()).code(0).last_event();
    assert_eq!(event["images"][0]["crops"].as_array().unwrap().len(), 2);
    assert_eq!(event["images"][0]["crops"][0]["size"], 16);
    tiny.run(&[&preview[..], &["--out", "no/such/folder.png"]].concat())
        .code(1)
        .says("cannot write `no/such/folder.png`");
    tiny.run(&[&preview[..], &["--set", "data.flip=1"]].concat())
        .code(2)
        .says("unknown key `data.flip`");
    tiny.run(&[&preview[..], &["--columns", "0"]].concat()).code(2);
}

#[test]
fn bench_loader_prints_the_fields_of_the_pytorch_script() {
    let tiny = Tiny::new();
    let sizes = ["--global", "32", "--local", "16", "--locals", "2", "--images", "40"];
    let bench = ["bench", "loader", "shapes:test", "--workers", "2", "--batch", "16"];
    let ended = tiny.run(&[&bench[..], &sizes, &["--json"]].concat()).code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let record = ended.last_event();
    let expected = [
        ("peer", json!("dino-vmf")),
        ("workers", json!(2)),
        ("batch", json!(16)),
        ("locals", json!(2)),
        ("files", json!(2000)),
        ("images", json!(48)),
    ];
    for (name, value) in expected {
        assert_eq!(record[name], value, "{name}");
    }
    let number = |name: &str| record[name].as_f64().unwrap();
    assert!(number("img_per_s") > 0.0 && number("augment_ms_per_img") > 0.0);
    assert!((number("img_per_s") * number("ms_per_img_core") / 2000.0 - 1.0).abs() < 0.01);
    let text = tiny.run(&[&bench[..], &sizes].concat()).code(0).stdout;
    assert!(text.contains("images/s with 2 workers") && text.contains("ms decode"), "{text}");
    tiny.run(&[&bench[..], &["--locals", "-1"]].concat())
        .code(2)
        .says("`data.local_crops` is -1 in `--locals`, but must be 0 or more");
    let large = ["bench", "loader", "shapes:test", "--batch", "3000"];
    tiny.run(&large).code(1).says("a batch needs 3000 images");
}

#[test]
fn the_extension_sets_the_format_of_a_preview() {
    let tiny = Tiny::new();
    let preview = |out: &str| {
        let arguments = ["data", "preview", "shapes", "--images", "1", "--out", out];
        tiny.run(&[&arguments[..], &SMALL].concat())
    };
    for (name, start) in [
        ("a.png", &b"\x89PNG"[..]),
        ("a", b"\x89PNG"),
        ("a.JPG", b"\xff\xd8\xff"),
        ("a.jpeg", b"\xff\xd8\xff"),
        ("a.webp", b"RIFF"),
        ("a.bmp", b"BM"),
        ("a.tiff", b"II"),
    ] {
        preview(name).code(0);
        let bytes = fs::read(tiny.path(name)).unwrap();
        assert!(bytes.starts_with(start), "{name}: {:?}", &bytes[..4]);
        image::load_from_memory(&bytes).unwrap();
    }
    preview("a.svg").code(2).says("`--out` is `a.svg`, but must end in .png, .jpg");
    assert!(!tiny.path("a.svg").exists());
}

#[cfg(unix)]
#[test]
fn a_preview_can_have_a_name_that_is_not_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    let tiny = Tiny::new();
    let out = std::ffi::OsString::from_vec(b"a\xff.png".to_vec());
    let mut arguments: Vec<_> =
        ["data", "preview", "shapes", "--images", "1", "--json"].map(Into::into).to_vec();
    arguments.extend(SMALL.map(Into::into));
    arguments.extend(["--out".into(), out.clone()]);
    let event = tiny.run(&arguments).code(0).last_event();
    assert_eq!(event["out"], "a\u{fffd}.png");
    assert!(tiny.folder.path().join(out).is_file());
}
