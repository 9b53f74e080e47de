//! Runs the commands of the README with their defaults on every kind of source: with labels, without
//! labels, and with parts.
//!
//! | | |
//! | --- | --- |
//! | `data inspect`, `data preview` | counts the images and draws their crops |
//! | `pretrain --data SOURCE --out run` | trains a few steps with all other defaults |
//! | `eval knn` | evaluates the run; without labels k-NN is refused with a message |
//! | Ctrl-C, `pretrain --resume run` | saves the run, and continues it; once for each kind of source |
//! | `analyze` | analyzes the run; once for each kind of source |
//! | `--preset cifar10-tiny` | trains two steps; sources with parts, which it evaluates |
//! | `--preset dino-vmf-vit-s16` | trains two steps; once, because it is expensive |
//!
//! What follows the opening of a source is the same for all of them. So only folders pay for all of it.

#![cfg(unix)]
mod sources;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::{Ended, Tiny};
use sources::{Kind, Labels, Source, TEST_IMAGES, TRAIN_IMAGES};

/// One test for each kind of source and labels.
macro_rules! person {
    ($($name:ident: $kind:ident, $labels:ident;)*) => {$(
        #[test]
        fn $name() {
            Person::with(Kind::$kind, Labels::$labels).uses_everything();
        }
    )*};
}

person! {
    a_folder_of_class_folders: Folder, Classes;
    a_folder_without_labels: Folder, None;
    a_folder_with_train_and_val: Folder, Parts;
    a_csv_file_with_labels: List, Classes;
    a_csv_file_with_a_column_of_parts: List, Parts;
    a_text_file_of_paths: List, None;
    a_tar_of_class_folders: Tar, Classes;
    a_tar_without_labels: Tar, None;
    a_tar_with_train_and_val: Tar, Parts;
    a_gzipped_tar_of_class_folders: TarGz, Classes;
    a_gzipped_tar_without_labels: TarGz, None;
    a_gzipped_tar_with_train_and_val: TarGz, Parts;
    webdataset_shards_with_classes: WebDataset, Classes;
    webdataset_shards_without_classes: WebDataset, None;
    webdataset_shards_named_train_and_val: WebDataset, Parts;
    a_parquet_file_with_labels: Parquet, Classes;
    a_parquet_file_without_labels: Parquet, None;
    parquet_files_named_train_and_test: Parquet, Parts;
    one_cifar_batch: Cifar, Classes;
    a_cifar_folder: Cifar, Parts;
    one_idx_file_with_labels: Idx, Classes;
    one_idx_file_without_labels: Idx, None;
    an_idx_folder: Idx, Parts;
}

/// A user with images in a source.
struct Person {
    home: Tiny,
    source: Source,
}

impl Person {
    fn with(kind: Kind, labels: Labels) -> Self {
        let home = Tiny::new();
        let source = sources::write(home.folder.path(), kind, labels);
        Self { home, source }
    }

    fn uses_everything(&self) {
        self.inspects();
        self.previews();
        self.trains_with_all_defaults();
        self.evaluates();
        if self.source.labels == Labels::Parts {
            self.takes_two_steps("cifar10-tiny", &[]);
        }
        if self.source.labels == Labels::Classes {
            self.stops_and_resumes();
            self.analyzes();
        }
        if (self.source.kind, self.source.labels) == (Kind::Folder, Labels::Classes) {
            let small = ["--set", "optim.batch_size=2", "--set", "model.prototypes=1024"];
            self.takes_two_steps("dino-vmf-vit-s16", &small);
        }
    }

    /// Runs `dino-vmf` with these arguments.
    fn run(&self, words: &[&str]) -> Ended {
        self.home.run(words)
    }

    fn inspects(&self) {
        let found =
            self.run(&["data", "inspect", &self.source.path, "--json"]).code(0).last_event();
        assert_eq!(found["images"], TRAIN_IMAGES, "{found}");
        assert_eq!(found["bad"].as_array().unwrap().len(), 0, "{found}");
        let classes = found["classes"].as_array().unwrap();
        assert_eq!(classes.len(), self.source.classes, "{found}");
        if self.source.classes > 0 {
            let labelled: u64 = classes.iter().map(|class| class["images"].as_u64().unwrap()).sum();
            assert_eq!(labelled, TRAIN_IMAGES as u64, "{found}");
        }
    }

    fn previews(&self) {
        self.run(&["data", "preview", &self.source.path, "--out", "crops.png"]).code(0);
        let sheet = image::open(self.home.path("crops.png")).unwrap();
        assert!(sheet.width() > 200 && sheet.height() > 200);
    }

    fn trains_with_all_defaults(&self) {
        let steps = if self.source.kind == Kind::Folder { 14_u64 } else { 3 };
        let length = steps.to_string();
        let words = ["pretrain", "--data", &self.source.path, "--out", "run", "--json"];
        let summary = self.run(&[&words[..], &["--steps", &length]].concat()).code(0).last_event();
        assert_eq!((&summary["event"], &summary["steps"]), (&"summary".into(), &steps.into()));
        let evaluated = self.source.labels == Labels::Parts;
        assert_eq!(
            summary["knn"].is_object(),
            evaluated,
            "parts with labels are evaluated: {summary}"
        );
    }

    fn stops_and_resumes(&self) {
        let child =
            self.start(&["pretrain", "--data", &self.source.path, "--steps", "20", "--out", "b"]);
        let metrics = self.home.path("b/metrics.jsonl");
        wait_until(|| fs::read_to_string(&metrics).is_ok_and(|text| text.contains("\"loss\"")));
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        Ended::from(child.wait_with_output().unwrap())
            .code(130)
            .says("interrupted after step ")
            .says("pretrain --resume b");
        let ended = self.run(&["pretrain", "--resume", "b", "--json"]).code(0);
        assert_eq!(ended.says("resuming after step ").last_event()["steps"], 20);
    }

    fn start(&self, words: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_dino-vmf"))
            .args(words)
            .current_dir(self.home.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn evaluates(&self) {
        let (train, test) = self.parts();
        let knn = ["eval", "knn", "--checkpoint", "run", "--train", &train, "--test", &test];
        let ended = self.run(&[&knn[..], &["--json"]].concat());
        if self.source.classes == 0 {
            ended.code(1).says("label");
            return;
        }
        let scores = ended.code(0).last_event();
        let top1 = scores["top1"].as_f64().unwrap();
        assert!(top1 > 70.0, "two classes of different color are easy: {scores}");
    }

    fn analyzes(&self) {
        let (_, test) = self.parts();
        let data = ["--checkpoint", "run", "--data", &test];
        self.run(&[&["analyze", "mixture", "--html", "page.html"][..], &data].concat()).code(0);
        assert!(fs::read_to_string(self.home.path("page.html")).unwrap().contains("</html>"));
        self.run(&[&["analyze", "features"][..], &data].concat()).code(0);
    }

    /// The training source and the test source.
    fn parts(&self) -> (String, String) {
        let path = &self.source.path;
        match self.source.labels {
            Labels::Parts => (format!("{path}:train"), format!("{path}:test")),
            Labels::Classes | Labels::None => (path.clone(), path.clone()),
        }
    }

    fn takes_two_steps(&self, preset: &str, more: &[&str]) {
        let words = ["pretrain", "--preset", preset, "--data", &self.source.path, "--steps", "2"];
        let ended = self.run(&[&words[..], more, &["--out", preset, "--json"]].concat()).code(0);
        assert_eq!(ended.last_event()["steps"], 2);
        fs::remove_dir_all(self.home.path(preset)).unwrap();
    }
}

#[test]
fn the_parts_of_the_sources_have_the_images_that_were_written() {
    for kind in [Kind::Folder, Kind::Tar, Kind::WebDataset, Kind::Parquet, Kind::Cifar, Kind::Idx] {
        let person = Person::with(kind, Labels::Parts);
        for (part, images) in [("train", TRAIN_IMAGES), ("test", TEST_IMAGES)] {
            let source = format!("{}:{part}", person.source.path);
            let found = person.run(&["data", "inspect", &source, "--json"]).code(0).last_event();
            assert_eq!(found["images"], images, "{source}: {found}");
        }
    }
}

#[test]
fn a_printed_preset_is_evaluated_on_the_images_of_the_command_line() {
    let person = Person::with(Kind::Folder, Labels::Parts);
    let preset = person.run(&["presets", "shapes-tiny"]).code(0).stdout;
    fs::write(person.home.path("mine.toml"), preset).unwrap();
    let words = ["pretrain", "--config", "mine.toml", "--data", "photos", "--steps", "1"];
    person.run(&[&words[..], &["--out", "run"]].concat()).code(0);
    let config = fs::read_to_string(person.home.path("run/config.toml")).unwrap();
    assert!(config.contains("train = \"photos:train\""), "{config}");
}

#[test]
fn keys_choose_the_image_and_its_label() {
    let home = Tiny::new();
    sources::write_choices(home.folder.path());
    let found = |source: &str, set: &str| {
        let words = ["data", "inspect", source, "--json"];
        let set = if set.is_empty() { vec![] } else { vec!["--set", set] };
        home.run(&[&words[..], &set].concat()).code(0).last_event()
    };
    let classes = |set: &str| found("choices.csv", set)["classes"].as_array().unwrap().len();
    assert_eq!((classes(""), classes("data.label_column=kind")), (2, 3));
    let side = |source: &str, set: &str| found(source, set)["smallest"][0].as_u64().unwrap();
    assert_eq!(side("choices.tar", ""), 40);
    assert_eq!(side("choices.tar", "data.image_extension=seg.png"), 20);
    assert_eq!(side("choices.parquet", "data.image_column=photo"), 40);
    assert_eq!(side("choices.parquet", "data.image_column=mask"), 20);
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing happened for two minutes");
        thread::sleep(Duration::from_millis(2));
    }
}
