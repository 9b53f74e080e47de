//! Images as instruments make them: 12 bits in files of 16, five channels, several pages, NaN. A person
//! inspects, previews and trains on them.

use std::fs;
use std::path::Path;

use crate::fixtures::{Ended, Tiny};
use serde_json::json;

/// Side of the images.
const SIDE: usize = 24;
/// Settings with small crops, which are fast.
const SMALL: [&str; 8] = [
    "--set",
    "data.global_size=16",
    "--set",
    "data.local_size=8",
    "--set",
    "model.patch_size=8",
    "--set",
    "data.local_crops=2",
];

/// A TIFF with one strip for each page; `values`, `[pages, side, side, samples]`, have two bytes, or
/// four if they are floats (`format` 3).
fn tiff(values: &[u8], pages: usize, samples: usize, format: u16) -> Vec<u8> {
    let len = values.len() / pages;
    let mut file = b"II\x2A\0".to_vec();
    let first = 8 + values.len() as u32;
    file.extend(first.to_le_bytes());
    file.extend(values);
    let bits: u16 = if format == 3 { 32 } else { 16 };
    for page in 0..pages {
        let entries: [(u16, u16, u32, u32); 10] = [
            (256, 3, 1, SIDE as u32),
            (257, 3, 1, SIDE as u32),
            (258, 3, 1, bits.into()),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, (8 + page * len) as u32),
            (277, 3, 1, samples as u32),
            (278, 3, 1, SIDE as u32),
            (279, 4, 1, len as u32),
            (339, 3, 1, format.into()),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(count.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let next = if page + 1 < pages { file.len() as u32 + 4 } else { 0 };
        file.extend(next.to_le_bytes());
    }
    file
}

/// Values of a camera of 12 bits, 210 to 2567: stripes whose direction is that of the class.
fn stripes(class: usize, image: usize, planes: usize) -> Vec<u16> {
    let value = |at: usize| {
        let (pixel, plane) = (at / planes, at % planes);
        let place = if class == 0 { pixel % SIDE } else { pixel / SIDE };
        210 + ((place * (3 + plane) + image) % 8 * 2357 / 7) as u16
    };
    (0..SIDE * SIDE * planes).map(value).collect()
}

fn bytes(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes 12 images of two classes below `folder`.
fn camera(folder: &Path, samples: usize) {
    for (class, name) in ["across", "down"].into_iter().enumerate() {
        fs::create_dir_all(folder.join(name)).unwrap();
        for image in 0..6 {
            let values = bytes(&stripes(class, image, samples));
            fs::write(folder.join(format!("{name}/{image}.tif")), tiff(&values, 1, samples, 1))
                .unwrap();
        }
    }
}

fn run(tiny: &Tiny, command: &[&str], more: &[&str]) -> Ended {
    tiny.run(&[command, more, &SMALL].concat())
}

#[test]
fn twelve_bits_in_sixteen_are_measured_trained_and_resumed() {
    let tiny = Tiny::new();
    camera(&tiny.path("camera"), 1);
    let one = ["--channels", "1"];
    let ended = run(&tiny, &["data", "inspect", "camera"], &one).code(0);
    let advice = "99 % of the values lie between 210 and 2567, which is 3.60 % of the range";
    let ended = ended.says(advice).says("`--set data.range=percentile`");
    for line in ["16-bit unsigned integers (12)", "--set 'data.mean=[0.0", "--set 'data.std=[0.0"] {
        assert!(ended.stdout.contains(line), "no `{line}` in {}", ended.stdout);
    }
    let ranged = ["--channels", "1", "--json", "--set", "data.range=[210, 2567]"];
    let ended = run(&tiny, &["data", "inspect", "camera"], &ranged).code(0);
    assert!(!ended.stderr.contains("99 %"), "{}", ended.stderr);
    let channel = &ended.last_event()["values"]["channels"][0];
    assert_eq!((&channel["smallest"], &channel["largest"]), (&json!(210.0), &json!(2567.0)));
    assert!((channel["mean"].as_f64().unwrap() - 0.5).abs() < 0.02, "{channel}");

    let preview = ["data", "preview", "camera", "--images", "2"];
    run(&tiny, &preview, &one).code(0).says(advice);
    run(&tiny, &preview, &ranged).code(0);
    let sheet = image::open(tiny.path("crops.png")).unwrap().to_luma8();
    let middle = sheet.pixels().filter(|pixel| (60..200).contains(&pixel.0[0])).count();
    assert!(middle > 5000, "{middle} pixels of the sheet are neither black nor white");

    let images = ["--data", "camera", "--channels", "1"];
    let plain = [&images[..], &SMALL, &["--steps", "1", "--out", "flat"]].concat();
    tiny.pretrain(&plain).code(0).says(advice);
    let percentile = ["--set", "data.range=percentile"];
    let run_of_two = ["--steps", "2", "--out", "run"];
    let ended = tiny.pretrain(&[&images[..], &SMALL, &percentile, &run_of_two].concat()).code(0);
    assert!(!ended.stderr.contains("99 %"), "{}", ended.stderr);
    let config = fs::read_to_string(tiny.path("run/config.toml")).unwrap();
    assert!(config.contains("range = [[210.0, 2567.0]]\n"), "{config}");
    tiny.run(&["pretrain", "--resume", "run", "--set", "data.range=percentile"]).code(0);
    tiny.run(&["pretrain", "--resume", "run", "--set", "data.range=[0, 4095]"])
        .code(2)
        .says("`data.range`");
    let knn = ["eval", "knn", "--checkpoint", "run", "--k", "3", "--json", "--baselines"];
    let parts = ["--train", "camera", "--test", "camera"];
    let score = tiny.run(&[&knn[..], &parts].concat()).code(0).last_event();
    assert!(score["raw"]["top1"].as_f64().unwrap() > 60.0, "{score}");
}

#[test]
fn five_channels_are_found_and_another_number_is_refused_in_a_sentence() {
    let tiny = Tiny::new();
    camera(&tiny.path("bands"), 5);
    run(&tiny, &["data", "inspect", "bands"], &[]).code(0).says("with 5 channels");
    run(&tiny, &["data", "inspect", "bands"], &["--channels", "3"])
        .code(1)
        .says("none of the 12 images can be read")
        .says("`--channels 5`");
    let three = ["--data", "bands", "--steps", "1", "--channels", "3"];
    tiny.pretrain(&[&three[..], &SMALL].concat()).code(1).says("`--channels 5`");
    let five = ["--channels", "5", "--json"];
    let found = run(&tiny, &["data", "inspect", "bands"], &five).code(0).last_event();
    assert_eq!(found["channels"], json!({ "5": 12 }));
    assert_eq!(found["values"]["channels"].as_array().unwrap().len(), 5);
    let shown = run(&tiny, &["data", "preview", "bands", "--images", "1"], &five).code(0);
    let crops = &shown.last_event()["images"][0]["crops"];
    for crop in crops.as_array().unwrap() {
        let order = crop["jitter"]["order"].as_str().unwrap_or_default();
        assert_eq!((order, &crop["gray"]), ("", &json!(false)), "they change colors only");
    }
    let range = ["--set", "data.range=[[210, 2567], [0, 9], [1, 2], [3, 4], [5, 6]]"];
    let train = ["--data", "bands", "--channels", "5", "--steps", "1", "--out", "run"];
    tiny.pretrain(&[&train[..], &SMALL, &range].concat()).code(0);
    tiny.pretrain(&[&train[..], &["--set", "data.range=[[0, 1], [0, 1]]"]].concat())
        .code(2)
        .says("such a pair for each of the `data.channels`, 5 in all");
    tiny.pretrain(&[&train[..], &["--set", "data.range=[9, 2]"]].concat())
        .code(2)
        .says("must rise from `low` to `high`");
    tiny.pretrain(&[&train[..], &["--set", "data.range=wide"]].concat())
        .code(2)
        .says("`percentile`, `[low, high]` or a list");
}

#[test]
fn pages_are_images_or_channels() {
    let tiny = Tiny::new();
    fs::create_dir_all(tiny.path("stacks")).unwrap();
    for image in 0..3 {
        let pages: Vec<u8> = (0..5).flat_map(|page| bytes(&stripes(0, page + image, 1))).collect();
        fs::write(tiny.path(&format!("stacks/{image}.tif")), tiff(&pages, 5, 1, 1)).unwrap();
    }
    let inspect = ["data", "inspect", "stacks"];
    let ended = run(&tiny, &inspect, &["--channels", "1"]).code(0);
    let line = "pages (files): 5 (3); only the first page of each is read. `--set \
                data.pages=channels --channels 5`";
    assert!(ended.stdout.contains(line), "{}", ended.stdout);
    run(&tiny, &inspect, &["--channels", "5"]).code(1).says("`--set data.pages=channels`");
    let channels = ["--set", "data.pages=channels", "--channels", "5"];
    let found = run(&tiny, &inspect, &[&channels[..], &["--json"]].concat()).code(0).last_event();
    assert_eq!((&found["images"], &found["channels"]), (&json!(3), &json!({ "5": 3 })));
    let images = ["--set", "data.pages=images", "--channels", "1"];
    let found = run(&tiny, &inspect, &[&images[..], &["--json"]].concat()).code(0).last_event();
    assert_eq!((&found["images"], &found["channels"]), (&json!(15), &json!({ "1": 15 })));
    let train =
        ["--data", "stacks", "--steps", "1", "--set", "optim.batch_size=15", "--out", "run"];
    tiny.pretrain(&[&train[..], &SMALL, &images].concat()).code(0);
    let batch = ["--set", "optim.batch_size=3", "--out", "other"];
    tiny.pretrain(&[&train[..4], &batch, &SMALL, &channels].concat()).code(0);
}

#[test]
fn floats_need_a_range_and_nan_is_counted() {
    let tiny = Tiny::new();
    fs::create_dir_all(tiny.path("floats")).unwrap();
    for image in 0..3 {
        let values = stripes(0, image, 1).into_iter().map(|value| f32::from(value) - 1000.0);
        let mut values: Vec<f32> = values.collect();
        values[7 * image] = f32::NAN;
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(tiny.path(&format!("floats/{image}.tif")), tiff(&values, 1, 1, 3)).unwrap();
    }
    let inspect = ["data", "inspect", "floats", "--channels", "1"];
    let message = "its floats go from -790 to 1567, and without a range floats must lie in [0, 1]";
    run(&tiny, &inspect, &[]).code(1).says(message);
    let ended = run(&tiny, &inspect, &["--set", "data.range=percentile"]).code(0);
    for line in ["32-bit floats (3)", "NaN or infinite: 3 values in 3 of 3 images; NaN becomes 0"] {
        assert!(ended.stdout.contains(line), "no `{line}` in {}", ended.stdout);
    }
}

#[test]
fn images_much_smaller_than_the_crops_are_named() {
    let tiny = Tiny::new();
    camera(&tiny.path("camera"), 1);
    let large = ["--channels", "1", "--set", "data.global_size=64"];
    let warning = "images have about 24 x 24 pixels, and global crops of 64 pixels enlarge them";
    tiny.run(&[&["data", "inspect", "camera"][..], &large].concat()).code(0).says(warning);
    let train = ["--data", "camera", "--steps", "1", "--set", "data.local_size=8", "--out", "run"];
    tiny.pretrain(&[&train[..], &large].concat()).code(0).says(warning);
}
