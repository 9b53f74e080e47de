//! Images that do not have three channels: training, evaluation, inspection and preview.

use std::fs;
use std::path::Path;

use crate::fixtures::{Tiny, weights};

/// Writes the files of a small MNIST: gray images with vertical or horizontal bars.
fn digits(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (part, images) in [("train", 60u32), ("t10k", 20)] {
        let header = |kind: u8, sizes: &[u32]| {
            let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
            [0, 0, 8, kind].into_iter().chain(sizes).collect::<Vec<_>>()
        };
        let (mut pixels, mut labels) = (header(3, &[images, 28, 28]), header(1, &[images]));
        for image in 0..images {
            let level = image % 2;
            labels.push(level as u8);
            pixels.extend((0..28 * 28).map(|at| {
                let line = if level == 1 { at / 28 } else { at % 28 };
                (line * 60 + 7 * image) as u8
            }));
        }
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

#[test]
fn gray_images_are_trained_and_evaluated_with_one_channel() {
    let tiny = Tiny::new();
    digits(&tiny.path("digits"));
    let one = ["--channels", "1"];
    let train = ["--data", "digits:train", "--steps", "2", "--out", "run"];
    tiny.pretrain(&[&train[..], &one].concat()).code(0);
    let config = fs::read_to_string(tiny.path("run/config.toml")).unwrap();
    for line in ["channels = 1\n", "mean = [0.5]\n", "std = [0.5]\n"] {
        assert!(config.contains(line), "no {line:?} in {config}");
    }
    let weights = weights(&tiny.path("run"), 2);
    let header = String::from_utf8_lossy(&weights[8..20_000]).into_owned();
    let (_, entry) = header.split_once("student.backbone.patch_embed.proj.weight").unwrap();
    assert!(entry[..80].contains("[16,1,8,8]"), "{}", &entry[..80]);
    let knn = ["eval", "knn", "--checkpoint", "run", "--k", "5", "--json", "--baselines"];
    let data = ["--train", "digits:train", "--test", "digits:test"];
    let score = tiny.run(&[&knn[..], &data].concat()).code(0).last_event();
    assert_eq!(score["raw"]["top1"], 100.0, "pixels are enough to tell bars apart: {score}");
    tiny.run(&["pretrain", "--resume", "run", "--channels", "3"]).code(2);
}

#[test]
fn gray_images_are_inspected_and_previewed_with_one_channel() {
    let tiny = Tiny::new();
    digits(&tiny.path("digits"));
    let small = ["--channels", "1", "--set", "data.global_size=16", "--json"];
    let found =
        tiny.run(&[&["data", "inspect", "digits"][..], &small].concat()).code(0).last_event();
    assert_eq!(found["channels"], serde_json::json!({ "1": 60 }));
    assert!(found["loader"]["img_per_s"].as_f64().unwrap() > 0.0);
    tiny.run(&[&["data", "preview", "digits", "--images", "2"][..], &small].concat()).code(0);
    let sheet = image::open(tiny.path("crops.png")).unwrap().to_rgb8();
    // the first image, without the frames of its crops
    let pixels = (60..200).flat_map(|x| (80..200).map(move |y| (x, y)));
    let gray = pixels.filter(|(x, y)| {
        let [r, g, b] = sheet.get_pixel(*x, *y).0;
        r == g && g == b
    });
    assert!(gray.count() > 10_000);
}

#[test]
fn a_number_of_channels_that_no_image_has_is_refused() {
    let tiny = Tiny::new();
    let message = "`data.channels` is 0 in `--channels`, but must lie in [1, 1024]";
    tiny.pretrain(&["--channels", "0"]).code(2).says(message);
    tiny.pretrain(&["--channels", "-1"]).code(2).says("`data.channels` is -1 in `--channels`");
    // every image is bad, so the run ends with the reason
    tiny.pretrain(&["--channels", "7", "--steps", "2"]).code(1).says("but 7 channels are required");
}

#[test]
fn images_with_other_channels_name_the_flag_that_reads_them() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.path("gray-alpha")).unwrap();
    for i in 0..16u8 {
        let image = image::GrayAlphaImage::from_pixel(24, 24, image::LumaA([i, 200]));
        image.save(tiny.path(&format!("gray-alpha/{i:02}.png"))).unwrap();
    }
    let wrong = ["--data", "gray-alpha", "--channels", "7", "--steps", "2"];
    tiny.pretrain(&wrong).code(1).says("2 samples per pixel").says("`--channels 2`");
    let inspected = tiny.run(&["data", "inspect", "gray-alpha", "--channels", "7"]);
    let printed = format!("{}{}", inspected.stdout, inspected.stderr);
    assert!(printed.contains("`--channels 2`"), "{printed}");
}
