//! `eval linear`, `logistic` and `fewshot` as a person runs them, on a folder of images.

use std::fs;

use crate::fixtures::Tiny;
use serde_json::Value;

/// A run, and a folder of three classes that differ in color; the last class has two images for training.
fn run_and_images() -> Tiny {
    let tiny = Tiny::new();
    for (part, count) in [("train", 8u8), ("test", 4)] {
        for (class, color) in
            [("blue", [20, 20, 200]), ("green", [20, 200, 20]), ("red", [200, 20, 20])]
        {
            let folder = tiny.path(&format!("photos/{part}/{class}"));
            fs::create_dir_all(&folder).expect("a folder");
            let count = if class == "red" && part == "train" { 2 } else { count };
            for i in 0..count {
                let color =
                    color.map(|value: u8| value.wrapping_add(i * 5 + u8::from(part == "test")));
                let image = image::RgbImage::from_pixel(32, 32, image::Rgb(color));
                image.save(folder.join(format!("{i}.png"))).expect("an image");
            }
        }
    }
    tiny.pretrain(&["--data", "photos:train", "--steps", "1", "--out", "run"]).code(0);
    tiny
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_else(|| panic!("{key} in {event}"))
}

#[test]
fn classifiers_learn_colors_and_say_how_they_were_measured() {
    let tiny = run_and_images();
    let eval = |task: &str, more: &[&str]| {
        tiny.run(&[&["eval", task, "run", "--data", "photos"], more].concat()).code(0)
    };
    let linear = eval("linear", &["--epochs", "30", "--json"]);
    let event = linear.last_event();
    assert_eq!(event["rates"].as_array().unwrap().len(), 45);
    assert!(
        number(&event, "top1") > 60.0 && number(&event, "last") <= number(&event, "top1"),
        "{event}"
    );
    let linear = eval("linear", &["--epochs", "2", "--rates", "0.1,1", "--features", "cls+mean"]);
    let linear =
        linear.says("without the official random crops").says("[CLS] and mean of the patches");
    assert_eq!(linear.stdout.lines().count(), 4, "{}", linear.stdout);
    let logistic = eval("logistic", &["--json"]).last_event();
    assert!(number(&logistic, "top1") > 60.0 && logistic["converged"] == true, "{logistic}");
    assert_eq!(logistic["validation"].as_array().unwrap().len(), 45);
    let one = eval("logistic", &["--strength", "0.01", "--json"]).last_event();
    assert!(one["validation"].as_array().unwrap().is_empty() && one["strength"] == 0.01, "{one}");
    let few = eval("fewshot", &["--shots", "1,100%", "--json"]);
    let events: Vec<Value> =
        few.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!([&events[0]["images"], &events[1]["images"]], [&Value::from(3), &Value::from(18)]);
    assert_eq!(events[0]["draws"].as_array().unwrap().len(), 3);
}

#[test]
fn threads_never_change_a_score() {
    let tiny = run_and_images();
    for task in [&["linear", "--epochs", "3"][..], &["logistic"], &["fewshot", "--shots", "1,3"]] {
        let with = |threads: &str| {
            let eval =
                [&["eval"], task, &["run", "--data", "photos", "--json", "--threads", threads]];
            tiny.run(&eval.concat()).code(0).stdout
        };
        assert_eq!(with("1"), with("2"), "{task:?}");
    }
}

/// Crops depend on seed, epoch and image, and on nothing else.
#[test]
fn random_crops_change_with_the_seed_and_never_with_threads() {
    let tiny = run_and_images();
    // Without a pattern, all crops of an image are the same.
    for class in ["blue", "green", "red"] {
        for file in fs::read_dir(tiny.path(&format!("photos/train/{class}"))).expect("a folder") {
            let path = file.expect("a file").path();
            let mut image = image::open(&path).expect("an image").into_rgb8();
            for (x, y, pixel) in image.enumerate_pixels_mut() {
                pixel[0] = pixel[0].wrapping_add((x * y / 4) as u8);
            }
            image.save(path).expect("an image");
        }
    }
    let data = ["eval", "linear", "run", "--data", "photos", "--epochs", "3", "--rates", "0.1,3"];
    let with = |more: &[&str]| tiny.run(&[&data[..], &["--json"], more].concat()).code(0);
    let fixed = with(&[]).says("with `--augment`, as the official probes, 3 passes");
    let random = with(&["--augment", "--threads", "1"]).says("random crops: about");
    assert_eq!(random.last_event()["augment"], true);
    assert_eq!(random.stdout, with(&["--augment", "--threads", "2"]).stdout);
    // Weights of the classifiers, in a file for each.
    let kept = |more: &[&str], out: &str| {
        with(&[&["--augment", "--out", out], more].concat());
        fs::read(tiny.path(out).join("linear.safetensors")).expect("a state")
    };
    let (one, two) = (kept(&["--threads", "1"], "one"), kept(&["--threads", "2"], "two"));
    assert!(one == two, "the states differ");
    let other = kept(&["--seed", "1"], "other");
    assert!(one[one.len() - 400..] != other[other.len() - 400..]);
    // The same command has nothing left to do, and another one does not take the state.
    assert_eq!(with(&["--augment", "--out", "one"]).stdout, random.stdout);
    let words = [&data[..], &["--augment", "--out", "one", "--seed", "1"]].concat();
    tiny.run(&words).code(1).says("is of another evaluation");
    let words = [&data[..], &["--out", "one"]].concat();
    tiny.run(&words).code(2).says("--augment");
    assert!(fixed.last_event()["augment"] == false);
}

#[test]
fn images_of_one_source_are_classified_by_each_other() {
    let tiny = run_and_images();
    let knn = ["eval", "knn", "run", "--k", "1,3", "--json", "--leave-one-out"];
    let with = |source: &str| tiny.run(&[&knn[..], &[source]].concat());
    let found = with("photos:test").code(0).says("each of 12 images of").last_event();
    assert_eq!((&found["k"], &found["leave_one_out"]), (&3.into(), &true.into()), "{found}");
    assert!(number(&found, "top1") > 60.0, "{found}");
    fs::remove_file(tiny.path("photos/train/red/1.png")).unwrap();
    with("photos:train").code(0).says("1 class with a single image in folder `photos/train`");
    tiny.run(&[&knn[..], &["photos:test", "--data", "photos"]].concat()).code(2);
    with("run").code(1);
    for limit in ["--max-train", "--max-test"] {
        with("photos:test").code(0);
        tiny.run(&[&knn[..], &["photos:test", limit, "3"]].concat()).code(2).says(limit);
    }
    // A list that names an image twice, by another path.
    fs::write(
        tiny.path("twice.csv"),
        "photos/test/red/0.png,red\nphotos/test/red/../red/0.png,red\nphotos/test/blue/0.png,blue\n",
    )
    .unwrap();
    with("twice.csv").code(0).says("1 of 3 images of list `twice.csv` are named again, such as");
    // With the two flags instead, each image would find itself.
    let both = ["eval", "knn", "run", "--train", "photos:test", "--test", "photos:test"];
    tiny.run(&both).code(0).says("12 of 12 images to classify are also images to learn from");
    // Other paths of the same files, and of the same archive.
    let mut tar = tar::Builder::new(fs::File::create(tiny.path("test.tar")).unwrap());
    tar.append_dir_all(".", tiny.path("photos/test")).unwrap();
    tar.finish().unwrap();
    let real = tiny.path("test.tar").display().to_string();
    for (train, test) in [("photos:test", "photos/../photos/test"), ("test.tar", real.as_str())] {
        let sets = ["eval", "knn", "run", "--train", train, "--test", test];
        tiny.run(&sets).code(0).says("12 of 12 images to classify are also images to learn from");
    }
    // A class that only the test images have, in a list whose parts share their classes.
    let mut text = "path,label,split\n".to_owned();
    for line in ["blue/1.png,a,train", "green/1.png,a,train", "red/0.png,b,val"] {
        text += &format!("photos/train/{line}\n");
    }
    fs::write(tiny.path("list.csv"), text).unwrap();
    let list = ["eval", "knn", "run", "--data", "list.csv", "--k", "1"];
    tiny.run(&list).code(0).says("class `b` has images to classify and none to learn from");
    let parts = tiny.run(&["eval", "knn", "run", "--data", "photos"]).code(0);
    assert!(!parts.stderr.contains("also images"), "{}", parts.stderr);
}

/// What limits evaluations during training does not limit the commands: nothing is computed on a part in silence.
#[test]
fn all_images_are_used_unless_flags_limit_them() {
    let tiny = run_and_images();
    let limits = ["--set", "eval.max_train=6", "--set", "eval.max_test=3"];
    let parts = ["--set", "eval.train='photos:train'", "--set", "eval.test='photos:test'"];
    let run = ["--data", "photos:train", "--steps", "1", "--out", "limited"];
    tiny.pretrain(&[&run[..], &parts, &limits].concat()).code(0);
    for task in
        [&["knn", "--k", "1"][..], &["linear", "--epochs", "1"], &["logistic", "--strength", "1"]]
    {
        let counts = |more: &[&str]| {
            let ended = tiny.run(&[&["eval"], task, &["limited", "--json"], more].concat()).code(0);
            let found = ended.last_event();
            ["train_images", "test_images"].map(|key| found[key].as_u64().unwrap())
        };
        assert_eq!(counts(&[]), [18, 12], "{task:?}");
        assert_eq!(counts(&["--max-train", "10", "--max-test", "5"]), [10, 5], "{task:?}");
    }
    let table = tiny.run(&["eval", "knn", "limited", "--k", "1"]).code(0).stdout;
    assert!(table.contains("percent of 12 test images; 18 training images"), "{table}");
    tiny.run(&["eval", "knn", "limited", "--max-test", "0"])
        .code(2)
        .says("expected a number of images from 1 on");
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let tiny = run_and_images();
    let eval = |more: &[&str]| tiny.run(&[&["eval"], more].concat());
    let photos = ["--data", "photos"];
    let linear = |more: &[&str]| eval(&[&["linear", "run"], &photos[..], more].concat());
    linear(&["--rates", "0.1,-1"]).code(2).says("`--rates` has -1: give numbers above 0");
    linear(&["--epochs", "0"]).code(2).says("0 is not in 1..=100000");
    let fewshot = |shots| eval(&[&["fewshot", "run"], &photos[..], &["--shots", shots]].concat());
    fewshot("0")
        .code(2)
        .says("`0` is neither a number of images from 1 on nor a share such as `1%`");
    fewshot("200%").code(2).says("`200%` is neither a number");
    eval(&["logistic", "run", "--data", "photos", "--strength", "-1"])
        .code(2)
        .says("`--strength` is -1: give a number of 0 or more");
    eval(&["fewshot", "run", "--data", "photos", "--shots", "5"])
        .code(0)
        .says("1 class with fewer than 5 training images:");
    eval(&["fewshot", "run", "--data", "photos", "--shots", "5", "--max-train", "9"])
        .code(0)
        .says("with fewer than 5 training images among those of `--max-train`:");
    fs::remove_file(tiny.path("photos/train/red/1.png")).unwrap();
    eval(&["logistic", "run", "--data", "photos"])
        .code(1)
        .says("class `red` has 1 of the 2 training images that are needed");
    eval(&["logistic", "run", "--data", "photos", "--strength", "1"]).code(0);
    fs::remove_dir_all(tiny.path("photos/test/red")).unwrap();
    eval(&["logistic", "run", "--data", "photos"]).code(1).says("classes");
    eval(&["linear", "run", "--train", "photos:train", "--test", "run"]).code(1);
}
