use std::fs;

use serde_json::json;

use super::*;
use crate::checkpoint::{self, Retention, State, Tensor, save};
use crate::plan::{Facts, Plan};

fn config(sets: &[&str]) -> Config {
    let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
    Config::resolve(Some("shapes-tiny"), None, &sets, &[]).unwrap()
}

fn save_step(run: &Path, step: u64) {
    let tensor = Tensor { name: "w".to_owned(), shape: vec![2], values: &[1.0, step as f32] };
    let mut state = State::new(step, 0, String::new());
    let dataset = multicrop::open("shapes").unwrap();
    sign(&mut state, &config(&[]), &Images::of(dataset.as_ref()));
    save(run, &[tensor], &state, Retention::default()).unwrap();
}

fn resume(run: &Path, config: &Config) -> Result<Resumed> {
    resume_with(run, config, "shapes")
}

fn resume_with(run: &Path, config: &Config, source: &str) -> Result<Resumed> {
    let dataset = multicrop::open(source).unwrap();
    let plan = &Plan::new(config, &Facts::of_images(dataset.len())).unwrap();
    let images = &Images::of(dataset.as_ref());
    let dataset = dataset.as_ref();
    let wanted = Wanted { config: &plan.config, plan, dataset, images, allow_data_change: false };
    RunFolder::resume(run, &wanted)
}

#[test]
fn the_first_free_number_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("runs");
    assert_eq!(first_free(&base, "a", &mut Made::default()).unwrap(), base.join("a-1"));
    assert_eq!(first_free(&base, "a", &mut Made::default()).unwrap(), base.join("a-2"));
    assert_eq!(first_free(&base, "b", &mut Made::default()).unwrap(), base.join("b-1"));
}

#[test]
fn a_used_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("run"), config(&[]));
    drop(RunFolder::create(Some(&path), "", &config).unwrap());
    let error = RunFolder::create(Some(&path), "", &config).unwrap_err();
    assert_eq!(error.to_string(), format!("run folder `{}` is used already", path.display()));
    assert!(error.hint().unwrap().contains("--resume"));
    let error = RunFolder::create(Some(folder.path()), "", &config).unwrap_err();
    assert!(matches!(error, Error::NoRun { .. }), "{error}");
}

#[test]
fn only_one_process_writes_into_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&[]);
    let run = RunFolder::create(Some(folder.path()), "", &config).unwrap();
    let error = resume(folder.path(), &config).unwrap_err();
    assert!(matches!(error, Error::RunLocked { .. }), "{error}");
    drop(run);
    resume(folder.path(), &config).unwrap();
}

#[test]
fn another_configuration_is_refused_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    drop(resume(folder.path(), &config(&["seed=3"])).unwrap());
    drop(resume(folder.path(), &config(&["seed=3", "run.threads=2"])).unwrap());
    let error = resume(folder.path(), &config(&["seed=4"])).unwrap_err();
    assert!(error.to_string().ends_with("configuration: `seed` is 3 there and 4 now"));
}

#[test]
fn a_run_goes_on_at_its_newest_whole_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path(), config(&[]));
    let mut run = RunFolder::create(Some(path), "", &config).unwrap();
    let mut metrics = run.metrics(0).unwrap();
    for step in 1..=5 {
        metrics.write(step, &json!({"loss": 1})).unwrap();
    }
    run.quarantine().unwrap().write(&json!({"path": "a"})).unwrap();
    save_step(path, 2);
    save_step(path, 4);
    drop(run);
    fs::write(checkpoint::path_of(path, 4).join(checkpoint::TENSORS), b"short").unwrap();
    fs::create_dir(path.join("checkpoints/.tmp-step-00000006")).unwrap();
    let resumed = resume(path, &config).unwrap();
    assert_eq!(resumed.loaded.unwrap().state.step, 2);
    assert!(resumed.warnings[0].contains("step-00000004"), "{:?}", resumed.warnings);
    assert!(!path.join("checkpoints/.tmp-step-00000006").exists());
    assert!(path.join("checkpoints/refused-step-00000004").exists());
    let lines = fs::read_to_string(path.join(MetricsWriter::FILE)).unwrap();
    assert_eq!(lines.lines().count(), 2);
    save_step(path, 4);
    assert_eq!(checkpoint::steps(path).unwrap(), [2, 4]);
}

#[test]
fn a_refused_run_leaves_nothing_that_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let (deep, config) = (folder.path().join("a/b/run"), config(&[]));
    let mut run = RunFolder::create(Some(&deep), "", &config).unwrap();
    drop((run.metrics(0).unwrap(), run.quarantine().unwrap()));
    run.discard();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(folder.path().join("photo.jpg"), "mine").unwrap();
    RunFolder::create(Some(folder.path()), "", &config).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let mut run = RunFolder::create(Some(&deep), "", &config).unwrap();
    run.quarantine().unwrap().write(&json!({"name": "a"})).unwrap();
    run.discard();
    assert!(deep.join("quarantine.jsonl").is_file(), "a list of bad images is worth keeping");
}

#[test]
fn a_run_that_lost_its_checkpoints_does_not_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path(), config(&[]));
    let mut run = RunFolder::create(Some(path), "", &config).unwrap();
    run.metrics(0).unwrap().write(3, &json!({"loss": 1})).unwrap();
    drop(run);
    let mut resumed = resume(path, &config).unwrap();
    assert!(resumed.warnings[0].contains("ended after step 3 and before its first checkpoint"));
    resumed.folder.metrics(0).unwrap().write(4, &json!({"loss": 1})).unwrap();
    resumed.folder.note_checkpoint();
    drop(resumed);
    let error = resume(path, &config).unwrap_err();
    assert!(matches!(error, Error::CheckpointsGone { step: 4, .. }), "{error}");
    // An older version left no mark: then the steps show it.
    fs::write(path.join(LOCK), "").unwrap();
    drop(resume(path, &config).unwrap());
    drop(JsonLines::open(&path.join(MetricsWriter::FILE)).unwrap().write(&json!({"step": 90_000})));
    fs::write(path.join(LOCK), "").unwrap();
    let error = resume(path, &config).unwrap_err();
    assert!(matches!(error, Error::CheckpointsGone { step: 90_000, .. }), "{error}");
}

#[test]
fn a_folder_that_was_moved_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("run"), config(&[]));
    let run = RunFolder::create(Some(&path), "", &config).unwrap();
    assert!(run.is_in_place());
    fs::rename(&path, folder.path().join("moved")).unwrap();
    assert!(!run.is_in_place());
    let replacement = run.replacement(&config).unwrap();
    assert!(replacement.path() == path && !run.is_in_place());
    assert_eq!(run.replacement(&config).unwrap().path(), folder.path().join("run-saved-1"));
}

#[test]
fn keys_of_another_version_are_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path(), config(&[]));
    drop(RunFolder::create(Some(path), "", &config).unwrap());
    let text = fs::read_to_string(path.join(CONFIG)).unwrap();
    fs::write(path.join(CONFIG), text.replace("[data]", "[data]\nfuture = 3")).unwrap();
    let resumed = resume(path, &config).unwrap();
    assert!(resumed.warnings[0].starts_with("`data.future` in `"), "{:?}", resumed.warnings);
    assert!(resumed.warnings[0].contains("line 4"), "{:?}", resumed.warnings);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path(), config(&[]));
    drop(RunFolder::create(Some(path), "", &config).unwrap());
    save_step(path, 2);
    drop(resume(path, &config).unwrap());
    let text = fs::read_to_string(path.join(CONFIG)).unwrap();
    let flipped = text.replace("lr = 0.0", "lr = 0.1");
    assert_ne!(text, flipped);
    fs::write(path.join(CONFIG), &flipped).unwrap();
    let error = resume(path, &config).unwrap_err();
    assert!(matches!(error, Error::OtherRun { .. }), "{error}");
    assert!(error.to_string().contains("`optim.lr` is 0.0"), "{error}");
    assert_eq!(fs::read_to_string(path.join(CONFIG)).unwrap(), flipped);
    fs::write(path.join(CONFIG), text).unwrap();
    let error = resume_with(path, &config, "shapes:test").unwrap_err();
    assert!(matches!(error, Error::OtherImages { .. }), "{error}");
}
