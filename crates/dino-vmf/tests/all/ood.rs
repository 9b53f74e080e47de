//! `eval ood` as a person runs it.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use crate::fixtures::{Ended, Tiny};

/// A run, and three sets: flat blue images to learn from, the same shades as known ones, and stripes.
fn run_and_sets() -> Tiny {
    let tiny = Tiny::new();
    let save = |set: &str, i: u8, pixel: &dyn Fn(u32, u32) -> [u8; 3]| {
        fs::create_dir_all(tiny.path(set)).expect("a folder");
        let image = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb(pixel(x, y)));
        image.save(tiny.path(set).join(format!("{i:02}.png"))).expect("an image");
    };
    for i in 0..12u8 {
        save("usual", i, &|_, _| [20, 20, 140 + 4 * i]);
        save("known", i, &|_, _| [20, 20, 142 + 4 * i]);
        save("stripes", i, &|x, _| {
            if (x + u32::from(i)) % 4 < 2 { [250, 200, 9] } else { [9, 0, 5] }
        });
    }
    tiny.pretrain(&["--data", "usual", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Scores by role, set and measure, in the order of the file.
fn table(tiny: &Tiny, file: &str) -> HashMap<(String, String), Vec<f64>> {
    let mut rows = csv_rows(&fs::read_to_string(tiny.path(file)).expect("a table"));
    let head = rows.remove(0);
    assert_eq!(head, ["role", "set", "image", "score", "value"]);
    let mut scores: HashMap<_, Vec<f64>> = HashMap::new();
    for row in rows {
        let value = row[4].parse().expect("a number");
        scores.entry((row[0].clone(), row[3].clone())).or_default().push(value);
    }
    scores
}

fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split(',').map(|cell| cell.trim_matches('"').to_owned()).collect();
    text.lines().map(cells).collect()
}

/// The share of pairs in which the unknown image scores lower; equal scores count half.
fn auroc(known: &[f64], unknown: &[f64]) -> f64 {
    let pairs = known.iter().flat_map(|k| unknown.iter().map(move |u| (k, u)));
    let won = pairs.map(|(k, u)| if u < k { 1.0 } else { f64::from(u8::from(u == k)) / 2.0 });
    won.sum::<f64>() / (known.len() * unknown.len()) as f64
}

#[test]
fn stripes_are_far_from_flat_images_and_the_table_gives_the_numbers() {
    let tiny = run_and_sets();
    let sets = ["--known", "known", "--unknown", "stripes", "--train", "usual", "--k", "3,1"];
    let eval = [&["eval", "ood", "run"], &sets[..]].concat();
    let ended = tiny.run(&[&eval[..], &["--json", "--csv", "scores.csv"]].concat()).code(0);
    let events = events(&ended);
    let named = |event: &Value| (event["score"].as_str().unwrap().to_owned(), event["k"].as_u64());
    let names: Vec<_> = events.iter().map(named).collect();
    let name = |name: &str, k| (name.to_owned(), k);
    let all = [
        name("likelihood", None),
        name("cosine", None),
        name("knn", Some(1)),
        name("knn", Some(3)),
    ];
    assert_eq!(names, all);
    let scores = table(&tiny, "scores.csv");
    for (event, column) in events.iter().zip(["likelihood", "cosine", "knn-1", "knn-3"]) {
        let [known, unknown] =
            ["known", "unknown"].map(|role| &scores[&(role.to_owned(), column.to_owned())]);
        let expected = 100.0 * auroc(known, unknown);
        let found = event["auroc"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{column}: {found}, {expected} expected");
        assert_eq!((&event["known_images"], &event["unknown_images"]), (&12.into(), &12.into()));
    }
    assert_eq!((&events[2]["auroc"], &events[2]["fpr95"]), (&100.0.into(), &0.0.into()));
    let text = tiny.run(&eval).code(0).says("protocol: teacher");
    assert!(text.stdout.contains("k-NN cosine, k = 3   100.00     0.00"), "{}", text.stdout);
}

#[test]
fn likelihoods_are_those_of_outliers_and_threads_change_nothing() {
    let tiny = run_and_sets();
    let with = |threads: &str| {
        let sets = ["--known", "known", "--unknown", "stripes", "--train", "usual", "--k", "2"];
        let more = ["--csv", "scores.csv", "--json", "--threads", threads];
        tiny.run(&[&["eval", "ood", "run"], &sets[..], &more].concat()).code(0).stdout
    };
    assert_eq!(with("1"), with("2"));
    tiny.run(&["outliers", "known", "--checkpoint", "run", "--csv", "outliers.csv"]).code(0);
    let rows = csv_rows(&fs::read_to_string(tiny.path("outliers.csv")).unwrap());
    let column = rows[0].iter().position(|title| title == "score").expect("a column of scores");
    let mut expected: Vec<f64> = rows[1..].iter().map(|row| row[column].parse().unwrap()).collect();
    let key = ("known".to_owned(), "likelihood".to_owned());
    let mut found = table(&tiny, "scores.csv").remove(&key).unwrap();
    for scores in [&mut expected, &mut found] {
        scores.sort_by(f64::total_cmp);
    }
    assert_eq!(found.len(), 12);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4, "{found}, {expected} expected");
    }
}

#[test]
fn a_page_shows_scores_and_the_images_that_are_mistaken() {
    let tiny = run_and_sets();
    let sets = ["--known", "known", "--unknown", "stripes", "--train", "usual", "--k", "1"];
    let files = ["--csv", "scores.csv", "--html", "ood.html", "--sheet", "ood.png"];
    tiny.run(&[&["eval", "ood", "run"], &sets[..], &files].concat()).code(0).says("page: ood.html");
    let page = fs::read_to_string(tiny.path("ood.html")).unwrap();
    // Measures beside each other; k-NN tells all of them apart.
    assert_eq!(page.matches("AUROC 100 %, FPR95 0 %").count(), 1, "{page}");
    assert_eq!(page.matches("aria-label='shares of scores'").count(), 3);
    let known = page.find("Known images that look unknown, beside folder stripes").expect("known");
    let unknown = page.find("Unknown images that look known: folder stripes").expect("unknown");
    let in_section = |from: usize, to: usize| page[from..to].matches("<figcaption>").count();
    assert_eq!((in_section(known, unknown), in_section(unknown, page.len())), (12, 12));
    // The known image with the lowest score comes first, the unknown one with the highest.
    let scores = table(&tiny, "scores.csv");
    for (role, from, highest) in [("known", known, false), ("unknown", unknown, true)] {
        let scores = &scores[&(role.to_owned(), "knn-1".to_owned())];
        let sign = if highest { -1.0 } else { 1.0 };
        let first = (0..12).min_by(|a, b| (sign * scores[*a]).total_cmp(&(sign * scores[*b])));
        let name = page[from..].split("title='").nth(1).and_then(|text| text.split('\'').next());
        assert!(name.is_some_and(|name| name.ends_with(&format!("{:02}.png", first.unwrap()))));
    }
    assert!(tiny.path("ood.png").exists());
}

#[test]
fn sets_that_cannot_be_compared_are_an_error() {
    let tiny = run_and_sets();
    let eval = |more: &[&str]| tiny.run(&[&["eval", "ood", "run"], more].concat());
    eval(&["--known", "known"]).code(2).says("--unknown");
    eval(&["--known", "known", "--unknown", "known"]).code(2).says("are also in `--known known`");
    eval(&["--known", "known", "--unknown", "nowhere"]).code(1).says("nowhere");
    let sets = ["--known", "known", "--unknown", "stripes"];
    eval(&[&sets[..], &["--train", "known"]].concat()).code(2).says("its own nearest neighbor");
    eval(&[&sets[..], &["--train", "usual", "--k", "13"]].concat())
        .code(2)
        .says("`--k 13`: `--train` has 12 images");
    // A list of stripes and of one known image.
    let mixed: String = (0..12).map(|i| format!("stripes/{i:02}.png\n")).collect();
    fs::write(tiny.path("mixed.txt"), mixed + "known/03.png\n").unwrap();
    let mixed = ["--known", "known", "--unknown", "mixed.txt"];
    eval(&mixed).code(0).says(
        "1 of 13 images of `--unknown mixed.txt` are also known, such as `known/03.png`, so nothing tells them apart",
    );
    eval(&[&sets[..], &["--train", "mixed.txt", "--k", "1"]].concat())
        .code(2)
        .says("all images of `stripes` are also in `--train`")
        .says("1 of 12 images of `known` are also in `--train`, such as `known/03.png`");
    fs::write(
        tiny.path("all.txt"),
        (0..12).map(|i| format!("known/{i:02}.png\n")).collect::<String>(),
    )
    .unwrap();
    eval(&["--known", "known", "--unknown", "all.txt"]).code(2).says("are also in `--known known`");
    eval(&[&sets[..], &["--k", "0"]].concat()).code(2).says("0 is not in 1..=100000");
    eval(&sets).code(0).says("without `--train`, the score of the nearest neighbors is left out");
}
