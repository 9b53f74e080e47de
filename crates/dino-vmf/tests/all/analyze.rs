//! `analyze mixture`, `analyze features` and `features` on a run of three steps.

use std::fs;

use crate::fixtures::{Ended, Tiny};
use image::{ImageFormat, RgbImage};

/// Trains a small run in a new folder.
fn trained(more: &[&str]) -> Tiny {
    let tiny = Tiny::new();
    let steps = ["--steps", "3", "--quiet", "--out", "run"];
    tiny.pretrain(&[&steps[..], more].concat()).code(0);
    tiny
}

fn analyze(tiny: &Tiny, what: &str, more: &[&str]) -> Ended {
    let subject = ["analyze", what, "--checkpoint", "run", "--data", "shapes:test"];
    tiny.run(&[&subject[..], &["--max-images", "120"], more].concat())
}

#[test]
fn a_mixture_is_reported_as_tables_json_and_a_page() {
    let tiny = trained(&["--method", "dino-vmf"]);
    let table = analyze(&tiny, "mixture", &[]).code(0).stdout;
    let words =
        ["teacher of `run`, step 3, 120 images", "with the center", "unique at cosine 0.975"];
    assert!(words.iter().all(|word| table.contains(word)), "{table}");
    assert!(table.contains("labels: 10 classes, NMI 0."), "{table}");
    let ended = analyze(&tiny, "mixture", &["--json", "--html", "page.html"]).code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let found = ended.last_event();
    assert_eq!((&found["event"], &found["images"]), (&"mixture".into(), &120.into()));
    let components = found["components"].as_array().unwrap();
    assert_eq!(found["in_use"], components.len());
    let images: u64 = components.iter().map(|of| of["images"].as_u64().unwrap()).sum();
    assert_eq!(images, 120);
    let shares = found["mass"]["shares"].as_array().unwrap();
    let total: f64 = shares.iter().map(|share| share.as_f64().unwrap()).sum();
    assert!(shares.len() == 32 && (total - 1.0).abs() < 1e-6, "{total}");
    assert_eq!(components[0]["nearest"].as_array().unwrap().len(), 8);
    let page = fs::read_to_string(tiny.path("page.html")).unwrap();
    for part in ["<svg", "data:image/jpeg;base64,", "id='p", "A mixture of 32 components"] {
        assert!(page.contains(part), "no `{part}`");
    }
    assert!(!page.contains("http"), "the page loads nothing from elsewhere");
}

#[test]
fn flags_choose_network_temperature_center_and_voters() {
    let tiny = trained(&["--method", "dino-vmf"]);
    let json = |more: &[&str]| {
        analyze(&tiny, "mixture", &[more, &["--json"]].concat()).code(0).last_event()
    };
    let found = json(&[]);
    assert_eq!((&found["network"], &found["centered"]), (&"teacher".into(), &true.into()));
    assert_eq!((&found["temperature"], &found["voters"]), (&0.03.into(), &"leave one out".into()));
    let own = analyze(&tiny, "mixture", &["--train", "shapes:test"]).code(0);
    own.says("120 images of `shapes:test` are also in `--train`, such as `shapes:test, image");
    let sharp = json(&["--temperature", "0.01", "--no-center"]);
    assert_eq!((&sharp["temperature"], &sharp["centered"]), (&0.01.into(), &false.into()));
    let entropy = |found: &serde_json::Value| found["entropy"]["conditional"].as_f64().unwrap();
    assert!(entropy(&sharp) < entropy(&found));
    let student = json(&["--network", "student", "--train", "shapes:train"]);
    assert_eq!((&student["temperature"], &student["centered"]), (&0.1.into(), &false.into()));
    assert_eq!(student["voters"], "shapes:train");
    let refused = analyze(&tiny, "mixture", &["--temperature", "-1"]).code(2);
    refused.says("must be a number above 0");
}

#[test]
fn fixed_norms_give_no_order_by_kappa() {
    let tiny = trained(&["--method", "dino"]);
    let table = analyze(&tiny, "mixture", &["--html", "page.html"]).code(0).stdout;
    assert!(table.contains("kappa is the same for all prototypes"), "{table}");
    assert!(
        fs::read_to_string(tiny.path("page.html"))
            .unwrap()
            .contains("norms of the prototypes are fixed")
    );
}

/// The view of `shapes` is 32 pixels wide, which is 4 x 4 patches of 8.
#[test]
fn patches_have_a_mixture_of_their_own() {
    let tiny = trained(&["--method", "ibot-vmf", "--set", "model.patch_prototypes=24"]);
    let patches =
        |more: &[&str]| analyze(&tiny, "mixture", &[&["--patches"], more].concat()).code(0);
    let table = patches(&[]).stdout;
    for word in ["120 images", "1920 patches, 4 x 4 of each image", "labels: 10 classes"] {
        assert!(table.contains(word), "no `{word}` in {table}");
    }
    assert!(!table.contains("k-NN"), "{table}");
    let found = patches(&["--json", "--html", "page.html"]).last_event();
    assert_eq!((&found["assigned"], &found["patch_grid"]), (&"patches".into(), &4.into()));
    assert_eq!((&found["images"], &found["prototypes"]), (&1920.into(), &24.into()));
    assert_eq!((&found["temperature"], &found["ease"]), (&0.07.into(), &serde_json::Value::Null));
    let components = found["components"].as_array().unwrap();
    let assigned: u64 = components.iter().map(|of| of["images"].as_u64().unwrap()).sum();
    assert_eq!(assigned, 1920);
    let list = |name: &str| components[0][name].as_array().unwrap().clone();
    assert_eq!((list("nearest").len(), list("nearest_patches").len()), (8, 8));
    assert!(list("nearest_patches").iter().all(|patch| patch.as_u64().unwrap() < 16));
    let page = fs::read_to_string(tiny.path("page.html")).unwrap();
    let frames = page.matches("<b style='top:").count();
    assert_eq!(frames, 8 * page.matches("<details id='p").count());
    for word in ["patch in row ", "<th>patches</th>", "entropy of a patch&#39;s assignment"] {
        assert!(page.contains(word), "no `{word}`");
    }
    let of_images = analyze(&tiny, "mixture", &["--json"]).code(0).last_event();
    assert_eq!((&of_images["assigned"], &of_images["prototypes"]), (&"images".into(), &32.into()));
    assert!(of_images["components"][0]["nearest_patches"].is_null());
    let student = patches(&["--network", "student", "--json"]).last_event();
    assert_eq!((&student["temperature"], &student["centered"]), (&0.1.into(), &false.into()));
}

#[test]
fn runs_without_a_patch_loss_have_no_mixture_of_patches() {
    let tiny = trained(&["--method", "dino-vmf"]);
    let message = "error: `run` has no mixture of patches, because its method masks none\n";
    analyze(&tiny, "mixture", &["--patches"]).code(1).says(message).says("hint: leave out");
    let voters = ["--patches", "--train", "shapes"];
    analyze(&tiny, "mixture", &voters).code(2).says("cannot be used with");
    let tiny = trained(&["--method", "ibot", "--set", "objective.lambda_patch=0"]);
    analyze(&tiny, "mixture", &["--patches"]).code(1).says("`objective.lambda_patch` is 0");
}

#[test]
fn one_image_without_a_label_is_enough() {
    let tiny = trained(&["--method", "ibot-vmf", "--set", "model.prototypes=1"]);
    fs::create_dir(tiny.path("one")).unwrap();
    let image = RgbImage::from_fn(40, 50, |x, y| image::Rgb([x as u8, y as u8, 90]));
    image.save_with_format(tiny.path("one/a.png"), ImageFormat::Png).unwrap();
    let of_one = |what: &str, more: &[&str]| {
        let subject =
            ["analyze", what, "--checkpoint", "run", "--data", "one", "--html", "one.html"];
        tiny.run(&[&subject[..], more].concat())
    };
    let found = of_one("mixture", &["--json"]).code(0).last_event();
    assert_eq!((&found["in_use"], &found["labels"]), (&1.into(), &serde_json::Value::Null));
    let found = of_one("features", &["--json"]).code(0).last_event();
    assert_eq!(found["backbone"]["trained"]["uniformity"], serde_json::Value::Null);
    of_one("mixture", &["--train", "shapes"]).code(1).says("`one` has no labels");
    fs::remove_file(tiny.path("one/a.png")).unwrap();
    of_one("mixture", &[]).code(1).says("error: ");
}

#[test]
fn features_are_compared_with_the_untrained_network() {
    let tiny = trained(&[]);
    let table = analyze(&tiny, "features", &[]).code(0).stdout;
    for word in ["untrained", "RankMe", "uniformity", "alignment", "participation ratio"] {
        assert!(table.contains(word), "no `{word}` in {table}");
    }
    let ended = analyze(&tiny, "features", &["--json", "--html", "page.html"]).code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let found = ended.last_event();
    assert_eq!(found["event"], "features");
    for (kind, dimensions) in [("backbone", 16), ("bottleneck", 8)] {
        for network in ["trained", "untrained"] {
            let of = &found[kind][network];
            assert_eq!(of["dimensions"], dimensions);
            let rank = of["rankme"].as_f64().unwrap();
            assert!((1.0..=f64::from(dimensions) + 0.01).contains(&rank), "{rank}");
            assert!(
                of["alignment"].as_f64().unwrap() >= 0.0
                    && of["uniformity"].as_f64().unwrap() <= 0.0
            );
        }
    }
    assert!(fs::read_to_string(tiny.path("page.html")).unwrap().contains("<polyline"));
}

#[test]
fn results_do_not_depend_on_threads() {
    let tiny = trained(&["--method", "ibot-vmf"]);
    for (what, more) in [("mixture", "--quiet"), ("mixture", "--patches"), ("features", "--quiet")]
    {
        let json =
            |threads| analyze(&tiny, what, &["--json", more, "--threads", threads]).code(0).stdout;
        assert!(json("1") == json("3"), "{what} {more}");
    }
}

#[test]
fn bad_input_is_reported_in_one_sentence() {
    let tiny = Tiny::new();
    let subject = ["analyze", "mixture", "--data", "shapes:test", "--checkpoint", "nowhere"];
    tiny.run(&subject).code(1).says("error: there is no `nowhere`: expected a run folder");
    let tiny = trained(&[]);
    let nowhere = ["analyze", "features", "--checkpoint", "run", "--data", "nowhere"];
    tiny.run(&nowhere).code(1).says("error: no data set `nowhere`");
    for what in ["mixture", "features"] {
        let message = "error: cannot write `no/page.html`, because there is no folder `no`\n";
        let ended = analyze(&tiny, what, &["--html", "no/page.html"]).code(1).says(message);
        assert_eq!(ended.stdout, "", "nothing is computed before");
        analyze(&tiny, what, &["--html", "run"]).code(1).says("error: cannot write `run`");
    }
    let config = tiny.path("run/config.toml");
    let other = fs::read_to_string(&config).unwrap().replace("prototypes = 32", "prototypes = 33");
    fs::write(&config, other).unwrap();
    analyze(&tiny, "mixture", &[])
        .code(1)
        .says("`model.prototypes` is 32 in the checkpoint and 33 in `config.toml`");
}

#[test]
fn images_left_out_are_reported() {
    let tiny = trained(&[]);
    fs::create_dir(tiny.path("photos")).unwrap();
    for name in [".hidden", "0", "1", "2", "3"] {
        let image = image::RgbImage::from_pixel(40, 40, image::Rgb([90, name.len() as u8, 7]));
        image.save(tiny.path(&format!("photos/{name}.png"))).unwrap();
    }
    let features = ["analyze", "features", "--checkpoint", "run", "--data", "photos"];
    tiny.run(&features).code(0).says("left out of folder `photos`: 1 images with hidden names");
}

#[test]
fn features_are_written_to_every_format_and_continue_after_a_kill() {
    let tiny = trained(&[]);
    let features = |out: &str, more: &[&str]| {
        let command = ["features", "--checkpoint", "run", "shapes:test", "--out", out];
        tiny.run(&[&command[..], more].concat())
    };
    let text = features("f.npy", &[]).code(0).stdout;
    assert!(
        text.contains("2000 rows of cls [16] in `f.npy`, names and labels in `f.csv`"),
        "{text}"
    );
    let bytes = fs::read(tiny.path("f.npy")).unwrap();
    assert_eq!((&bytes[1..6], bytes.len() % 64), (&b"NUMPY"[..], 0));
    let names = fs::read_to_string(tiny.path("f.csv")).unwrap();
    assert_eq!(names.lines().count(), 2001);

    let all = "cls,mean,patches,last-2,head,head-patches,mixture";
    let found = features("f.parquet", &["--features", all, "--json"]).code(0).last_event();
    assert_eq!((&found["images"], &found["left_out"]), (&2000.into(), &0.into()));
    assert_eq!(found["columns"]["last-2"], serde_json::json!([32]));
    assert_eq!(found["columns"]["log_likelihood"], serde_json::json!([]));
    features("f.safetensors", &["--network", "student", "--features", "head"]).code(0);

    features("f.npy", &[]).code(1).says("`f.npy` exists already");
    fs::write(tiny.path("mine.csv"), "path,label\n").unwrap();
    features("mine.npy", &[]).code(1).says("`mine.csv` exists already, is not of these images");
    features("f.txt", &[]).code(2).says("must end in .npy, .safetensors or .parquet");
    features("g.npy", &["--features", "cls,mean"]).code(2).says("holds one kind of features");
    features("g.npy", &["--features", "token"]).code(2).says("use `cls`, `mean`, `patches`");
    features("g.npy", &["--features", "entropy,mixture"]).code(2).says("`entropy` stands twice");
    let text = features("component.npy", &["--features", "component"]).code(0).stdout;
    assert!(text.contains("2000 rows of component [] in"), "{text}");
    features("g.npy", &["--features", "last-9"]).code(2).says("the network has 2 blocks");
}
