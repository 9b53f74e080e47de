use std::fs;
use std::path::PathBuf;

use super::*;

fn set(sets: &[&str]) -> Result<Config> {
    let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
    Config::resolve(None, None, &sets, &[])
}

fn message(sets: &[&str]) -> String {
    set(sets).unwrap_err().to_string()
}

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn the_method_decides_what_is_not_given() {
    let dino = set(&[]).unwrap().objective;
    assert_eq!((dino.prototype_norm(), dino.centering()), (PrototypeNorm::L2, Centering::Logit));
    let vmf = set(&["objective.method=dino-vmf"]).unwrap().objective;
    assert_eq!((vmf.prototype_norm(), vmf.centering()), (PrototypeNorm::Vmf, Centering::ProbA));
    let mixed = set(&["objective.method=dino-vmf", "objective.centering=prob-b"]).unwrap();
    assert_eq!(mixed.objective.centering(), Centering::ProbB);
    let exact = set(&["objective.debye_terms=exact"]).unwrap();
    assert_eq!(exact.objective.debye_terms(), DebyeTerms::Exact);
}

#[test]
fn a_new_method_takes_back_the_norm_of_the_preset() {
    let flag = |method: &str| Flag {
        name: "--method",
        key: "objective.method",
        value: toml::Value::String(method.to_owned()),
    };
    let config = Config::resolve(Some("dino-vmf-vit-s16"), None, &[], &[flag("dino")]).unwrap();
    assert_eq!(config.objective.prototype_norm(), PrototypeNorm::L2);
    assert_eq!(config.objective.centering(), Centering::Logit);
}

#[test]
fn a_new_method_leaves_what_the_command_line_sets() {
    let flag = Flag { name: "--method", key: "objective.method", value: "dino".into() };
    let norm = "objective.prototype_norm=free".to_owned();
    let config =
        Config::resolve(Some("shapes-tiny"), None, std::slice::from_ref(&norm), &[flag]).unwrap();
    assert_eq!(config.objective.prototype_norm(), PrototypeNorm::Free);
    assert_eq!(config.objective.centering(), Centering::Logit);
    let sets = [norm, "objective.method=dino".to_owned()];
    let config = Config::resolve(Some("shapes-tiny"), None, &sets, &[]).unwrap();
    assert_eq!(config.objective.prototype_norm(), PrototypeNorm::Free);
}

#[test]
fn later_layers_win() {
    let (_folder, path) = write("seed = 3\n[optim]\nlr = 1\nepochs = 5\n");
    let sets = ["optim.lr=2".to_owned(), "optim.steps=7".to_owned()];
    let flags = [Flag { name: "--seed", key: "seed", value: 9.into() }];
    let config = Config::resolve(Some("shapes-tiny"), Some(&path), &sets, &flags).unwrap();
    assert_eq!((config.seed, config.optim.lr), (9, 2.0));
    assert_eq!((config.optim.epochs, config.optim.steps), (None, Some(7)));
    assert_eq!(config.origin("seed"), Origin::Flag("--seed".to_owned()));
    assert_eq!(config.origin("optim.batch_size"), Origin::Preset("shapes-tiny".to_owned()));
}

#[test]
fn sizes_follow_from_the_name_of_the_network() {
    let large = set(&["model.arch=vit_large"]).unwrap().model;
    assert_eq!(large.sizes(), Sizes { embed_dim: 1024, depth: 24, heads: 16 });
    let own = set(&["model.arch=custom", "model.depth=2"]).unwrap().model;
    assert_eq!(own.sizes(), Sizes { embed_dim: 384, depth: 2, heads: 6 });
    assert_eq!(
        message(&["model.depth=3"]),
        "`model.depth` is 3 in `--set`, but must be 12 unless `model.arch` is \"custom\""
    );
    let config = set(&["data.global_size=32", "data.local_size=16"]).unwrap();
    assert_eq!(config.image_size(), 32);
}

#[test]
fn the_number_of_channels_decides_how_they_are_normalized() {
    let gray = set(&["data.channels=1"]).unwrap();
    assert_eq!((gray.data.mean(), gray.data.std()), (vec![0.5], vec![0.5]));
    let vit = crate::plan::shapes(&gray).0;
    assert_eq!((vit.channels, gray.data.decode_options().channels), (1, 1));
    let rgb = set(&[]).unwrap().data;
    assert_eq!((rgb.channels, rgb.mean()[0], rgb.std()[2]), (3, 0.485, 0.225));
    let own = set(&["data.channels=2", "data.mean=[0.1, 0.2]"]).unwrap().data;
    assert_eq!((own.mean(), own.std()), (vec![0.1, 0.2], vec![0.5, 0.5]));
    let (_folder, path) = write("[data]\nmean = [0.1, 0.2, 0.3]\n");
    let flag = Flag { name: "--channels", key: "data.channels", value: 4.into() };
    let four = Config::resolve(None, Some(&path), &[], &[flag]).unwrap().data;
    assert_eq!(four.mean(), [0.5; 4]);
    assert_eq!(
        message(&["data.mean=[0.5]"]),
        "`data.mean` is [0.5] in `--set`, but must have a number for each of the `data.channels`, \
         3 in all"
    );
    for channels in ["0", "5000", "9000000000000"] {
        let found = message(&[&format!("data.channels={channels}")]);
        let expected =
            format!("`data.channels` is {channels} in `--set`, but must lie in [1, 1024]");
        assert_eq!(found, expected);
    }
}

#[test]
fn unknown_keys_come_with_the_nearest_and_the_line() {
    let (_folder, path) = write("seed = 1\n\n[objective]\nteacher_tmp = 0.1\n");
    let error = Config::resolve(None, Some(&path), &[], &[]).unwrap_err();
    let file = path.display();
    assert_eq!(
        error.to_string(),
        format!("unknown key `objective.teacher_tmp` in `{file}`, line 4")
    );
    assert_eq!(error.hint().unwrap(), "did you mean `objective.teacher_temp`?");
    let error = set(&["heads=3"]).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `heads` in `--set`");
    assert_eq!(error.hint().unwrap(), "did you mean `model.heads`?");
}

#[test]
fn wrong_types_are_one_sentence() {
    let cases: [(&[&str], &str); 11] = [
        (
            &["model.heads=six"],
            "`model.heads` is \"six\" in `--set`, but must be a whole number, 0 or more",
        ),
        (&["model.heads=-1"], "`model.heads` is -1 in `--set`, but must be 0 or more"),
        (&["optim.lr=fast"], "`optim.lr` is \"fast\" in `--set`, but must be a number"),
        (&["data.strict=1"], "`data.strict` is 1 in `--set`, but must be true or false"),
        (
            &["objective.debye_terms=4"],
            "`objective.debye_terms` is 4 in `--set`, but must be 0, 1, 2, 3 or \"exact\"",
        ),
        (
            &["data.local_scale=[0.1]"],
            "`data.local_scale` is [0.1] in `--set`, but must be a list of two numbers",
        ),
        (&["model=3"], "`model` is 3 in `--set`, but must be a section, such as `[model]`"),
        (
            &["objective.centering=mean"],
            "`objective.centering` is \"mean\" in `--set`, but must be one of `logit`, `prob-a`, \
             `prob-b`, `sinkhorn`",
        ),
        (
            &["run.on_collapse=halt"],
            "`run.on_collapse` is \"halt\" in `--set`, but must be `warn` or `stop`",
        ),
        (
            &["run.recompute=all"],
            "`run.recompute` is \"all\" in `--set`, but must be one of `none`, `light`, `blocks`",
        ),
        (
            &["run.diagnose_every_steps=-1"],
            "`run.diagnose_every_steps` is -1 in `--set`, but must be 0 or more",
        ),
    ];
    for (sets, expected) in cases {
        assert_eq!(message(sets), expected);
    }
    assert_eq!(message(&["seed"]), "`--set seed` is no `key=value`");
}

#[test]
fn impossible_settings_are_one_sentence() {
    let cases: [(&[&str], &str); 16] = [
        (
            &["model.arch=custom", "model.heads=5"],
            "`model.heads` is 5 in `--set`, but must divide `model.embed_dim`, which is 384",
        ),
        (
            &["data.local_size=90"],
            "`data.local_size` is 90 in `--set`, but must be a multiple of `model.patch_size`, which is 16",
        ),
        (&["data.global_size=0"], "`data.global_size` is 0"),
        (&["model.prototypes=0"], "`model.prototypes` is 0 in `--set`, but must be 1 or more"),
        (&["model.patch_size=0"], "`model.patch_size` is 0"),
        (
            &["objective.teacher_temp=-0.1"],
            "`objective.teacher_temp` is -0.1 in `--set`, but must be above 0",
        ),
        (&["objective.student_temp=0"], "`objective.student_temp` is 0"),
        (
            &["optim.teacher_momentum=1.4"],
            "`optim.teacher_momentum` is 1.4 in `--set`, but must lie in [0, 1]",
        ),
        (&["optim.batch_size=0"], "`optim.batch_size` is 0"),
        (&["optim.accumulate=3"], "`optim.accumulate` is 3 in `--set`, but must divide"),
        (
            &["data.local_scale=[0.5, 0.2]"],
            "`data.local_scale` is [0.5, 0.2] in `--set`, but must rise",
        ),
        (&["data.global_scale=[0.5, 1.2]"], "`data.global_scale` is [0.5, 1.2]"),
        (&["eval.k=[]"], "`eval.k` is []"),
        (&["eval.k=[0]"], "`eval.k` is [0]"),
        (&["optim.lr=nan"], "`optim.lr` is NaN in `--set`, but must be above 0"),
        (&["optim.steps=0"], "`optim.steps` is 0"),
    ];
    for (sets, expected) in cases {
        let found = message(sets);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    let (_folder, path) = write("seed = 1\nlr = = 2\n");
    let error = Config::resolve(None, Some(&path), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("line 2 is no TOML"), "{error}");
    let (_folder, path) = write("[optim]\nepochs = 1\nsteps = 1\n");
    let error = Config::resolve(None, Some(&path), &[], &[]).unwrap_err().to_string();
    assert!(error.starts_with("`optim.epochs` and `optim.steps` are both given"), "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    let config = set(&["objective.method=dino-vmf", "seed=5", "eval.max_test=3"]).unwrap();
    let (_folder, path) = write(&config.to_toml());
    let read = Config::load(&path).unwrap();
    assert_eq!(read.to_toml(), config.to_toml());
    assert_eq!(read.same_run(&config), Ok(()));
    assert_eq!(read.fingerprint(), config.fingerprint());
}

#[test]
fn what_does_not_change_results_may_change_and_nothing_else() {
    let config = set(&[]).unwrap();
    let other = set(&["run.threads=3", "run.workers=2", "run.out=elsewhere"]).unwrap();
    assert_eq!(config.same_run(&other), Ok(()));
    assert_eq!(config.fingerprint(), other.fingerprint());
    let other =
        set(&["run.on_collapse=stop", "run.diagnose_every_steps=7", "run.recompute=blocks"])
            .unwrap();
    assert_eq!(config.same_run(&other), Ok(()));
    assert_eq!(config.fingerprint(), other.fingerprint());
    let other = set(&["optim.lr=1e-3"]).unwrap();
    let difference = config.same_run(&other).unwrap_err();
    let (key, ours, theirs) = ("optim.lr".to_owned(), "0.0005".to_owned(), "0.001".to_owned());
    assert_eq!(difference, Difference { key, ours, theirs });
    assert_ne!(config.fingerprint(), other.fingerprint());
}

#[test]
fn keys_that_follow_from_others_are_written_out() {
    let config =
        Config { model: Model { arch: Arch::VitTiny, ..Model::default() }, ..Config::default() };
    config.validate().unwrap();
    let written: toml::Table = toml::from_str(&config.to_toml()).unwrap();
    assert_eq!(written["model"]["embed_dim"], 192.into());
    assert_eq!(written["model"]["image_size"], 224.into());
    assert_eq!(written["objective"]["centering"], "logit".into());
    assert_eq!(written["data"]["std"].as_array().map(Vec::len), Some(3));
    assert_eq!(written["optim"]["epochs"], 100.0.into());
}

#[test]
fn every_key_has_documentation_and_every_value_written_out_is_a_key() {
    let keys: Vec<_> = keys::all().map(|key| key.path()).collect();
    assert!(keys::all().all(|key| key.doc.len() > 20));
    let written = text::flatten(Config::default().completed().to_table());
    for (key, _) in &written {
        assert!(keys.contains(key), "{key}");
    }
    assert_eq!(keys[0], "seed");
    assert_eq!(keys::find("optim.lr").unwrap().default_value().as_deref(), Some("0.0005"));
    assert_eq!(keys::find("eval.train").unwrap().default_value(), None);
    assert_eq!(keys::find("origins"), None);
}

#[test]
fn the_recipe_is_checked_under_the_names_of_its_keys() {
    let cases: [(&str, &str); 6] = [
        ("data.hue=0.7", "`data.hue` is 0.7 in `--set`, but must lie in [0, 0.5]"),
        ("data.contrast=1e9", "`data.contrast` is 1000000000 in `--set`, but must be at most 100"),
        ("data.blur_radius=[0, 1]", "`data.blur_radius` is [0, 1] in `--set`, but must rise from"),
        (
            "data.local_crops=1001",
            "`data.local_crops` is 1001 in `--set`, but must be at most 1000",
        ),
        ("data.solarize_p=2", "`data.solarize_p` is 2 in `--set`, but must lie in [0, 1]"),
        ("data.std=[1, 0, 1]", "`data.std` is [1.0, 0.0, 1.0] in `--set`, but must be above 0"),
    ];
    for (set, expected) in cases {
        let found = message(&[set]);
        assert!(found.starts_with(expected), "{found}");
    }
}
