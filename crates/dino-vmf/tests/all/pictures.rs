//! `attention` and `parts`: pictures of images, folders, frames and archives.

use std::fs;

use crate::fixtures::{Ended, Tiny};
use image::{Rgb, RgbImage};

/// A run of one step, and twelve frames of 50 x 34 pixels: a bright square that moves over a dark ground.
fn frames() -> Tiny {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    fs::create_dir(tiny.path("frames")).unwrap();
    for i in 1..=12 {
        let inside = |x: u32, y: u32| (i * 2..i * 2 + 14).contains(&x) && (10..24).contains(&y);
        let frame = RgbImage::from_fn(50, 34, |x, y| match inside(x, y) {
            true => Rgb([240, (200 - 3 * x) as u8, (5 * y) as u8]),
            false => Rgb([20 + x as u8, 40, 30 + y as u8]),
        });
        frame.save(tiny.path(&format!("frames/f{i}.png"))).unwrap();
    }
    tiny
}

/// Runs a command on frames whose shorter side becomes 34 pixels: four rows of six patches.
fn draw(tiny: &Tiny, words: &[&str]) -> Ended {
    let flags = ["--checkpoint", "run", "--resize", "none", "--json"];
    tiny.run(&[words, &flags].concat())
}

fn names(tiny: &Tiny, folder: &str) -> Vec<String> {
    let files = fs::read_dir(tiny.path(folder)).unwrap();
    let name =
        |file: std::io::Result<fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = files.map(name).collect();
    names.sort();
    names
}

#[test]
fn a_sheet_shows_the_attention_of_each_head() {
    let tiny = frames();
    let ended = draw(&tiny, &["attention", "frames"]).code(0);
    let event = ended.says("the first 8 of 12 images").last_event();
    assert_eq!((&event["images"], &event["files"][0]), (&8.into(), &"attention.png".into()));
    let sheet = image::open(tiny.path("attention.png")).unwrap().into_rgb8();
    let colors: std::collections::BTreeSet<_> = sheet.pixels().map(|pixel| pixel.0).collect();
    assert!(sheet.height() > 8 * 2 * 32 && colors.len() > 500, "{}", colors.len());
    let two = ["attention", "frames", "--images", "2", "--draw", "mask", "--out", "two.png"];
    assert_eq!(draw(&tiny, &two).code(0).last_event()["images"], 2);
    let smaller = image::open(tiny.path("two.png")).unwrap();
    assert!(smaller.height() < sheet.height() / 4);
}

#[test]
fn frames_of_a_video_keep_their_order() {
    let tiny = frames();
    fs::write(tiny.path("frames/f5.png"), "damaged").unwrap();
    let words = ["attention", "frames", "--out", "seen", "--draw", "overlay", "--maps", "mean"];
    let ended = draw(&tiny, &[&words[..], &["--raw"]].concat()).code(0);
    assert_eq!(ended.says("f5.png` is left out").last_event()["images"], 11);
    let names = names(&tiny, "seen");
    assert_eq!(names.len(), 22);
    let place = |name: &str| names.iter().position(|found| found.ends_with(name)).unwrap();
    assert!(place("f9.png") < place("f10.png") && place("f2.png") < place("f11.png"));
    let frame = image::open(tiny.path("seen").join(&names[place("f9.png")])).unwrap();
    assert_eq!((frame.width(), frame.height()), (48, 32), "the picture alone, in whole patches");

    let raw = fs::read(tiny.path("seen").join(&names[place("f9.npy")])).unwrap();
    let header = String::from_utf8_lossy(&raw[..raw.len() - 4 * 2 * 24]);
    assert!(header.contains("'shape': (2, 4, 6,)"), "{header}");
    let values: Vec<f32> = raw[raw.len() - 4 * 2 * 24..]
        .as_chunks()
        .0
        .iter()
        .map(|x| f32::from_le_bytes(*x))
        .collect();
    for head in values.chunks(24) {
        let sum: f32 = head.iter().sum();
        assert!(sum > 0.5 && sum < 1.0 && head.iter().all(|x| *x > 0.0), "{head:?}");
    }
}

#[test]
fn one_image_and_an_archive_are_sources_too() {
    let tiny = frames();
    let one = ["attention", "frames/f3.png", "--out", "one.png"];
    assert_eq!(draw(&tiny, &one).code(0).last_event()["images"], 1);
    let mut archive = tar::Builder::new(fs::File::create(tiny.path("frames.tar")).unwrap());
    archive.append_dir_all("frames", tiny.path("frames")).unwrap();
    archive.finish().unwrap();
    let all = ["parts", "frames.tar", "--out", "parts"];
    assert_eq!(draw(&tiny, &all).code(0).last_event()["images"], 12);
    assert_eq!(names(&tiny, "parts").len(), 12, "the tokens' file is gone");
}

#[test]
fn parts_have_the_same_colors_in_all_images_and_with_any_threads() {
    let tiny = frames();
    fs::copy(tiny.path("frames/f2.png"), tiny.path("frames/g.png")).unwrap();
    for threads in ["1", "2"] {
        for (kind, more) in [("all", &[][..]), ("foreground", &["--foreground"])] {
            let out = format!("{kind}{threads}");
            let words = ["parts", "frames", "--threads", threads, "--out", &out];
            let event = draw(&tiny, &[&words[..], more].concat()).code(0).last_event();
            assert_eq!(
                (&event["images"], event["explained"].as_array().unwrap().len()),
                (&13.into(), 3)
            );
        }
    }
    let read = |folder: &str, name: &str| fs::read(tiny.path(folder).join(name)).unwrap();
    for kind in ["all", "foreground"] {
        let (one, two) = (format!("{kind}1"), format!("{kind}2"));
        let names = names(&tiny, &one);
        assert!(names.iter().all(|name| read(&one, name) == read(&two, name)), "{kind}");
        assert!(read(&one, "000001-f2.png") == read(&one, "000012-g.png"), "equal images");
        assert!(read(&one, "000001-f2.png") != read(&one, "000002-f3.png"));
    }
    let colors = image::open(tiny.path("foreground1/000005-f6.png")).unwrap().into_rgb8();
    let background = colors.pixels().filter(|pixel| pixel.0 == [0; 3]).count();
    assert!((1..colors.pixels().len()).contains(&background), "{background}");
    draw(&tiny, &["parts", "frames"]).code(0);
    assert!(image::open(tiny.path("parts.png")).unwrap().width() > 300);
}

#[test]
fn mistakes_are_explained() {
    let tiny = frames();
    let refused = |words: &[&str], code: i32, text: &str| {
        draw(&tiny, words).code(code).says(text);
    };
    refused(&["attention", "frames", "--maps", "2"], 2, "the network has the heads 0 to 1");
    refused(&["attention", "frames", "--maps", "first"], 2, "use `mean`, `all` or a number");
    refused(&["attention", "frames", "--mass", "0"], 2, "must be above 0 and at most 100");
    refused(&["attention", "frames", "--raw"], 2, "needs a folder as `--out`");
    refused(&["attention", "frames", "--out", "a.gif"], 2, "end in .png");
    refused(&["parts", "nowhere"], 1, "nowhere");
    let tiny_side = ["parts", "frames", "--checkpoint", "run", "--resize", "0"];
    tiny.run(&tiny_side).code(2).says("must be from 1 to 8192, or `none`");
    for command in ["attention", "parts"] {
        let side = [command, "frames", "--checkpoint", "run", "--resize", "3"];
        tiny.run(&side)
            .code(2)
            .says("`--resize 3` leaves no whole patch: the network's have 8 pixels");
    }
}
