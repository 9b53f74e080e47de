//! Bad input gets one sentence and its exit code.

use std::fs;

use crate::fixtures::{Ended, Tiny, command, photos};

fn refused(more: &[&str]) -> Ended {
    let ended = Tiny::new().pretrain(more);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
    ended
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    refused(&["--set", "objective.teacher_tmp=0.1"])
        .code(2)
        .says("error: unknown key `objective.teacher_tmp` in `--set`")
        .says("hint: did you mean `objective.teacher_temp`?");
}

#[test]
fn an_unknown_key_in_a_file_is_reported_with_its_line() {
    let tiny = Tiny::new();
    fs::write(tiny.path("a.toml"), "seed = 1\n[optim]\nlr_rate = 2\n").unwrap();
    tiny.pretrain(&["--config", "a.toml"])
        .code(2)
        .says("error: unknown key `optim.lr_rate` in `a.toml`, line 3");
}

#[test]
fn impossible_sizes_are_refused() {
    let message = "`model.heads` is 3 in `--set`, but must divide `model.embed_dim`, which is 16";
    refused(&["--set", "model.heads=3"]).code(2).says(message);
    let message = "`data.local_size` is 15 in `--set`, but must be a multiple of";
    refused(&["--set", "data.local_size=15"]).code(2).says(message);
    let message = "`model.prototypes` is 0 in `--set`, but must be 1 or more";
    refused(&["--set", "model.prototypes=0"]).code(2).says(message);
    let message = "`objective.teacher_temp` is -0.1 in `--set`, but must be above 0";
    refused(&["--set", "objective.teacher_temp=-0.1"]).code(2).says(message);
}

#[test]
fn impossible_masks_and_loss_weights_are_refused() {
    let ibot = |more: &[&str]| {
        let sets = more.iter().flat_map(|set| ["--set", set]);
        refused(&sets.chain(["--method", "ibot"]).collect::<Vec<_>>()).code(2)
    };
    let message = "`masking.ratios` is [1.5] in `--set`, but must hold numbers from 0 to below 1";
    ibot(&["masking.ratios=[1.5]", "masking.spreads=[0.0]"]).says(message);
    let message =
        "`masking.spreads` is [0.1] in `--set`, but must have one number for each of the 2";
    ibot(&["masking.spreads=[0.1]"]).says(message);
    ibot(&["masking.spreads=[0.0, 0.9]"]).says("must keep the ratio 0.3 within 0 and 1");
    ibot(&["data.global_size=16", "data.local_size=8", "model.image_size=16"])
        .says("must be 3 or more patches of 8 pixels wide for masks of blocks");
    let sinkhorn = ["--set", "objective.centering=sinkhorn", "--set", "optim.accumulate=2"];
    let message = "`optim.accumulate` is 2 in `--set`, but must be 1 with `objective.centering`";
    refused(&sinkhorn).code(2).says(message);
    let one = ["--set", "objective.centering=sinkhorn", "--set", "model.prototypes=1"];
    let message =
        "`model.prototypes` is 1 in `--set`, but must be 2 or more where `objective.centering`";
    refused(&one).code(2).says(message);
    let message = "`objective.lambda_cls` is 0 in `--set`, but must be above 0 where no other term";
    refused(&["--set", "objective.lambda_cls=0"]).code(2).says(message);
    let koleo = ["--set", "objective.lambda_koleo=0.1", "--set", "model.prototypes=1"];
    refused(&koleo).code(2).says("`model.prototypes` is 1 in `--set`, but must be 2 or more");
}

#[test]
fn a_key_without_effect_gets_a_warning() {
    let sets = ["--method", "dino", "--set", "masking.ratios=[0.5]", "--steps", "1"];
    Tiny::new().pretrain(&sets).code(0).says(
        "warning: `masking.ratios` in `--set` changes nothing, because `objective.method` masks no",
    );
}

#[test]
fn negative_values_are_refused_by_the_settings_not_by_clap() {
    refused(&["--steps", "-1"]).code(2).says("`optim.steps` is -1 in `--steps`, but must be");
    refused(&["--epochs", "-1"]).code(2).says("`optim.epochs` is -1 in `--epochs`, but must be");
    refused(&["--threads", "-2"]).code(2).says("`run.threads` is -2 in `--threads`");
}

#[test]
fn steps_and_epochs_exclude_each_other() {
    refused(&["--steps", "3", "--epochs", "1"]).code(2).says("only one of them can hold");
}

#[test]
fn a_set_without_a_value_is_refused() {
    refused(&["--set", "seed"]).code(2).says("`--set seed` is no `key=value`").says("hint: ");
}

#[test]
fn an_unknown_preset_suggests_the_nearest() {
    refused(&["--preset", "shape-tiny"])
        .code(2)
        .says("there is no preset `shape-tiny`")
        .says("hint: did you mean `shapes-tiny`?");
}

#[test]
fn an_unknown_method_lists_the_choices() {
    refused(&["--method", "simclr"]).code(2).says("`objective.method`").says("dino-vmf");
}

#[test]
fn an_unknown_action_on_collapse_lists_the_choices() {
    let message = "`run.on_collapse` is \"abort\" in `--on-collapse`, but must be `warn` or `stop`";
    refused(&["--on-collapse", "abort"]).code(2).says(message);
}

#[test]
fn another_device_is_refused() {
    refused(&["--device", "cuda"]).code(2).says("`run.device` is \"cuda\" in `--device`");
}

#[test]
fn a_set_warmup_longer_than_the_run_is_refused() {
    refused(&["--steps", "3", "--set", "optim.warmup_epochs=2"])
        .code(2)
        .says("`optim.warmup_epochs` is 2 in `--set`, which is 2500 steps, but the run has 3");
}

#[test]
fn a_missing_source_is_named() {
    refused(&["--data", "no/such/folder"]).code(1).says("no data set `no/such/folder`");
}

#[test]
fn a_folder_without_images_is_named() {
    let tiny = Tiny::new();
    fs::create_dir_all(tiny.path("empty/class")).unwrap();
    tiny.pretrain(&["--data", "empty"]).code(1).says("`empty` holds no images (looked for JPEG");
    assert!(!tiny.path("runs").exists());
}

#[test]
fn a_folder_of_damaged_images_is_refused() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.path("bad")).unwrap();
    for i in 0..16 {
        fs::write(tiny.path(&format!("bad/{i}.jpg")), b"\xff\xd8\xff\xe0 no image").unwrap();
    }
    tiny.pretrain(&["--data", "bad", "--steps", "2"]).code(1).says("error: ").says("repair");
}

#[test]
fn too_many_bad_images_end_a_run_and_are_all_listed() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.path("mixed")).unwrap();
    for i in 0..40u8 {
        let image = image::RgbImage::from_pixel(24, 24, image::Rgb([i, 90, 200 - i]));
        image.save(tiny.path(&format!("mixed/{i:02}.png"))).unwrap();
    }
    for i in 0..14 {
        let bytes: &[u8] = if i < 11 { b"" } else { b"no image" };
        fs::write(tiny.path(&format!("mixed/{i:02}-bad.jpg")), bytes).unwrap();
    }
    let run = |workers: &str| {
        let more = ["--data", "mixed", "--steps", "50", "--workers", workers, "--out", workers];
        let ended = tiny.pretrain(&more).code(1);
        let list = fs::read_to_string(tiny.path(workers).join("quarantine.jsonl")).unwrap();
        let error = ended.stderr.lines().find(|line| line.starts_with("error:")).unwrap();
        (error.to_owned(), list)
    };
    let (error, list) = run("1");
    assert!(error.contains("of 54 images") && error.contains(" empty, first `mixed/"), "{error}");
    assert!(list.lines().count() > 10, "{list}");
    assert!(list.contains("\"reason\":\"the file is empty\""), "{list}");
    for workers in ["2", "7"] {
        assert_eq!((&error, &list), (&run(workers).0, &run(&format!("0{workers}")).1));
    }
}

#[test]
fn too_few_images_for_a_batch_are_refused() {
    refused(&["--set", "optim.batch_size=20000"]).code(1).says("error: ").says("10000");
}

#[test]
fn a_used_run_folder_and_another_configuration_are_refused() {
    let tiny = Tiny::new();
    tiny.pretrain(&["--steps", "2", "--out", "run"]).code(0);
    tiny.pretrain(&["--steps", "2", "--out", "run"])
        .code(2)
        .says("run folder `run` is used already")
        .says("hint: add `--resume`");
    fs::remove_dir_all(tiny.path("run/checkpoints")).unwrap();
    tiny.pretrain(&["--steps", "2", "--out", "run"])
        .code(2)
        .says("it holds a run that saved nothing yet: add `--resume` to start that run again")
        .says("remove the folder if no process is working in it");
    fs::remove_dir_all(tiny.path("run")).unwrap();
    tiny.pretrain(&["--steps", "2", "--out", "run"]).code(0);
    tiny.pretrain(&["--steps", "2", "--out", "run", "--resume", "--seed", "5"])
        .code(2)
        .says("run folder `run` belongs to another configuration: `seed` is 0 there and 5 now");
    fs::create_dir(tiny.path("other")).unwrap();
    fs::write(tiny.path("other/notes.txt"), "mine").unwrap();
    tiny.pretrain(&["--steps", "2", "--out", "other"]).code(2).says("folder `other` holds other");
    for (folder, says) in [
        ("other", "`--resume other` is no run folder: it has no `config.toml`"),
        ("nowhere", "`--resume nowhere`: there is no such folder"),
        ("run/checkpoints/step-00000002", "`--resume run` goes on with its newest checkpoint"),
    ] {
        tiny.pretrain(&["--resume", folder]).code(1).says(says);
    }
    let mut inside = crate::fixtures::command();
    inside.current_dir(tiny.path("run")).args(["pretrain", "--resume", "checkpoints"]);
    let inside = crate::fixtures::Ended::from(inside.output().unwrap());
    inside.code(1).says("`--resume .` goes on with its newest checkpoint");
    fs::create_dir_all(tiny.path("project/photos")).unwrap();
    fs::write(tiny.path("project/config.toml"), "[package]").unwrap();
    tiny.pretrain(&["--resume", "project/photos"]).code(1).says("is no run folder: it has no");
    // The key that others follow is named, and that a run cannot be shorter.
    let resume = ["pretrain", "--resume", "run", "--method"];
    tiny.run(&[&resume[..], &["ibot"]].concat()).code(2).says("`objective.method` is ");
    tiny.run(&["pretrain", "--resume", "run", "--steps", "1"])
        .code(2)
        .says("a run can be made longer, not shorter; `--set optim.steps=2` goes on there");
}

#[test]
fn bench_step_refuses_unknown_values() {
    let tiny = Tiny::new();
    let bench = |more: &[&str]| tiny.run(&[&["bench", "step"], more].concat()).code(2);
    bench(&["--precision", "fp8"])
        .says("`model.precision` is \"fp8\" in `--precision`, but must be `f32` or `bf16`");
    bench(&["--batch", "-1"]).says("`optim.batch_size` is -1 in `--batch`");
    bench(&["--global", "3x224"]).says("`--global` is 3x224, but must be two crops");
    bench(&["--local", "8*96"]).says("such as `8x96`");
}

#[test]
fn a_run_that_does_not_fit_into_memory_is_refused_before_it_allocates() {
    let tiny = Tiny::new();
    let large = ["--set", "model.prototypes=16000000", "--set", "model.bottleneck_dim=60000"];
    tiny.pretrain(&[&large[..], &["--out", "run"]].concat())
        .code(2)
        .says("a network of 2 blocks of width 16 with 16000000 prototypes and batches of 8 needs about")
        .says("but this machine has ")
        .says("hint: choose a smaller network");
    assert!(!tiny.path("run").exists());
}

#[test]
fn a_preset_for_eight_gpus_reports_the_memory_it_needs_and_what_fits() {
    let tiny = Tiny::new();
    let arguments =
        ["pretrain", "--preset", "dino-vmf-vit-s16", "--data", "shapes", "--out", "run"];
    let with = |gib: &str| {
        let run = command()
            .current_dir(tiny.folder.path())
            .env("DINO_VMF_MEMORY", gib)
            .args(arguments)
            .output()
            .unwrap();
        Ended::from(run).code(2)
    };
    with("23")
        .says("batches of 1024 needs about ")
        .says("but this machine has 23 GiB free")
        .says("hint: try `--set optim.accumulate=")
        .says("the batch stays the same");
    with("3").says("a smaller batch, which is another recipe");
    assert!(!tiny.path("run").exists());
}

#[test]
fn a_pipe_or_a_device_is_not_a_configuration() {
    let tiny = Tiny::new();
    let pipe = tiny.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let config = |path: &str| tiny.pretrain(&["--config", path]).code(2);
    config("pipe").says("`pipe` is no configuration: it is a pipe or a device, not a file");
    config("/dev/zero").says("`/dev/zero` is no configuration: it is a pipe or a device");
    config(".").says("`.` is no configuration: it is a folder");
    fs::write(tiny.path("long.toml"), "#".repeat(2 << 20)).unwrap();
    config("long.toml").says("it is longer than 1 MiB");
    fs::write(tiny.path("latin.toml"), b"# caf\xe9\n").unwrap();
    config("latin.toml").says("it is no text in UTF-8");
}

#[test]
fn a_configuration_can_come_from_standard_input() {
    let tiny = Tiny::new();
    let arguments = tiny.arguments(&["--config", "/dev/stdin", "--steps", "1", "--out", "run"]);
    let run = command()
        .current_dir(tiny.folder.path())
        .args(arguments)
        .write_stdin("seed = 7\n")
        .output()
        .unwrap();
    Ended::from(run).code(0);
    assert!(fs::read_to_string(tiny.path("run/config.toml")).unwrap().contains("seed = 7"));
}

#[test]
fn names_with_control_characters_reach_the_terminal_escaped() {
    let tiny = Tiny::new();
    let class = tiny.path("photos/red\u{1b}[31m\nclass");
    fs::create_dir_all(&class).unwrap();
    fs::write(class.join("bad\u{9b}2J.jpg"), b"no image").unwrap();
    for i in 0..16u8 {
        let image = image::RgbImage::from_pixel(24, 24, image::Rgb([i, 90, 200 - i]));
        image.save(class.join(format!("{i}.png"))).unwrap();
    }
    for more in [&[][..], &["--json"]] {
        let ended = tiny.run(&[&["data", "inspect", "photos"], more].concat());
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        let control = printed.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{printed}");
        assert!(printed.contains("[31m"), "{printed}");
        for line in ended.stdout.lines().filter(|_| !more.is_empty()) {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
    let ended = tiny.pretrain(&["--data", "no\u{1b}[2Jsuch"]).code(1);
    assert!(ended.stderr.contains("no\\u{1b}[2Jsuch"), "{}", ended.stderr);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn bf16_that_is_slower_than_f32_gets_a_warning() {
    let tiny = Tiny::new();
    let arguments = tiny.arguments(&["--precision", "bf16", "--steps", "1"]);
    let run = command()
        .current_dir(tiny.folder.path())
        .env("DINO_VMF_SIMD", "avx2")
        .args(arguments)
        .output()
        .unwrap();
    Ended::from(run).code(0).says("bf16, which is slower than f32 on this processor");
}

#[test]
fn values_of_flags_have_limits() {
    let tiny = Tiny::new();
    let refuse = |arguments: &[&str]| drop(tiny.run(arguments).code(2));
    for value in ["-1", "nan", "1e18", "18446744073709551615", "1000000000000000000"] {
        for flag in ["--steps", "--epochs", "--channels", "--threads", "--workers"] {
            drop(tiny.pretrain(&[flag, value]).code(2));
        }
        for flag in
            ["--batch", "--patch", "--k", "--hidden", "--bottleneck", "--steps", "--batches"]
        {
            refuse(&["bench", "step", flag, value]);
        }
        for flag in ["--batch", "--local", "--k", "--bottleneck", "--threads"] {
            refuse(&["bench", "objective", flag, value]);
        }
        for flag in ["--batch", "--locals", "--global", "--local", "--workers"] {
            refuse(&["bench", "loader", "shapes", flag, value]);
        }
        for flag in ["--images", "--columns", "--channels"] {
            refuse(&["data", "preview", "shapes", flag, value]);
        }
        refuse(&["data", "inspect", "shapes", "--threads", value]);
        let knn = ["eval", "knn", "--checkpoint", "run", "--train", "shapes", "--test", "shapes"];
        refuse(&[&knn[..], &["--threads", value]].concat());
    }
    refuse(&["bench", "objective", "--k", "16000000", "--bottleneck", "65536"]);
    refuse(&["bench", "step", "--k", "16000000", "--bottleneck", "65536"]);
}

/// One image that cannot be read is left out of evaluations and analyses, and counted.
#[test]
fn an_evaluation_leaves_out_an_unreadable_image() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 6);
    fs::write(tiny.path("photos/val/cat/03.png"), b"\x89PNG\r\n\x1a\n cut off").unwrap();
    fs::write(tiny.path("photos/train/cat/00.png"), b"").unwrap();
    let of_val = "1 of 12 images of folder `photos/val` (val part) cannot be read and are left out, the \
                  first is `photos/val/cat/03.png`: ";
    let of_train = "1 of 12 images of folder `photos/train` (train part) cannot be read and are left out, \
                    the first is `photos/train/cat/00.png`: the file is empty";
    let sets = ["--set", "eval.train=photos:train", "--set", "eval.test=photos:val"];
    let run = ["--steps", "1", "--out", "run", "--json"];
    let ended = tiny.pretrain(&[&sets[..], &run].concat()).code(0).says(of_val).says(of_train);
    assert_eq!(ended.stderr.matches(of_train).count(), 1, "{}", ended.stderr);
    assert!(ended.last_event()["knn"]["trained"].is_number(), "{}", ended.stdout);
    let knn =
        ["eval", "knn", "--checkpoint", "run", "--train", "photos:train", "--test", "photos:val"];
    let ended = tiny.run(&[&knn[..], &["--json"]].concat()).code(0).says(of_val).says(of_train);
    assert!(ended.last_event()["top1"].is_number(), "{}", ended.stdout);
    for what in ["features", "mixture"] {
        let analyze = ["analyze", what, "--checkpoint", "run", "--data", "photos:val"];
        let found = tiny.run(&[&analyze[..], &["--json"]].concat()).code(0).says(of_val);
        assert_eq!(found.last_event()["images"], 11);
        let table = tiny.run(&analyze).code(0).stdout;
        assert!(table.contains("step 1, 11 images: "), "{table}");
    }
}

#[test]
fn an_evaluation_of_too_many_unreadable_images_is_refused() {
    let tiny = Tiny::new();
    photos(&tiny.path("photos"), 12);
    tiny.pretrain(&["--steps", "1", "--out", "run"]).code(0);
    for i in 0..11 {
        fs::write(tiny.path(&format!("photos/val/cat/{i:02}.png")), b"").unwrap();
    }
    let knn =
        ["eval", "knn", "--checkpoint", "run", "--train", "photos:train", "--test", "photos:val"];
    let analyze = ["analyze", "features", "--checkpoint", "run", "--data", "photos:val"];
    for arguments in [&knn[..], &analyze] {
        let message =
            "error: 11 of 24 images cannot be used (11 empty, first `photos/val/cat/00.png`)";
        tiny.run(arguments).code(1).says(message);
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let tiny = Tiny::new();
    tiny.run(&["pretrian"]).code(2).says("pretrain");
    tiny.run(&["pretrain", "--stepz", "3"]).code(2).says("--steps");
    tiny.run::<&str>(&[]).code(2);
}

#[test]
fn a_variable_of_the_environment_that_means_nothing_is_refused() {
    let ended = |variable: &str, value: &str| -> Ended {
        command().args(["config", "optim.lr"]).env(variable, value).output().unwrap().into()
    };
    ended("DINO_VMF_MEMORY", "16GB")
        .code(2)
        .says("`DINO_VMF_MEMORY` is `16GB` in the environment, but must be a number of GiB, such as 16 or 0.5")
        .says("`unset DINO_VMF_MEMORY`");
    ended("DINO_VMF_DISK", "-1").code(2).says("`DINO_VMF_DISK` is `-1`");
    ended("DINO_VMF_SIMD", "avx1024").code(2).says("must be `baseline`, `avx2`, `avx512` or `amx`");
    ended("DINO_VMF_MEMORY", "").code(0);
    ended("DINO_VMF_MEMORY", "off").code(0);
}
