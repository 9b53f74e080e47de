//! `neighbors`, `duplicates` and `outliers`, as a person uses them: on a folder of photographs with copies in it,
//! with a run of a few steps, and with files of features.

use std::fs;
use std::path::Path;

use crate::fixtures::Tiny;
use image::{Rgb, RgbImage};

/// Images of which each has stripes, colors and a rectangle of its own.
const IMAGES: u32 = 24;

fn photo(i: u32) -> RgbImage {
    RgbImage::from_fn(48, 40, |x, y| {
        let wave = |speed: u32, phase: u32| {
            let angle = f64::from(x * (i % 5 + 1) * speed + y * (i % 7) + phase * i) * 0.09;
            (127.0 + 120.0 * angle.sin()) as u8
        };
        let inside = (x + i * 5) % 48 < 14 && (y + i * 3) % 40 < 12;
        if inside {
            Rgb([(i * 37) as u8, (i * 91) as u8, 255])
        } else {
            Rgb([wave(1, 3), wave(2, 11), wave(3, 5)])
        }
    })
}

/// A run of a few steps, and `photos/` with an equal copy of image 3 and a recompressed larger copy of image 7.
fn home() -> Tiny {
    let tiny = Tiny::new();
    let folder = tiny.path("photos");
    fs::create_dir(&folder).unwrap();
    for i in 0..IMAGES {
        photo(i).save(folder.join(format!("{i:02}.png"))).unwrap();
    }
    photo(3).save(folder.join("equal.bmp")).unwrap();
    let large = image::imageops::resize(&photo(7), 96, 80, image::imageops::FilterType::CatmullRom);
    large.save(folder.join("larger.jpg")).unwrap();
    let run = ["photos", "--method", "dino-vmf", "--steps", "3", "--quiet", "--out", "run"];
    tiny.pretrain(&run).code(0);
    tiny
}

fn name(value: &serde_json::Value) -> String {
    let path = value["name"].as_str().unwrap();
    Path::new(path).file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_nearest_images_are_the_copies_whatever_the_features_come_from() {
    let tiny = home();
    let run = ["--checkpoint", "run"];
    let json = |more: &[&str]| {
        let words = [&["neighbors", "photos", "--json", "-n", "3"][..], more].concat();
        tiny.run(&words).code(0).last_event()
    };
    let found = json(&[&run[..], &["--index", "3,7"]].concat());
    assert_eq!((&found["event"], &found["images"]), (&"neighbors".into(), &26.into()));
    let nearest =
        |found: &serde_json::Value, query: usize| name(&found["queries"][query]["neighbors"][0]);
    assert_eq!((nearest(&found, 0), nearest(&found, 1)), ("equal.bmp".into(), "larger.jpg".into()));
    assert_eq!(found["queries"][0]["neighbors"].as_array().unwrap().len(), 3);
    // the same from files of features, without the checkpoint
    for file in ["f.npy", "f.safetensors", "f.parquet"] {
        tiny.run(&[&["features", "photos", "--out", file][..], &run].concat()).code(0);
        let from = json(&["--from", file, "--index", "3,7"]);
        for query in 0..2 {
            for rank in 0..3 {
                let of = |found: &serde_json::Value| {
                    let neighbor = &found["queries"][query]["neighbors"][rank];
                    (neighbor["index"].clone(), neighbor["cosine"].clone())
                };
                assert_eq!(of(&from), of(&found), "{file}");
            }
        }
    }
    // image files are queries of their own
    let pictures = ["--html", "n.html", "--sheet", "n.png", "--csv", "n.csv"];
    let files = ["--query", "photos/05.png", "photos/equal.bmp", "--from", "f.parquet"];
    let found = json(&[&run[..], &files, &pictures].concat());
    let own = json(&["--from", "f.parquet", "--index", "5"]);
    assert_eq!((nearest(&found, 0), nearest(&found, 1)), (nearest(&own, 0), "03.png".into()));
    let page = fs::read_to_string(tiny.path("n.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("05.png"), "{page}");
    assert!(!page.contains("http"), "the page loads nothing from elsewhere");
    assert!(image::open(tiny.path("n.png")).unwrap().width() > 400);
    let table = fs::read_to_string(tiny.path("n.csv")).unwrap();
    assert_eq!(
        (table.lines().count(), table.lines().next()),
        (7, Some("query,rank,cosine,index,name,class"))
    );
    // a source of queries, and none at all
    assert_eq!(json(&[&run[..], &["--query", "shapes:test"]].concat())["queries"][0]["index"], 0);
    assert_eq!(json(&run)["queries"].as_array().unwrap().len(), 8);
}

#[test]
fn an_image_of_the_source_is_no_neighbor_of_itself_however_it_is_named() {
    let tiny = home();
    let other = photo(99);
    other.save(tiny.path("other.png")).unwrap();
    let here = tiny.path("photos/03.png").display().to_string();
    let base = ["neighbors", "photos", "--checkpoint", "run", "--json", "-n", "26", "--query"];
    let ended = tiny.run(&[&base[..], &[&here, "other.png"]].concat()).code(0);
    let ended = ended.says("so no neighbors of themselves: 1 of 2");
    let found = ended.last_event();
    let names = |query: usize| -> Vec<String> {
        found["queries"][query]["neighbors"].as_array().unwrap().iter().map(name).collect()
    };
    // the equal copy is another file
    assert_eq!((names(0).len(), names(0)[0].as_str()), (25, "equal.bmp"));
    assert!(!names(0).contains(&"03.png".to_owned()));
    assert_eq!(names(1).len(), 26);
    // the same folder by another name
    let words = ["neighbors", "photos", "--checkpoint", "run", "--json", "--query", "./photos/"];
    let found = tiny.run(&words).code(0).last_event();
    assert_eq!(name(&found["queries"][3]["neighbors"][0]), "equal.bmp");
}

#[test]
fn pictures_among_the_images_are_warned_of() {
    let tiny = home();
    let warning = "so what is written there counts as images";
    let draw = |words: &[&str]| tiny.run(&[words, &["--checkpoint", "run"]].concat()).code(0);
    draw(&["attention", "photos", "--images", "1", "--out", "photos/maps"]).says(warning);
    // Into a folder that is read nothing is written, which could replace an image.
    for command in ["attention", "parts"] {
        for (source, out) in
            [("photos", "photos"), ("photos", "photos/maps"), ("./photos", "photos")]
        {
            tiny.run(&[command, source, "--checkpoint", "run", "--out", out])
                .code(2)
                .says(&format!("`--out {out}` is a folder of images that are read"));
        }
    }
    #[cfg(unix)]
    {
        fs::create_dir(tiny.path("links")).unwrap();
        for name in ["03.png", "07.png"] {
            let link = tiny.path("links").join(name);
            std::os::unix::fs::symlink(tiny.path("photos").join(name), link).unwrap();
        }
        let before = fs::read(tiny.path("photos/03.png")).unwrap();
        for (flags, says) in [
            (["attention", "links", "--out", "photos/03.png"], "would replace a file of"),
            (["neighbors", "links", "--sheet", "photos/03.png"], "would replace a file of"),
            (["attention", "links", "--out", "photos"], "is a folder of images that are read"),
        ] {
            tiny.run(&[&flags[..], &["--checkpoint", "run"]].concat()).code(2).says(says);
        }
        assert_eq!(fs::read(tiny.path("photos/03.png")).unwrap(), before);
    }
    draw(&["attention", "photos/03.png", "--out", "photos"]).code(0);
    assert!(tiny.path("photos/000000-03.png").exists());
    draw(&["attention", "photos", "--images", "1", "--out", "./photos/a.png"]).says(warning);
    draw(&["neighbors", "photos", "--index", "1", "--sheet", "photos/near.png"]).says(warning);
    let beside = draw(&["neighbors", "photos", "--index", "1", "--sheet", "near.png"]);
    assert!(!beside.stderr.contains(warning), "{}", beside.stderr);
    tiny.run(&["data", "preview", "photos", "--out", "photos/crops.png"]).code(0).says(warning);
}

#[test]
fn copies_are_found_and_the_larger_image_is_kept() {
    let tiny = home();
    let all = ["--html", "d.html", "--sheet", "d.png", "--csv", "d.csv", "--drop", "drop.txt"];
    let duplicates = |more: &[&str]| {
        let words = ["duplicates", "photos", "--checkpoint", "run", "--json"];
        tiny.run(&[&words[..], more].concat()).code(0)
    };
    let ended = duplicates(&all).says("a fifth of the usual distance");
    let found = ended.last_event();
    assert_eq!(
        (&found["images"], &found["dropped"], &found["equal"]),
        (&26.into(), &2.into(), &1.into())
    );
    let groups = found["groups"].as_array().unwrap();
    let shown: Vec<(String, String)> =
        groups.iter().map(|group| (name(&group["kept"]), name(&group["dropped"][0]))).collect();
    let expected = [("03.png", "equal.bmp"), ("larger.jpg", "07.png")];
    assert_eq!(shown, expected.map(|(kept, dropped)| (kept.to_owned(), dropped.to_owned())));
    assert_eq!(groups[0]["dropped"][0]["equal"], true);
    assert_eq!(groups[1]["dropped"][0]["equal"], false);
    let drop = fs::read_to_string(tiny.path("drop.txt")).unwrap();
    assert_eq!(drop.lines().collect::<Vec<_>>(), ["photos/07.png", "photos/equal.bmp"]);
    assert_eq!(fs::read_to_string(tiny.path("d.csv")).unwrap().lines().count(), 3);
    let page = fs::read_to_string(tiny.path("d.html")).unwrap();
    for part in ["Just below the threshold", "<svg", "kept", "larger.jpg"] {
        assert!(page.contains(part), "no `{part}`");
    }
    assert!(image::open(tiny.path("d.png")).unwrap().height() > 200);
    let first = duplicates(&["--keep", "first"]).last_event();
    let kept: Vec<String> =
        first["groups"].as_array().unwrap().iter().map(|group| name(&group["kept"])).collect();
    assert_eq!(kept, ["03.png", "07.png"]);
    // what leaks from a test set
    fs::create_dir(tiny.path("test")).unwrap();
    photo(11).save(tiny.path("test/a.png")).unwrap();
    photo(99).save(tiny.path("test/b.png")).unwrap();
    let leaks = duplicates(&["--against", "test", "--threshold", "0.9999"]).last_event();
    assert_eq!((&leaks["dropped"], &leaks["equal"]), (&1.into(), &1.into()));
    // images that both have would be dropped for themselves
    let against = ["duplicates", "photos", "--checkpoint", "run", "--against"];
    tiny.run(&[&against[..], &["./photos"]].concat()).code(2).says("has all images of SOURCE");
    fs::write(tiny.path("some.txt"), "photos/01.png\ntest/b.png\n").unwrap();
    let shared = "SOURCE and `--against` share 1 image, such as `photos/01.png`";
    tiny.run(&[&against[..], &["some.txt"]].concat()).code(0).says(shared);
    let leak = &leaks["groups"][0];
    assert_eq!((name(&leak["kept"]), name(&leak["dropped"][0])), ("a.png".into(), "11.png".into()));
}

/// The list is read by programs that remove files.
#[cfg(unix)]
#[test]
fn the_list_to_drop_has_names_as_the_system_has_them() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tiny = home();
    let latin: &[u8] = b"photos/zur\xFCck.png";
    for name in [latin, b"photos/two\nlines.png"] {
        photo(5).save(tiny.path("copy.png")).unwrap();
        fs::rename(tiny.path("copy.png"), tiny.path("").join(OsStr::from_bytes(name))).unwrap();
    }
    let words = ["duplicates", "photos", "--checkpoint", "run", "--drop", "drop.txt"];
    let lacks = "lacks 1 name with a line break, such as `photos/two\\nlines.png`";
    tiny.run(&words).code(0).says(lacks);
    let drop = fs::read(tiny.path("drop.txt")).unwrap();
    let lines: Vec<&[u8]> = drop.split(|byte| *byte == b'\n').collect();
    assert!(lines.contains(&latin), "{}", String::from_utf8_lossy(&drop));
    assert!(!lines.contains(&&b"lines.png"[..]));
}

#[test]
fn outliers_are_sorted_and_compared_with_usual_images() {
    let tiny = home();
    let outliers = |more: &[&str]| {
        let words = ["outliers", "photos", "--checkpoint", "run", "--json"];
        tiny.run(&[&words[..], more].concat()).code(0).last_event()
    };
    let pictures = ["--html", "o.html", "--sheet", "o.png", "--csv", "o.csv"];
    let found = outliers(&[&["--train", "shapes:test"][..], &pictures].concat());
    assert_eq!((&found["event"], &found["score"]), (&"outliers".into(), &"likelihood".into()));
    let table = fs::read_to_string(tiny.path("o.csv")).unwrap();
    let scores: Vec<f64> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!(scores.len() == 26 && scores.is_sorted(), "{scores:?}");
    assert!(fs::read_to_string(tiny.path("o.html")).unwrap().contains("The least usual images"));
    assert!(image::open(tiny.path("o.png")).unwrap().width() > 400);
    // The scores are those of `features`.
    let features = ["features", "photos", "--checkpoint", "run", "--out", "l.npy"];
    tiny.run(&[&features[..], &["--features", "log_likelihood"]].concat()).code(0);
    let bytes = fs::read(tiny.path("l.npy")).unwrap();
    let words = bytes[bytes.len() - 4 * 26..].as_chunks::<4>().0;
    let mut expected: Vec<f64> =
        words.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect();
    expected.sort_by(f64::total_cmp);
    for (found, expected) in scores.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
    }
    for score in ["cosine", "knn"] {
        for more in [&["--k", "3"][..], &["--train", "shapes:test"]] {
            let found = outliers(&[&["--score", score][..], more].concat());
            let scores = found["outliers"].as_array().unwrap();
            assert!((scores.len(), &found["score"]) == (26, &score.into()), "{found}");
            assert!(scores.iter().all(|of| of["score"].as_f64().unwrap() <= 1.0001));
        }
    }
    // Where neighbors are sought, an image must not find itself; for a likelihood it does not matter.
    let with = |more: &[&str]| {
        let words = ["outliers", "photos", "--checkpoint", "run", "--train"];
        tiny.run(&[&words[..], more].concat())
    };
    with(&["photos", "--score", "knn"]).code(2).says("leave `--train` out to score each image");
    fs::write(tiny.path("usual.txt"), "photos/01.png\nphotos/02.png\n").unwrap();
    let shared = "2 of 26 images of `photos` are also in `--train`, such as `photos/01.png`";
    with(&["usual.txt", "--score", "knn"])
        .code(0)
        .says(shared)
        .says("`--k 10`: neighbors are sought among 2 images");
    assert!(!with(&["photos"]).code(0).stderr.contains("also in"));
}

#[test]
fn what_cannot_be_compared_is_refused_in_a_sentence() {
    let tiny = home();
    let refused = |words: &[&str], code: i32, text: &str| {
        tiny.run(words).code(code).says(text);
    };
    refused(&["neighbors", "photos"], 2, "--checkpoint <CHECKPOINT>");
    let neighbors = ["neighbors", "photos", "--checkpoint", "run"];
    let with = |more: &[&'static str]| [&neighbors[..], more].concat();
    refused(&with(&["--index", "26"]), 2, "`--index 26`: the source has images 0 to 25");
    refused(&with(&["--query", "photos"]), 2, "choose images of it by `--index`");
    refused(
        &with(&["--query", "photos/01.png", "nothing.png"]),
        2,
        "`nothing.png` in `--query` is no image file",
    );
    refused(&with(&["--features", "patches"]), 1, "`--features patches`: use `cls`");
    refused(&with(&["--sheet", "a.txt"]), 2, "end in .png");
    // Nor what is read.
    fs::write(tiny.path("list.csv"), "path\nphotos/01.png\nphotos/02.png\nphotos/02.png\n")
        .unwrap();
    for command in ["neighbors", "duplicates", "outliers"] {
        let words = [command, "list.csv", "--checkpoint", "run", "--csv", "./list.csv"];
        refused(&words, 2, "`--csv ./list.csv` would replace a file of list `list.csv`");
        let words = [command, "photos", "--checkpoint", "run", "--sheet", "photos/01.png"];
        refused(&words, 2, "`--sheet photos/01.png` would replace a file of folder `photos`");
    }
    for words in
        [&["attention", "photos", "--checkpoint", "run"][..], &["data", "preview", "photos"]]
    {
        let out = |path| [words, &["--out", path]].concat();
        refused(
            &out("photos/01.png"),
            2,
            "`--out photos/01.png` would replace a file of folder `photos`",
        );
        refused(&out("nowhere/a.png"), 1, "because there is no folder `nowhere`");
    }
    // A file that is kept is not to be dropped.
    let twice = ["duplicates", "list.csv", "--checkpoint", "run", "--drop", "twice.txt"];
    tiny.run(&[&twice[..], &["--threshold", "0.9999"]].concat())
        .code(0)
        .says("`twice.txt` lacks 1 image whose file is also kept, such as `photos/02.png`");
    assert_eq!(fs::read_to_string(tiny.path("twice.txt")).unwrap(), "");
    #[cfg(unix)]
    {
        fs::create_dir(tiny.path("linked")).unwrap();
        fs::copy(tiny.path("photos/01.png"), tiny.path("linked/z.png")).unwrap();
        std::os::unix::fs::symlink("z.png", tiny.path("linked/a.png")).unwrap();
        let linked = ["duplicates", "linked", "--checkpoint", "run", "--drop", "linked.txt"];
        tiny.run(&[&linked[..], &["--threshold", "0.9999"]].concat())
            .code(0)
            .says("`linked.txt` lacks 1 image whose file is also kept, such as `linked/z.png`");
    }
    // A file of another kind is not replaced, such as an image of the source.
    for flag in ["--html", "--csv"] {
        refused(
            &with(&[flag, "photos/01.png"]),
            2,
            &format!("`{flag} photos/01.png` must end in ."),
        );
    }
    for (flag, advice) in [("--html", "/dev/stdout"), ("--csv", "/dev/stdout"), ("--sheet", ".png")]
    {
        refused(&with(&[flag, "-"]), 2, advice);
    }
    assert!(!tiny.path("-").exists());
    let drop = ["duplicates", "photos", "--checkpoint", "run", "--drop", "photos/01.png"];
    refused(&drop, 2, "`--drop photos/01.png` must end in .txt");
    assert!(image::open(tiny.path("photos/01.png")).is_ok());
    refused(
        &["duplicates", "photos", "--checkpoint", "run", "--threshold", "2"],
        2,
        "from -1 to 1",
    );
    tiny.run(&["features", "photos", "--checkpoint", "run", "--out", "f.npy"]).code(0);
    let other = ["neighbors", "shapes:test", "--from", "f.npy"];
    refused(
        &other,
        1,
        "row 0 of `f.npy` is of `photos/00.png`, which shapes:test does not have there",
    );
    let query = ["neighbors", "photos", "--from", "f.npy", "--query", "photos/01.png"];
    refused(&query, 1, "give the `--checkpoint` that it was made with");
    fs::write(tiny.path("g.npy"), "nothing").unwrap();
    refused(
        &["neighbors", "photos", "--from", "g.npy"],
        1,
        "`g.npy` cannot be used as features: it is cut off",
    );
    fs::write(tiny.path("g.parquet"), "nothing").unwrap();
    refused(
        &["duplicates", "photos", "--from", "g.parquet"],
        1,
        "`g.parquet` cannot be used as features",
    );
}
