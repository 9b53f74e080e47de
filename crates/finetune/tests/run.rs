//! Whole trainings on built-in images: continued ones, any number of threads, and bad input.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{ParamTable, Params};
use finetune::{
    BEST, Error, Event, LAST, Mixing, RECORD, Recipe, Request, Settings, Summary, finetune,
};
use multicrop::Dataset;
use probe::{Preprocess, preprocess};
use vit::{Vit, VitShape};

const IMAGES: usize = 40;

fn shape() -> VitShape {
    VitShape {
        embed_dim: 16,
        depth: 2,
        heads: 2,
        mlp_hidden: 32,
        patch_size: 8,
        image_size: 32,
        ..VitShape::default()
    }
}

fn trained() -> Params {
    let mut table = ParamTable::default();
    Vit::new(&shape(), "backbone.", &mut table);
    let mut params = Params::zeros(Arc::new(table));
    let values = params.whole_mut().host_mut().iter_mut().enumerate();
    values.for_each(|(i, x)| *x = ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 0.5);
    params
}

fn settings() -> Settings {
    Settings {
        epochs: 3,
        batch_size: 6,
        drop_path: 0.3,
        mixing: Mixing { mixup: 0.8, cutmix: 1.0 },
        ..Recipe::Strong.settings(IMAGES, 16)
    }
    .with_parts()
}

fn request(trained: &Params, settings: Settings, out: Option<PathBuf>) -> Request<'_> {
    let train: Arc<dyn Dataset> = multicrop::open("shapes:train").unwrap();
    let preprocess = preprocess::Settings {
        resize: None,
        crop: Some(32),
        patch_size: 8,
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        decode: multicrop::decode::Options::default(),
        batch_size: 16,
        strict: false,
    };
    Request {
        shape: shape(),
        trained,
        source: "values".to_owned(),
        preprocess: Preprocess::new(preprocess, train.as_ref()).unwrap(),
        train,
        test: multicrop::open("shapes:test").unwrap(),
        limits: [Some(IMAGES), Some(20)],
        settings,
        resume: out.is_some(),
        out,
    }
}

/// Trains into a folder, and stops after this step.
fn train(out: &Path, stop_after: Option<u64>) -> finetune::Result<Summary> {
    train_with(settings(), out, stop_after)
}

fn train_with(
    settings: Settings,
    out: &Path,
    stop_after: Option<u64>,
) -> finetune::Result<Summary> {
    let (trained, stop) = (trained(), AtomicBool::new(false));
    finetune(request(&trained, settings, Some(out.to_owned())), &stop, &mut |event| {
        if let Event::Step(record) = event {
            stop.store(Some(record.step) == stop_after, Ordering::Relaxed);
        }
    })
}

fn files(out: &Path) -> Vec<Vec<u8>> {
    let step = "state/checkpoints/step-00000018/model.safetensors";
    [LAST, BEST, RECORD, step].iter().map(|name| fs::read(out.join(name)).unwrap()).collect()
}

#[test]
fn a_stopped_training_continues_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let expected = train(&whole, None).unwrap();
    assert_eq!((expected.steps, expected.tests.len(), expected.interrupted), (18, 3, false));
    // in the middle of an epoch, at the end of one before the test, and in the last one
    for stop_after in [4, 12, 17] {
        let stopped = train(&parts, Some(stop_after)).unwrap();
        assert_eq!((stopped.steps, stopped.interrupted), (stop_after, true));
        assert_eq!(stopped.saved, Some((stop_after, parts.clone())));
        assert!(!parts.join(LAST).exists());
    }
    let mut found = train(&parts, None).unwrap();
    found.saved.clone_from(&expected.saved);
    assert_eq!(found, expected);
    assert_eq!(files(&whole), files(&parts));
    // what is complete stays as it is
    let again = train(&parts, None).unwrap();
    assert_eq!((again.tests, again.steps), (expected.tests, 18));
    assert_eq!(files(&whole), files(&parts));
}

#[test]
fn epochs_without_a_test_continue_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let settings = || Settings { test_every: 2, ..settings() };
    let expected = train_with(settings(), &whole, None).unwrap();
    assert_eq!(expected.tests.iter().map(|test| test.epoch).collect::<Vec<_>>(), [2, 3]);
    for stop_after in [Some(6), Some(8), None] {
        train_with(settings(), &parts, stop_after).unwrap();
    }
    assert_eq!(files(&whole), files(&parts));
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&whole, None).unwrap();
    train(&parts, Some(9)).unwrap();
    let newest = parts.join("state/checkpoints/step-00000009/model.safetensors");
    let mut bytes = fs::read(&newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&newest, bytes).unwrap();
    train(&parts, None).unwrap();
    assert_eq!(files(&whole), files(&parts));
}

#[test]
fn threads_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let with = |threads: usize| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&out, None)).unwrap();
        files(&out)
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_is_continued_must_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    train(&out, Some(2)).unwrap();
    let error = |change: &dyn Fn(&mut Request<'_>)| {
        let (trained, stop) = (trained(), AtomicBool::new(false));
        let mut request = request(&trained, settings(), Some(out.clone()));
        change(&mut request);
        finetune(request, &stop, &mut |_| ()).unwrap_err().to_string()
    };
    assert!(error(&|request| request.settings.lr = 0.5).contains("`settings.lr` 0.001, not 0.5"));
    assert!(error(&|request| request.limits[0] = Some(39)).contains("`images`"));
    assert!(error(&|request| request.resume = false).contains("`--resume`"));
    let mut other = trained();
    other.whole_mut().host_mut()[3] += 1.0;
    let request = request(&other, settings(), Some(out.clone()));
    let error = finetune(request, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("`start`"), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_ends_training_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (out, mut broken) = (folder.path().join("out"), trained());
    broken.whole_mut().host_mut().fill(3e38);
    let request = request(&broken, settings(), Some(out.clone()));
    let error = finetune(request, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    let Error::NotFinite { step, saved, .. } = &error else { panic!("{error}") };
    assert_eq!((*step, saved), (1, &Some((0, out.clone()))));
    assert!(error.to_string().contains("is kept in"), "{error}");
    assert!(out.join("state/checkpoints/step-00000000/model.safetensors").is_file());
}
