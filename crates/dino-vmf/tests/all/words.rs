//! Flags and words that people expect, and what the program says to those that it does not have.

use std::fs;

use crate::fixtures::{Tiny, photos};

#[test]
fn everyday_flags_set_their_keys() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 4);
    let flags = ["--batch-size", "4", "--lr", "0.002", "--prototypes", "24", "--patch-size", "16"];
    let spelled =
        ["--method", "DINO_vMF", "--precision", "fp32", "--steps", "1", "--name", "first"];
    let ended = tiny.pretrain(&[&["photos/train"][..], &flags, &spelled].concat()).code(0);
    assert!(ended.stdout.contains("run folder: runs/first"), "{}", ended.stdout);
    let config = fs::read_to_string(tiny.path("runs/first/config.toml")).unwrap();
    for line in [
        "source = \"photos/train\"",
        "batch_size = 4",
        "lr = 0.002",
        "prototypes = 24",
        "patch_size = 16",
        "method = \"dino-vmf\"",
        "precision = \"f32\"",
    ] {
        assert!(config.lines().any(|found| found == line), "no `{line}` in {config}");
    }
    tiny.pretrain(&["photos", "--data", "photos"]).code(2).says("cannot be used with");
    tiny.pretrain(&["--name", "a", "--out", "b"]).code(2).says("cannot be used with");
}

#[test]
fn a_run_is_evaluated_and_analyzed_by_its_name_alone() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 4);
    let eval = ["--set", "eval.train=photos:train", "--set", "eval.test=photos:val"];
    tiny.pretrain(&[&["photos:train", "--steps", "1", "--name", "a"][..], &eval].concat()).code(0);
    let knn = |more: &[&str]| {
        tiny.run(&[&["eval", "knn", "runs/a", "--k", "3", "--json"], more].concat()).code(0).stdout
    };
    let own = knn(&[]);
    assert!(own.contains("\"k\":3"), "{own}");
    assert_eq!(own, knn(&["--data", "photos"]));
    assert_eq!(own, knn(&["--train", "photos:train", "--test", "photos:test"]));
    tiny.run(&["eval", "knn", "runs/a", "--train", "photos"]).code(2).says("--test <SOURCE>");
    tiny.run(&["eval", "knn"]).code(2).says("<CHECKPOINT|--checkpoint <CHECKPOINT>>");
    tiny.run(&["analyze", "features", "runs/a", "--data", "photos:test"]).code(0);
    tiny.run(&["analyze", "mixture", "--checkpoint", "runs/a", "--data", "photos"]).code(0);
    tiny.pretrain(&["photos:train", "--steps", "1", "--name", "b"]).code(0);
    tiny.run(&["eval", "knn", "runs/b"])
        .code(1)
        .says("the run names no labelled images; give them");
}

#[test]
fn a_word_that_the_program_does_not_have_gets_the_one_to_use() {
    let tiny = Tiny::new();
    for (words, tip) in [
        ("knn", "use `dino-vmf eval knn`"),
        ("train", "use `dino-vmf pretrain`"),
        ("mixture", "use `dino-vmf analyze mixture`"),
        ("inspect", "use `dino-vmf data inspect`"),
        ("dedup", "use `dino-vmf duplicates`"),
        ("analyze runs/a", "use `dino-vmf analyze features runs/a`"),
        ("eval runs/a", "use `dino-vmf eval knn runs/a`"),
        ("pretrain --bs 8", "use `--batch-size`"),
        ("pretrain --batch_size 8", "use `--batch-size`"),
        ("pretrain --lr-rate 1", "use `--lr`"),
        ("pretrain --learning-rate=1", "use `--lr`"),
        ("pretrain --output-dir a", "use `--out`"),
        ("pretrain --weight-decay 0.1", "use `--set optim.weight_decay=…`"),
        ("pretrain --local-crops 2", "use `--set data.local_crops=…`"),
        ("bench step --bs 8", "use `--batch`"),
        ("eval knn --ckpt a", "use `--checkpoint`"),
        ("pretrain --model vit_s", "did you mean `vit_small`?"),
        ("pretrain --method dinovmv", "did you mean `dino-vmf`?"),
        ("pretrain --precision fp8", "but must be `f32` or `bf16`"),
        ("pretrain --recompute lite", "must be one of `none`, `light`, `blocks`"),
        ("pretrain --epochs 3 --steps 2", "`--epochs` and `--steps` are both given, but only one"),
        ("config optim.lrr", "did you mean `optim.lr`?"),
        ("pretrain --preset cifar10-tiny", "https://www.cs.toronto.edu/~kriz/cifar.html"),
        ("pretrain --set eval.train=none", "come with `eval.train`, which is missing"),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        tiny.run(&words).code(2).says(tip);
    }
    assert!(fs::read_dir(tiny.folder.path()).unwrap().next().is_none(), "nothing was started");
}

#[test]
fn resume_without_a_run_names_the_newest_and_says_what_it_starts() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--resume"])
        .code(2)
        .says("there is nothing to resume: no folder in `runs` holds a run")
        .says("hint: leave out `--resume` to start a run");
    photos(&tiny.path("photos"), 4);
    let run = |name: &str| tiny.pretrain(&["photos", "--steps", "1", "--name", name]).code(0);
    run("a");
    run("b");
    // the newest run of all, whatever its preset and its name
    let resumed = tiny.run(&["pretrain", "--resume", "--json"]).code(0);
    assert_eq!(resumed.last_event()["run"], "runs/b");
    tiny.run(&["pretrain", "--resume", "--preset", "shapes-tiny"])
        .code(2)
        .says("no folder `runs/shapes-tiny-<n>` holds a run")
        .says("hint: the newest runs are runs/b and runs/a: `--resume runs/b`");
    let new = ["--steps", "1", "--out", "new", "--resume"];
    let text = "`new` holds no run to resume, so a new one starts there, on `shapes";
    tiny.pretrain(&new).code(0).says(&format!("warning: {text}"));
    let given = tiny.pretrain(
        &[&new[..3], &["other", "--resume", "--preset", "shapes-tiny", "photos"]].concat(),
    );
    assert!(!given.code(0).says("so a new one starts there").stderr.contains("warning: `other`"));
}

#[test]
fn fewer_images_than_before_are_noticed_on_resume() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 6);
    tiny.pretrain(&["photos", "--steps", "2", "--name", "a"]).code(0);
    fs::remove_file(tiny.path("photos/train/cat/03.png")).unwrap();
    let resume = ["pretrain", "--resume", "runs/a"];
    tiny.run(&resume).code(2).says("there were 12 and now there are 11");
    tiny.run(&[&resume[..], &["--allow-data-change"]].concat()).code(0).says("other images");
}

#[test]
fn config_lists_explains_and_writes_all_keys() {
    let tiny = Tiny::new();
    let list = tiny.run(&["config"]).code(0).stdout;
    assert_eq!(list.lines().count(), dino::config::keys::all().count());
    let one = tiny.run(&["config", "optim.lr"]).code(0).stdout;
    for text in [
        "optim.lr = 0.0005  (the default)",
        "256",
        "allowed: a number; must lie in [1e-12, 1000]",
        "0.004 in shapes-tiny",
        "--set optim.lr=VALUE",
    ] {
        assert!(one.contains(text), "no `{text}` in {one}");
    }
    assert_eq!(one, tiny.run(&["config", "lr"]).code(0).stdout, "without its section");
    let both = tiny.run(&["config", "batch_size"]).code(0).stdout;
    assert!(
        both.contains("optim.batch_size = 64") && both.contains("eval.batch_size = "),
        "{both}"
    );
    assert!(tiny.run(&["config", "eval"]).code(0).stdout.contains("eval.train "));
    let record = tiny.run(&["config", "model.arch", "--json"]).code(0).last_event();
    assert_eq!((&record["key"], &record["value"]), (&"model.arch".into(), &"\"vit_small\"".into()));
    for preset in dino::preset::all() {
        let file = tiny.run(&["config", "--preset", preset.name]).code(0).stdout;
        let path = tiny.path("all.toml");
        fs::write(&path, &file).unwrap();
        let resolve = |preset: Option<&str>, file: Option<&std::path::Path>| {
            dino::config::Config::resolve(preset, file, &[], &[]).unwrap().to_toml()
        };
        let beside = preset.fits_images().then_some(preset.name);
        let alone = resolve(Some(preset.name), None);
        assert_eq!(resolve(beside, Some(&path)), alone, "{}", preset.name);
        let of_images = file.lines().filter(|line| line.ends_with(": from the images")).count();
        assert!(file.lines().filter(|line| line.contains(" = ")).count() + of_images >= 90);
        assert_eq!(of_images > 30, preset.fits_images(), "{}: {file}", preset.name);
    }
    let one = tiny.run(&["config", "optim.lr", "--preset", "photos"]).code(0).stdout;
    assert!(one.contains("optim.lr = from the images  (in preset `photos`)"), "{one}");
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let tiny = Tiny::new();
    tiny.run(&["man", "pages"]).code(0).says("manual pages: pages/dino-vmf.1");
    let page = fs::read_to_string(tiny.path("pages/dino-vmf-pretrain.1")).unwrap();
    assert!(page.contains(".SH OPTIONS") && page.contains("batch\\-size"), "{page}");
    assert!(tiny.path("pages/dino-vmf-eval-knn.1").is_file());
}

#[cfg(unix)]
#[test]
fn a_run_folder_that_is_not_utf8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tiny = Tiny::new();
    let out = OsStr::from_bytes(b"out_\xe9");
    let arguments = [OsStr::new("pretrain"), OsStr::new("--out"), out];
    tiny.run(&arguments)
        .code(2)
        .says("`run.out` is \"out_\\xE9\" in `--out`, but must be a path in");
    assert!(fs::read_dir(tiny.folder.path()).unwrap().next().is_none());
}

#[test]
fn bench_prints_text_and_with_json_the_fields_of_the_pytorch_script() {
    let tiny = Tiny::new();
    let step = ["bench", "step", "--preset", "shapes-tiny", "--batch-size", "2", "--steps", "1"];
    let text = tiny.run(&step).code(0).stdout;
    assert!(
        text.contains(" s per step, ") && text.contains("images/s: dino-vmf, custom/8, f32"),
        "{text}"
    );
    let objective = ["bench", "objective", "--k", "64", "--batch", "1", "--method", "dino_vmf"];
    let text = tiny.run(&objective).code(0).stdout;
    assert!(text.contains(" ms: dino-vmf, 2 rows of the teacher and 10 of the student"), "{text}");
    for (command, field) in [(&step[..], "s_per_step_median"), (&objective, "ms_median")] {
        let ended = tiny.run(&[command, &["--json", "--quiet"]].concat()).code(0);
        let record = ended.last_event();
        assert!(record[field].is_number() && record["peer"] == "dino-vmf", "{record}");
        assert_eq!(ended.stdout.lines().count(), 1);
    }
}
