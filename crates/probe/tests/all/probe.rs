//! A probe of a few lines, and images that cannot be read.

use std::ops::ControlFlow;
use std::sync::Arc;

use multicrop::augment::normalize::{IMAGENET_MEAN, IMAGENET_STD};
use multicrop::dataset::{Dataset, Sample};
use multicrop::decode;
use multicrop::error::SampleError;
use multicrop::image::Image8;
use multicrop::recipe::Recipe;
use probe::evaluation::Settings;
use probe::{
    Encoder, Error, Evaluation, Extracted, Features, Kind, Matrix, Pass, Preprocess, Probe,
    Progress, RawPixels, Score, Scores, Size, Source, Storage, Subset, Views, Wanted, knn,
    preprocess,
};
use vit::{HeadShape, Network, VitShape, init};

/// Each image gets the class whose mean feature is nearest: a whole probe.
struct NearestClassMean;

impl Probe for NearestClassMean {
    fn name(&self) -> &'static str {
        "class_mean"
    }

    fn title(&self) -> &'static str {
        "nearest class mean"
    }

    fn wants(&self) -> Wanted {
        Wanted { kind: Kind::LastCls(2), unit: false }
    }

    fn flops(&self, Size { test, width, classes, .. }: Size) -> f64 {
        2.0 * (test * width * classes) as f64
    }

    fn score(
        &self,
        train: &Features,
        test: &Features,
        progress: &mut Progress<'_>,
    ) -> probe::Result<Vec<Scores>> {
        progress.note("a doubtful mean".to_owned());
        let means = means(train);
        let distance =
            |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
        let nearest = |row: &[f32]| {
            let distances = means.iter().map(|mean| distance(row, mean)).enumerate();
            distances.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class as u32)
        };
        let hits = test.rows.rows().zip(&test.labels);
        let hits = hits.filter(|(row, label)| nearest(row) == Some(**label)).count();
        let value = 100.0 * hits as f64 / test.labels.len() as f64;
        let score = Score { name: "accuracy", title: "accuracy", value, unit: "percent" };
        Ok(vec![Scores { setting: None, values: vec![score] }])
    }
}

fn means(features: &Features) -> Vec<Vec<f32>> {
    let classes = features.labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mean = |class: usize| {
        let rows = features.rows.rows().zip(&features.labels);
        let rows: Vec<_> = rows.filter(|(_, label)| **label as usize == class).collect();
        let mut mean = vec![0.0; features.rows.width];
        for (row, _) in &rows {
            mean.iter_mut().zip(*row).for_each(|(mean, x)| *mean += x / rows.len() as f32);
        }
        mean
    };
    (0..classes).map(mean).collect()
}

/// A small network with drawn weights.
fn network() -> (Network, engine::Params) {
    let vit = VitShape {
        embed_dim: 16,
        depth: 3,
        heads: 2,
        mlp_hidden: 64,
        patch_size: 8,
        image_size: 32,
        ..VitShape::default()
    };
    let head = HeadShape {
        embed_dim: 16,
        hidden_dim: 16,
        bottleneck_dim: 8,
        prototypes: 32,
        ..HeadShape::default()
    };
    let network = Network::new(&vit, &head);
    let params = init::draw(&network, 1, 0.02);
    (network, params)
}

/// Images as they are, in batches of 32.
fn preprocess() -> preprocess::Settings {
    preprocess::Settings {
        resize: None,
        crop: None,
        patch_size: 8,
        mean: IMAGENET_MEAN.to_vec(),
        std: IMAGENET_STD.to_vec(),
        decode: decode::Options::default(),
        batch_size: 32,
        strict: false,
    }
}

/// 120 of the built-in images judge 50 others.
fn evaluation(probes: Vec<Box<dyn Probe>>) -> Evaluation {
    let settings = Settings { preprocess: preprocess(), max_train: Some(120), max_test: Some(50) };
    let open = |source| multicrop::open(source).expect("built-in images");
    Evaluation::new(open("shapes:train"), open("shapes:test"), settings, probes)
        .expect("both have labels")
}

fn knn() -> Box<dyn Probe> {
    Box::new(knn::Knn::new(knn::Settings { k: vec![5, 20], temperature: 0.07 }))
}

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_new_probe_is_one_type_beside_k_nn() {
    let (network, params) = network();
    let encoder = Encoder { name: "untrained", network: &network, params: &params };
    let evaluation = evaluation(vec![knn(), Box::new(NearestClassMean)]);
    let mut most = (0, 0);
    let mut report = |done, total| {
        most = (done, total);
        ControlFlow::Continue(())
    };
    let judged = evaluation.judge(&[&RawPixels, &encoder], &mut report).unwrap();
    assert_eq!(most, (170, 170));
    assert_eq!(judged.warnings, ["a doubtful mean"; 2]);
    let found: Vec<_> = judged.judgments.iter().map(|of| (of.probe, of.source.as_str())).collect();
    let expected =
        [("knn", "raw"), ("class_mean", "raw"), ("knn", "untrained"), ("class_mean", "untrained")];
    assert_eq!(found, expected);
    for judgment in &judged.judgments {
        let headline = judgment.headline.as_ref().unwrap();
        let value = headline.values[0].value;
        assert!((0.0..=100.0).contains(&value), "{judgment:?}");
        let is_knn = judgment.probe == "knn";
        assert_eq!(headline.setting, is_knn.then_some(("k", 20)));
        let json = serde_json::to_value(headline).unwrap();
        assert_eq!(json[if is_knn { "top1" } else { "accuracy" }], value);
    }
}

#[test]
fn a_probe_can_be_tried_without_images() {
    let features = |values: &[f32]| Features {
        rows: Matrix::new(values.to_vec(), 1),
        labels: vec![0, 0, 1, 1],
    };
    let (train, test) = (features(&[0.0, 2.0, 9.0, 11.0]), features(&[1.0, 6.0, 6.5, 30.0]));
    let mut report = go_on;
    let scores = NearestClassMean.score(&train, &test, &mut Progress::new(0, &mut report)).unwrap();
    assert_eq!(scores[0].values[0].value, 75.0);
}

#[test]
fn one_pass_for_all_sources_gives_the_bits_of_a_pass_for_each() {
    let (network, params) = network();
    let encoder = Encoder { name: "untrained", network: &network, params: &params };
    let evaluation = evaluation(vec![knn()]);
    let judge = |sources: &[&dyn Source]| evaluation.judge(sources, &mut go_on).unwrap().judgments;
    let both = judge(&[&RawPixels, &encoder]);
    assert_eq!(both, [judge(&[&RawPixels]), judge(&[&encoder])].concat());
}

#[test]
fn training_rows_that_are_not_held_give_the_same_accuracies() {
    let (network, params) = network();
    let encoder = Encoder { name: "untrained", network: &network, params: &params };
    let sources: [&dyn Source; 2] = [&RawPixels, &encoder];
    let streamed = evaluation(vec![knn()]);
    // class means need all training rows at once
    let held = evaluation(vec![knn(), Box::new(NearestClassMean)]);
    assert_eq!((streamed.size().held, held.size().held), (50, 170));
    let judge = |of: &Evaluation| of.judge(&sources, &mut go_on).unwrap().judgments;
    let mut expected = judge(&held);
    expected.retain(|judgment| judgment.probe == "knn");
    assert_eq!(judge(&streamed), expected);
    let stop = &mut |done, _| if done >= 64 { ControlFlow::Break(()) } else { go_on(0, 0) };
    assert!(matches!(streamed.judge(&sources, stop), Err(Error::Stopped(_))));
}

#[test]
fn an_evaluation_can_be_stopped() {
    let evaluation = evaluation(vec![Box::new(NearestClassMean)]);
    let stop = &mut |done, _| if done >= 64 { ControlFlow::Break(()) } else { go_on(0, 0) };
    assert!(matches!(evaluation.judge(&[&RawPixels], stop), Err(Error::Stopped(_))));
}

/// Gray images, every `every`th of which cannot be read.
struct Broken {
    len: usize,
    every: usize,
}

impl Broken {
    fn is_bad(&self, index: usize) -> bool {
        index.is_multiple_of(self.every)
    }
}

impl Dataset for Broken {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        match self.is_bad(index) {
            true => Err(SampleError::Empty),
            false => Ok(Sample::Pixels(Image8::filled(32, 32, &[index as u8, 90, 7]))),
        }
    }

    fn label(&self, index: usize) -> Option<u32> {
        Some(index as u32 % 2)
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        format!("{index}.png")
    }

    fn describe(&self) -> String {
        "some images".to_owned()
    }
}

/// Features of the readable images of a source.
fn extract(
    settings: preprocess::Settings,
    dataset: Broken,
    kinds: &[Kind],
) -> Result<Extracted, Error> {
    let (network, params) = network();
    let encoder = Encoder { name: "untrained", network: &network, params: &params };
    let dataset = Arc::new(dataset);
    let preprocess = Preprocess::new(settings, dataset.as_ref())?;
    let images = &Subset::labelled(dataset, None, 0);
    let pass = Pass { images, preprocess: &preprocess, views: Views::Square };
    let wanted: Vec<_> = kinds.iter().map(|&kind| Wanted { kind, unit: false }).collect();
    pass.extract(&[&encoder], &wanted, &mut Progress::new(images.len(), &mut go_on))
}

#[test]
fn unreadable_images_are_left_out_and_counted() {
    let kinds = [Kind::Cls, Kind::Bottleneck, Kind::PatchBottleneck, Kind::LastCls(2)];
    let found = extract(preprocess(), Broken { len: 80, every: 10 }, &kinds).unwrap();
    let whole = extract(preprocess(), Broken { len: 80, every: 1000 }, &kinds).unwrap();
    let kept: Vec<usize> = (0..80).filter(|index| index % 10 != 0).collect();
    assert_eq!(found.passed.indices, kept);
    let text = found.passed.left_out.unwrap();
    let expected = "8 of 80 images of some images cannot be read and are left out, the first is \
                    `0.png`: the file is empty";
    assert_eq!(text, expected);
    let of_image = [1, 1, 16, 1];
    for ((found, whole), rows) in found.features[0].iter().zip(&whole.features[0]).zip(of_image) {
        assert_eq!(found.rows.len(), rows * kept.len());
        let expected: Vec<u32> = kept.iter().map(|&index| index as u32 % 2).collect();
        assert_eq!(found.labels, expected);
        // Image 0 is the only one that the whole set lacks.
        let row = |from: &Features, image: usize| {
            from.rows.rows().skip(image * rows).take(rows).flatten().copied().collect::<Vec<_>>()
        };
        for (place, &index) in kept.iter().enumerate() {
            assert_eq!(row(found, place), row(whole, index - 1), "image {index}");
        }
    }
}

#[test]
fn the_memory_of_features_is_known_before_they_are_extracted() {
    let (network, params) = network();
    let encoder = Encoder { name: "untrained", network: &network, params: &params };
    let sources: [&dyn Source; 3] = [&RawPixels, &encoder, &encoder];
    // k-NN takes [CLS] tokens of width 16, the class means the tokens of two blocks
    let both = evaluation(vec![knn(), Box::new(NearestClassMean)]).values_of_image(&sources);
    assert_eq!(both, 2 * (3 * 64 * 64) + 2 * (16 + 2 * 16));
    let dataset = Arc::new(Broken { len: 40, every: 1000 });
    let preprocess = Preprocess::new(preprocess(), dataset.as_ref()).unwrap();
    let images = &Subset::new(dataset, None, 0);
    let recipe = &Recipe::dino(16, 8, 0);
    for views in [Views::Square, Views::GlobalCrops { recipe, seed: 1 }] {
        let pass = Pass { images, preprocess: &preprocess, views };
        let kinds = [Kind::Cls, Kind::LastCls(9), Kind::Bottleneck, Kind::PatchBottleneck];
        let wanted = kinds.map(|kind| Wanted { kind, unit: false });
        let mut report = go_on;
        let progress = &mut Progress::new(40, &mut report);
        let mut extract =
            |storage| pass.extract_to(storage, &sources, &wanted, progress).unwrap().features;
        let of_storages = [Storage::Memory, Storage::Disk { buffer: 0 }].map(&mut extract);
        for features in &of_storages {
            let held = features.iter().flatten().map(|features| features.rows.values.capacity());
            // Image 0 cannot be read; there is room for it all the same.
            assert_eq!(held.sum::<usize>(), 40 * pass.values_of_image(&sources, &wanted));
        }
        assert_eq!(of_storages[0], of_storages[1]);
    }
}

#[test]
fn too_many_unreadable_images_are_an_error() {
    let refused = |dataset| extract(preprocess(), dataset, &[Kind::Cls]).unwrap_err().to_string();
    let text = refused(Broken { len: 110, every: 10 });
    assert!(
        text.starts_with("11 of 110 images cannot be used (11 empty, first `0.png`)"),
        "{text}"
    );
    // 1 % of many images
    let many = extract(preprocess(), Broken { len: 2000, every: 100 }, &[Kind::Cls]).unwrap();
    assert_eq!(many.passed.indices.len(), 1980);
    // not one image is left
    let text = refused(Broken { len: 3, every: 1 });
    assert_eq!(text, "image `0.png` of some images cannot be evaluated: the file is empty");
}

#[test]
fn a_strict_run_leaves_out_no_image() {
    let strict = preprocess::Settings { strict: true, crop: Some(32), ..preprocess() };
    let error = extract(strict, Broken { len: 80, every: 40 }, &[Kind::Cls]).unwrap_err();
    assert!(matches!(error, Error::EvalImage { .. }), "{error}");
}
