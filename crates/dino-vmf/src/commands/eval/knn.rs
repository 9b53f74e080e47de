//! `dino-vmf eval knn`: k-NN classification accuracy of frozen features.

use std::ops::ControlFlow;

use anyhow::{Result, ensure};
use clap::{Args, ValueHint};
use dino::config::{self, Origin};
use dino::evaluation;
use dino::memory::Beside;
use dino::open::Opened;
use probe::sets::own_copies;
use probe::{
    Encoder, Evaluated, Judgment, Kind, Pass, Progress, RawPixels, Score, Scores, Size, Source,
    Subset, Views, Wanted, knn,
};
use report::number::counted;
use serde_json::{Map, Value, json};

use super::super::opening::Checkpoint;
use super::super::viewing::{Viewing, show_images};
use super::beside;
use super::labelled::{Labelled, checked, keep, storage};
use crate::console::Console;

/// Classify images by their nearest neighbors in feature space
///
/// The K most similar training images vote for the label of a test image, each with weight
/// exp(cosine similarity / 0.07). Nothing is trained. The features are those of the teacher's backbone. With
/// `--baselines` the table also has raw pixels and the same network before training; they take longer than the
/// trained network.
///
/// Without `--data`, `--train` and `--test`, the images are those on which the run itself was evaluated. With
/// `--leave-one-out` each image of one source is classified by the others.
///
/// Example: dino-vmf eval knn runs/a --data photos/
#[derive(Debug, Args)]
pub(crate) struct Knn {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    images: Labelled,
    /// Labelled images of which each is classified by all others, for a source without parts
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    #[arg(conflicts_with_all = ["data", "train", "test", "max_train", "max_test", "baselines"])]
    leave_one_out: Option<String>,
    /// Number of neighbors that vote; each number gets a row
    ///
    /// 20 is common. Use fewer than there are training images per class.
    #[arg(long, value_name = "K,K", value_delimiter = ',', default_value = "10,20")]
    #[arg(allow_negative_numbers = true)]
    k: Vec<i64>,
    /// Measure raw pixels and the untrained network, too
    #[arg(long)]
    baselines: bool,
    #[command(flatten)]
    viewing: Viewing,
}

impl Knn {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let k = self.neighbors()?;
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |eval| eval.k = k)?;
        if let Some(source) = &self.leave_one_out {
            return leave_one_out(source, &opened, console);
        }
        let knn = knn::Knn::new(evaluation::knn_settings(&opened.config.eval));
        let mut evaluation = self.images.open(&mut opened, vec![Box::new(knn)], console)?;
        let network = &opened.network;
        let encoder = |name, params| Encoder { name, network, params };
        let first = self.baselines.then(|| opened.draw_untrained());
        let untrained = first.as_ref().map(|params| encoder("untrained", params));
        let trained = encoder("trained", &opened.teacher);
        let mut sources: Vec<&dyn Source> = Vec::new();
        if let Some(untrained) = &untrained {
            sources.extend([&RawPixels as &dyn Source, untrained]);
        }
        sources.push(&trained);
        let names = if self.baselines { "raw pixels, untrained, trained" } else { "trained" };
        let values = evaluation.values_of_image(&sources);
        let pixels = self.baselines.then_some(&RawPixels as &dyn Source);
        let width = |kind| {
            let wanted = Wanted { kind, unit: true };
            let pixels = pixels.map_or(0, |source| evaluation.values_of_features(source, wanted));
            evaluation::width(&opened.config, kind).max(pixels)
        };
        let beside = Beside { fitted: evaluation.bytes_of_probes(&width), ..Beside::default() };
        keep(&mut evaluation, &opened.config, values, beside, console)?;
        let judged = evaluation.judge(&sources, &mut |done, total| {
            show_images(console, "k-NN", (done, total), names);
            ControlFlow::Continue(())
        })?;
        console.end_progress();
        judged.warnings.iter().for_each(|text| console.warn(text));
        let images = Images::Two(judged.read);
        print(opened.step, &judged.judgments, images, console);
        Ok(())
    }

    fn neighbors(&self) -> Result<Vec<usize>, config::Error> {
        let count = |&k: &i64| usize::try_from(k).ok().filter(|k| *k > 0);
        self.k.iter().map(count).collect::<Option<Vec<_>>>().ok_or_else(|| {
            config::Error::BadValue {
                key: "eval.k".to_owned(),
                origin: Origin::Flag("--k".to_owned()),
                found: format!("{:?}", self.k),
                needed: "list numbers from 1 on".to_owned(),
            }
        })
    }
}

/// Classifies each image of a source by the others.
fn leave_one_out(source: &str, opened: &Opened, console: &mut Console) -> Result<()> {
    let images = Subset::labelled(evaluation::open_labelled(&opened.config.data, source)?, None, 0);
    images.notes().into_iter().chain(own_copies(&images)).for_each(|text| console.warn(text));
    warn_of_single_images(&images, console)?;
    let preprocess = evaluation::preprocess(&opened.config, images.dataset())?;
    let encoder = Encoder { name: "trained", network: &opened.network, params: &opened.teacher };
    let wanted = Wanted { kind: Kind::Cls, unit: true };
    let pass = Pass { images: &images, preprocess: &preprocess, views: Views::Square };
    let values = pass.values_of_image(&[&encoder], &[wanted]);
    let (side, classes) = (preprocess.view.crop as usize, images.dataset().classes().len());
    let evaluated = Evaluated { images: images.len(), held: images.len(), side, classes };
    let knn::Settings { k, temperature } = evaluation::knn_settings(&opened.config.eval);
    let size = Size { train: images.len(), test: images.len(), width: values, classes };
    let beside = beside::neighbors(size, k.iter().copied().max().unwrap_or(0));
    let storage = storage(&opened.config, evaluated, values, beside, console)?;
    let mut report = |done, total| {
        show_images(console, "k-NN", (done, total), "trained");
        ControlFlow::Continue(())
    };
    let progress = &mut Progress::new(images.len(), &mut report);
    let found = pass.extract_to(storage, &[&encoder], &[wanted], progress)?;
    console.end_progress();
    let features = checked(found, console)?;
    let accuracies = knn::classify_leaving_one_out(&features, &k, temperature);
    let scores: Vec<Scores> = accuracies.into_iter().map(Scores::from).collect();
    let source = "trained".to_owned();
    let judgment = Judgment { probe: "knn", title: "k-NN", source, scores, headline: None };
    print(opened.step, &[judgment], Images::One(features.labels.len()), console);
    let (images, of) = (counted(features.labels.len(), "image"), images.dataset().describe());
    console.note(format!("protocol: each of {images} of {of} is classified by the others"));
    Ok(())
}

/// Says how many classes have a single image, which no other image can classify.
fn warn_of_single_images(images: &Subset, console: &mut Console) -> Result<()> {
    let classes = images.dataset().classes();
    let counts = images.counts_of_classes();
    let mut single = counts.iter().zip(classes).filter(|(count, _)| **count == 1);
    let Some((_, first)) = single.next() else { return Ok(()) };
    let (count, of) = (1 + single.count(), images.dataset().describe());
    ensure!(
        counts.iter().any(|count| *count > 1),
        "each class of {of} has a single image: no other image can classify it"
    );
    console.warn(format!(
        "{} with a single image in {of}, such as `{first}`: it counts as wrong",
        counted(count, "class")
    ));
    Ok(())
}

/// How many images were compared.
#[derive(Clone, Copy)]
enum Images {
    /// Each with all others.
    One(usize),
    /// Test images with training images: numbers of training images and of test images.
    Two((usize, usize)),
}

impl Images {
    fn in_words(self) -> String {
        match self {
            Self::One(all) => format!("of {all} images"),
            Self::Two((train, test)) => format!("of {test} test images; {train} training images"),
        }
    }

    fn record(self) -> Map<String, Value> {
        let record = match self {
            Self::One(all) => json!({"images": all, "leave_one_out": true}),
            Self::Two((train, test)) => json!({"train_images": train, "test_images": test}),
        };
        record.as_object().cloned().unwrap_or_default()
    }
}

/// Prints a table of a probe's scores: a row for each setting, a column for each source. The trained
/// network is the last column.
fn print(step: Option<u64>, columns: &[Judgment], images: Images, console: &mut Console) {
    let Some((trained, others)) = columns.split_last() else { return };
    let Some(first) = trained.scores.first() else { return };
    let [titles, units] = [|score: &Score| score.title, |score: &Score| score.unit]
        .map(|of| first.values.iter().map(of).collect::<Vec<_>>());
    let unit = units.first().copied().unwrap_or_default();
    let images_in_words = images.in_words();
    console.text(format!("{} {}, {unit} {images_in_words}", trained.title, with_rest(&titles)));
    let setting = first.setting.map_or("", |(name, _)| name);
    let names = columns.iter().map(|column| format!("{:>17}", in_words(&column.source)));
    console.text(format!("{setting:>5}{}", names.collect::<String>()));
    for (row, scores) in trained.scores.iter().enumerate() {
        let cell = |column: &Judgment| {
            let values = column.scores[row].values.iter();
            let values: Vec<_> = values.map(|score| format!("{:.2}", score.value)).collect();
            format!("{:>17}", with_rest(&values))
        };
        let setting = scores.setting.map_or(String::new(), |(_, value)| value.to_string());
        console.text(format!("{setting:>5}{}", columns.iter().map(cell).collect::<String>()));
        let mut record = record(step, scores, others, row);
        record.extend(images.record());
        console.event(trained.probe, &record);
    }
}

/// A row as JSON: the setting, the scores of the trained network, and an object of scores for each other
/// source.
fn record(
    step: Option<u64>,
    scores: &Scores,
    others: &[Judgment],
    row: usize,
) -> Map<String, Value> {
    let values = |scores: &Scores| -> Map<String, Value> {
        let values = scores.values.iter();
        values.map(|score| (score.name.to_owned(), json!(score.value))).collect()
    };
    let mut record = values(scores);
    record.insert("step".to_owned(), json!(step));
    record.extend(scores.setting.map(|(name, value)| (name.to_owned(), json!(value))));
    let others = others.iter();
    record.extend(others.map(|of| (of.source.clone(), json!(values(&of.scores[row])))));
    record
}

/// The first text, then the others in brackets.
fn with_rest(texts: &[impl AsRef<str>]) -> String {
    let mut texts = texts.iter().map(AsRef::as_ref);
    let first = texts.next().unwrap_or_default().to_owned();
    match texts.collect::<Vec<_>>().join(", ") {
        rest if rest.is_empty() => first,
        rest => format!("{first} ({rest})"),
    }
}

/// A source in words.
fn in_words(source: &str) -> &str {
    if source == "raw" { "raw pixels" } else { source }
}
