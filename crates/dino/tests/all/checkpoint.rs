//! Checkpoints under every kind of damage.

use std::fs;
use std::path::Path;

use dino::checkpoint::{
    self, Error, Retention, STATE, State, TENSORS, Tensor, Tensors, load, load_newest_valid,
    path_of,
};

const VALUES: [f32; 6] = [1.0, -2.5, 3.0e-7, f32::MAX, 0.0, -0.0];

fn save(run: &Path, step: u64) {
    save_with(run, step, Retention::default()).expect("a checkpoint saved");
}

fn save_with(run: &Path, step: u64, retention: Retention) -> Result<(), Error> {
    let weights = Tensor { name: "student.w".to_owned(), shape: vec![2, 3], values: &VALUES };
    let last = [step as f32];
    let center = Tensor { name: "center".to_owned(), shape: vec![1], values: &last };
    let mut state = State::new(step, 7, "fingerprint".to_owned());
    state.optimizer_steps.insert("student.w".to_owned(), step);
    state.extra.insert("skipped".to_owned(), 0.into());
    checkpoint::save(run, &[weights, center], &state, retention).map(drop)
}

fn newest(run: &Path) -> Option<u64> {
    load_newest_valid(run)
        .expect("a whole checkpoint or none")
        .loaded
        .map(|loaded| loaded.state.step)
}

#[test]
fn what_is_saved_is_loaded() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1800);
    let loaded = load(&run.path().join("checkpoints/step-00001800")).unwrap();
    assert_eq!((loaded.state.step, loaded.state.seed), (1800, 7));
    assert_eq!(loaded.state.optimizer_steps["student.w"], 1800);
    let found = loaded.tensors.get("student.w", &[2, 3]).unwrap();
    assert_eq!(found.map_bits(), VALUES.to_vec().map_bits());
    assert_eq!(loaded.tensors.names().collect::<Vec<_>>(), ["center", "student.w"]);
    loaded.tensors.only(["center", "student.w", "more"].into_iter()).unwrap();
}

trait MapBits {
    fn map_bits(self) -> Vec<u32>;
}

impl MapBits for Vec<f32> {
    fn map_bits(self) -> Vec<u32> {
        self.into_iter().map(f32::to_bits).collect()
    }
}

#[test]
fn equal_states_are_equal_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    save(a.path(), 3);
    save(b.path(), 3);
    for file in [TENSORS, STATE] {
        let read = |run: &Path| fs::read(path_of(run, 3).join(file)).unwrap();
        assert_eq!(read(a.path()), read(b.path()));
    }
}

#[test]
fn refuses_a_file_cut_off_anywhere() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    save(run.path(), 2);
    for file in [TENSORS, STATE] {
        let path = path_of(run.path(), 2).join(file);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let found = load_newest_valid(run.path()).unwrap();
            assert_eq!(found.loaded.unwrap().state.step, 1, "{file} cut to {length}");
            assert!(found.refused[0].path.ends_with("step-00000002"));
            assert!(found.refused[0].reason.to_string().contains(file));
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(newest(run.path()), Some(2));
    }
}

#[test]
fn refuses_a_file_with_a_bit_flipped_in_any_byte() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    save(run.path(), 2);
    for file in [TENSORS, STATE] {
        let path = path_of(run.path(), 2).join(file);
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&path, bytes).unwrap();
            assert_eq!(newest(run.path()), Some(1), "{file}, byte {place}");
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn refuses_a_checkpoint_with_a_file_missing() {
    for file in [TENSORS, STATE] {
        let run = tempfile::tempdir().unwrap();
        save(run.path(), 1);
        save(run.path(), 2);
        fs::remove_file(path_of(run.path(), 2).join(file)).unwrap();
        assert_eq!(newest(run.path()), Some(1));
    }
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    fs::create_dir(path_of(run.path(), 2)).unwrap();
    assert_eq!(newest(run.path()), Some(1));
    fs::remove_dir(path_of(run.path(), 2)).unwrap();
    fs::rename(path_of(run.path(), 1), path_of(run.path(), 2)).unwrap();
    let error = load_newest_valid(run.path()).unwrap_err().to_string();
    assert!(error.contains("none of the 1 checkpoints"), "{error}");
    assert!(error.contains("it belongs to step 1"), "{error}");
}

#[test]
fn a_run_without_checkpoints_has_none() {
    let run = tempfile::tempdir().unwrap();
    assert_eq!(newest(run.path()), None);
    fs::create_dir_all(run.path().join("checkpoints/.tmp-step-00000005")).unwrap();
    fs::create_dir_all(run.path().join("checkpoints/step-5")).unwrap();
    fs::create_dir_all(run.path().join("checkpoints/refused-step-00000005")).unwrap();
    assert_eq!(newest(run.path()), None);
}

#[test]
fn the_last_two_and_every_nth_are_kept() {
    let run = tempfile::tempdir().unwrap();
    let retention = Retention { every_steps: 30, ..Retention::default() };
    for step in (10..=90).step_by(10) {
        save_with(run.path(), step, retention.clone()).unwrap();
    }
    assert_eq!(checkpoint::steps(run.path()).unwrap(), [30, 60, 80, 90]);
}

#[test]
fn a_step_can_be_saved_again_over_a_damaged_one() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    fs::write(path_of(run.path(), 1).join(STATE), "{}").unwrap();
    fs::create_dir_all(run.path().join("checkpoints/.tmp-step-00000001/left/over")).unwrap();
    save(run.path(), 1);
    assert_eq!(newest(run.path()), Some(1));
    assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 1);
}

#[test]
fn a_failed_save_leaves_what_was_there() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    // A file where the folder of the checkpoint's predecessor would step aside to.
    let blocked = run.path().join("checkpoints/.old-step-00000001");
    fs::write(&blocked, "").unwrap();
    let error = save_with(run.path(), 1, Retention::default()).unwrap_err();
    assert!(error.to_string().contains("step-00000001"), "{error}");
    assert_eq!(newest(run.path()), Some(1));
    assert!(!run.path().join("checkpoints/.tmp-step-00000001").exists());
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    let tensors = Tensors::read(&path_of(run.path(), 1).join(TENSORS)).unwrap();
    let shape = tensors.get("student.w", &[3, 2]).unwrap_err().to_string();
    assert!(shape.starts_with("tensor `student.w` is [2, 3] in `"), "{shape}");
    assert!(shape.ends_with("but [3, 2] in this model"), "{shape}");
    let missing = tensors.get("teacher.w", &[1]).unwrap_err().to_string();
    assert!(missing.starts_with("tensor `teacher.w` is missing in `"), "{missing}");
    let unknown = tensors.only(["center"].into_iter()).unwrap_err().to_string();
    assert!(unknown.ends_with("has 1 unknown tensors, the first is `student.w`"), "{unknown}");
}

#[test]
fn a_value_that_is_not_finite_is_refused_by_name_and_the_checkpoint_before_it_used() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    for bad in [f32::NAN, f32::INFINITY] {
        let tensor = Tensor { name: "student.w".to_owned(), shape: vec![2], values: &[1.0, bad] };
        let state = State::new(2, 7, "fingerprint".to_owned());
        checkpoint::save(run.path(), &[tensor], &state, Retention::default()).unwrap();
        let error = load(&path_of(run.path(), 2)).unwrap_err().to_string();
        assert!(error.contains("tensor `student.w` in `"), "{error}");
        assert!(error.ends_with(&format!("has the value {bad}")), "{error}");
        assert_eq!(newest(run.path()), Some(1));
    }
}

#[cfg(unix)]
#[test]
fn a_checkpoint_that_the_system_does_not_give_out_is_not_called_damaged() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), 1);
    save(run.path(), 2);
    let state = path_of(run.path(), 2).join(STATE);
    fs::remove_file(&state).unwrap();
    // A link to itself is an error of the system that no user's rights get around.
    std::os::unix::fs::symlink(&state, &state).unwrap();
    let error = load_newest_valid(run.path()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    assert!(error.hint().unwrap().contains("it may be whole"), "{error}");
}
