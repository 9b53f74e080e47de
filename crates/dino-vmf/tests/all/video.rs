//! `eval video` as a person runs it.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::fixtures::{Ended, Tiny};

/// Width and height of a frame, which the network gets as it is: 16 x 8 patches.
const SIZE: (u32, u32) = (128, 64);
/// Colors of the background and of two objects, and the palette of masks.
const COLORS: [[u8; 3]; 3] = [[90, 100, 90], [230, 60, 40], [30, 60, 240]];
const PALETTE: [u8; 9] = [0, 0, 0, 128, 0, 0, 0, 128, 0];

/// The object at a pixel of a frame.
pub(crate) type Scene = dyn Fn(usize, u32, u32) -> u8;

/// A square that moves to the right, and a disc that moves to the left.
pub(crate) fn moving(frame: usize, x: u32, y: u32) -> u8 {
    let (x, y, shift) = (x as i32, y as i32, 4 * frame as i32);
    let in_disc = (x - 76 + shift).pow(2) + (y - 40).pow(2) <= 14 * 14;
    let in_square = (8 + shift..32 + shift).contains(&x) && (8..32).contains(&y);
    if in_square { 1 } else { 2 * u8::from(in_disc) }
}

/// Upright bands, two patches wide, that stand still: bilinear enlargement keeps straight borders.
fn bands(_: usize, x: u32, _: u32) -> u8 {
    match x / 16 {
        1 => 1,
        3 | 4 => 2,
        _ => 0,
    }
}

fn save_mask(path: &Path, (width, height): (u32, u32), pixels: &[u8]) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(&PALETTE[..]);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

fn read_mask(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().unwrap();
    let palette = reader.info().palette.clone().unwrap().into_owned();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (pixels, palette)
}

/// The objects of a frame, row by row.
fn labels(scene: &Scene, frame: usize) -> Vec<u8> {
    (0..SIZE.0 * SIZE.1).map(|i| scene(frame, i % SIZE.0, i / SIZE.0)).collect()
}

/// Writes a video in the layout of DAVIS.
pub(crate) fn save_video(folder: &Path, name: &str, frames: usize, scene: &Scene) {
    let [pictures, masks] =
        ["JPEGImages", "Annotations"].map(|kind| folder.join(kind).join("480p").join(name));
    fs::create_dir_all(&pictures).unwrap();
    fs::create_dir_all(&masks).unwrap();
    for frame in 0..frames {
        let color = |x: u32, y: u32| {
            let shade = ((x * 7 + y * 5) % 16) as u8;
            Rgb(COLORS[scene(frame, x, y) as usize].map(|value| value.saturating_add(shade)))
        };
        let picture = RgbImage::from_fn(SIZE.0, SIZE.1, color);
        picture.save(pictures.join(format!("{frame:05}.jpg"))).unwrap();
        save_mask(&masks.join(format!("{frame:05}.png")), SIZE, &labels(scene, frame));
    }
}

/// A run, and `davis/` with the videos `still` and `moving` of six frames.
fn run_and_videos() -> Tiny {
    let tiny = Tiny::new();
    save_video(&tiny.path("davis"), "moving", 6, &moving);
    save_video(&tiny.path("davis"), "still", 6, &bands);
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    tiny
}

fn eval(tiny: &Tiny, more: &[&str]) -> Ended {
    let all = ["eval", "video", "run", "--data", "davis", "--short-side", "64"];
    tiny.run(&[&all[..], more].concat())
}

fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(event: &Value, name: &str) -> f64 {
    event[name].as_f64().unwrap_or_else(|| panic!("no number `{name}` in {event}"))
}

#[test]
fn objects_that_stand_still_are_found_and_masks_are_written() {
    let tiny = run_and_videos();
    let list = ["--videos", "list.txt", "--topk", "1", "--out", "out", "--csv", "scores.csv"];
    fs::write(tiny.path("list.txt"), "still\n\n").unwrap();
    let ended = eval(&tiny, &[&list[..], &["--json"]].concat()).code(0);
    let ended = ended
        .says("left out, because not in list.txt: 1 video of `davis/JPEGImages/480p`")
        .says("protocol:");
    let events = events(&ended);
    assert_eq!(events.len(), 2);
    for event in &events {
        for (name, value) in
            [("jf_mean", 100.0), ("j_mean", 100.0), ("f_recall", 100.0), ("j_decay", 0.0)]
        {
            assert!((number(event, name) - value).abs() < 1e-9, "{name} in {event}");
        }
    }
    assert_eq!((&events[0]["video"], &events[0]["frames"]), (&"still".into(), &4.into()));
    assert_eq!((&events[1]["objects"], &events[1]["videos_not_listed"]), (&2.into(), &1.into()));
    for frame in 0..6 {
        let (pixels, palette) = read_mask(&tiny.path(&format!("out/still/{frame:05}.png")));
        assert_eq!(pixels, labels(&bands, frame), "frame {frame}");
        assert_eq!((palette.len(), &palette[..9]), (768, &PALETTE[..]));
    }
    let strip = image::open(tiny.path("out/still.png")).unwrap();
    assert!(strip.width() > 6 * SIZE.0 && strip.height() > 2 * SIZE.1, "{}", strip.width());
    let table = fs::read_to_string(tiny.path("scores.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0],
        "video,object,frames,jf_mean,j_mean,j_recall,j_decay,f_mean,f_recall,f_decay"
    );
    assert_eq!(
        rows[1..],
        ["still,1,4,100,100,100,0,100,100,0", "still,2,4,100,100,100,0,100,100,0"]
    );
}

/// J of an object in a frame.
fn overlap(truth: &[u8], found: &[u8], object: u8) -> f64 {
    let pairs = || truth.iter().zip(found);
    let both = pairs().filter(|(t, f)| **t == object && **f == object).count();
    both as f64 / pairs().filter(|(t, f)| **t == object || **f == object).count() as f64
}

#[test]
fn scores_are_those_of_the_masks_and_threads_change_nothing() {
    let tiny = run_and_videos();
    let with = |threads| eval(&tiny, &["--json", "--out", "out", "--threads", threads]).code(0);
    let ended = with("1");
    assert_eq!(ended.stdout, with("2").stdout);
    let events = events(&ended);
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["video_sequence", "video_sequence", "video"]);
    let mut means = Vec::new();
    for object in [1u8, 2] {
        let j = (1..5).map(|frame| {
            let found = read_mask(&tiny.path(&format!("out/moving/{frame:05}.png"))).0;
            overlap(&labels(&moving, frame), &found, object)
        });
        let expected = 100.0 * j.sum::<f64>() / 4.0;
        let of_object = &events[0]["objects"][object as usize - 1];
        assert!((number(of_object, "j_mean") - expected).abs() < 1e-9, "{of_object}: {expected}");
        assert!(expected > 50.0, "object {object} is lost: {expected}");
        means.push(expected);
    }
    for object in events[1]["objects"].as_array().unwrap() {
        means.push(number(object, "j_mean"));
    }
    let mean = means.iter().sum::<f64>() / 4.0;
    assert!((number(&events[2], "j_mean") - mean).abs() < 1e-9, "{}: {mean}", events[2]);
    let text = eval(&tiny, &[]).code(0);
    let large = eval(&tiny, &["--size-mask-neighborhood", "0"]).code(0);
    large.says("sources in the first frame and in the 7 before, anywhere, top 5");
    assert!(text.stdout.contains("4 objects in 2 videos"), "{}", text.stdout);
    assert!(text.stdout.contains("all objects        8       4"), "{}", text.stdout);
}

#[test]
fn objects_that_cannot_be_followed_are_named() {
    let tiny = run_and_videos();
    // A third object of one pixel, and a fourth one that comes later; 255 is void and counts as background.
    let scene = |frame: usize, x: u32, y: u32| match (x, y) {
        (90, 60) => 3,
        (90, 5) => 4 * u8::from(frame > 1),
        (91, 60) => 255,
        _ => moving(frame, x, y),
    };
    save_video_masks(&tiny, &scene);
    fs::write(tiny.path("davis/JPEGImages/480p/still/notes.txt"), "").unwrap();
    let ended = eval(&tiny, &["--json"]).code(0);
    let ended =
        ended.says("left out: 1 file of `davis/JPEGImages/480p/still`, such as `notes.txt`");
    let ended = ended.says("object 3 of `moving`: no patch of the first frame shows it");
    let ended = ended.says("object 4 of `moving`: not in the first mask, so not scored");
    let found = &events(&ended)[0];
    let numbers = |name: &str| found[name].as_array().unwrap().clone();
    assert_eq!(numbers("objects").len(), 3);
    assert_eq!(
        (numbers("objects_too_small"), numbers("objects_not_scored")),
        (vec![3.into()], vec![4.into()])
    );
    assert!(number(&found["objects"][2], "jf_mean") < 1e-9, "{found}");
}

/// Overwrites the masks of `moving`.
fn save_video_masks(tiny: &Tiny, scene: &Scene) {
    for frame in 0..6 {
        let path = tiny.path(&format!("davis/Annotations/480p/moving/{frame:05}.png"));
        save_mask(&path, SIZE, &labels(scene, frame));
    }
}

#[test]
fn folders_without_a_resolution_and_masks_in_colors_are_read() {
    let tiny = run_and_videos();
    for kind in ["JPEGImages", "Annotations"] {
        let folder = tiny.path("davis").join(kind);
        fs::rename(folder.join("480p"), tiny.path("videos")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::rename(tiny.path("videos"), &folder).unwrap();
    }
    let expected = eval(&tiny, &["--json"]).code(0).says("davis/JPEGImages`").stdout;
    let path = tiny.path("davis/Annotations/moving/00000.png");
    let colors = labels(&moving, 0)
        .into_iter()
        .flat_map(|object| *PALETTE[3 * object as usize..].first_chunk::<3>().unwrap());
    RgbImage::from_raw(SIZE.0, SIZE.1, colors.collect()).unwrap().save(&path).unwrap();
    assert_eq!(eval(&tiny, &["--json"]).code(0).stdout, expected);
    RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([1, 2, 3])).save(&path).unwrap();
    eval(&tiny, &[]).code(1).says("color [1, 2, 3] is not one of the first 22 of the palette");
}

#[test]
fn folders_that_do_not_fit_are_an_error() {
    let tiny = run_and_videos();
    let refused = |text: &str| drop(eval(&tiny, &[]).code(1).says(text));
    let masks = tiny.path("davis/Annotations/480p/moving");
    save_mask(&masks.join("00002.png"), (SIZE.1, SIZE.0), &labels(&moving, 2));
    refused(
        "`davis/Annotations/480p/moving/00002.png` has 64 x 128 pixels, but its frame has 128 x 64",
    );
    image::ImageBuffer::<image::Luma<u16>, _>::new(SIZE.0, SIZE.1)
        .save(masks.join("00002.png"))
        .unwrap();
    refused("is a Grayscale PNG of 16 bits: a mask has 8 bits");
    fs::write(masks.join("00002.png"), "no mask").unwrap();
    refused("cannot read the mask `davis/Annotations/480p/moving/00002.png`");
    fs::remove_file(masks.join("00002.png")).unwrap();
    refused("1 of 6 frames have no mask, such as `davis/JPEGImages/480p/moving/00002.jpg`");
    fs::remove_file(tiny.path("davis/JPEGImages/480p/moving/00002.jpg")).unwrap();
    fs::remove_file(tiny.path("davis/JPEGImages/480p/moving/00003.jpg")).unwrap();
    refused("there is 1 mask without a frame, such as `davis/Annotations/480p/moving/00003.png`");
    fs::remove_file(masks.join("00003.png")).unwrap();
    save_mask(
        &masks.join("00000.png"),
        SIZE,
        &[0, 255].repeat(SIZE.0 as usize * SIZE.1 as usize / 2),
    );
    refused("the first mask `davis/Annotations/480p/moving/00000.png` shows no object");
    fs::remove_dir_all(&masks).unwrap();
    refused("video `moving` cannot be evaluated");
    refused("it has no masks: there is no folder `davis/Annotations/480p/moving`");
    save_video(&tiny.path("davis"), "short", 2, &moving);
    fs::write(tiny.path("list.txt"), "short").unwrap();
    let with = |more: &[&str]| eval(&tiny, more);
    with(&["--videos", "list.txt"]).code(1).says("it has 2 frames, and at least 3 are needed");
    fs::create_dir_all(tiny.path("davis/ImageSets/2017")).unwrap();
    fs::write(tiny.path("davis/ImageSets/2017/val.txt"), "still\nnowhere\n").unwrap();
    refused(
        "`davis/ImageSets/2017/val.txt` names the video `nowhere`, but `davis/JPEGImages/480p` has no such folder",
    );
    fs::write(tiny.path("list.txt"), "still").unwrap();
    with(&["--videos", "list.txt", "--out", "davis/Annotations/480p"])
        .code(1)
        .says("is the folder of the true masks or of the frames");
    with(&["--temperature", "0"]).code(2).says("must be a number above 0");
    with(&["--topk", "0"]).code(2).says("0 is not in 1..=100000");
    let side = ["eval", "video", "run", "--data", "davis", "--short-side", "63"];
    tiny.run(&side).code(2).says("63 is not in 64..=8192");
    fs::remove_dir_all(tiny.path("davis/Annotations")).unwrap();
    refused("`davis` has no masks: there is no folder `davis/Annotations/480p`");
    fs::remove_dir_all(tiny.path("davis/JPEGImages")).unwrap();
    refused("`davis` has no folder `JPEGImages`");
}
