//! The data sets of a suite whose images are classified: their images are read once for all checkpoints that see them
//! in the same size.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Context, Result, anyhow};
use dino::config::Config;
use dino::memory::{Beside, Kept};
use dino::open::Opened;
use dino::{evaluation, memory};
use probe::{Encoder, Evaluation, Extracted, Size, Source, Wanted};
use report::number::counted;

use super::super::super::viewing::{fit, show_images};
use super::super::score::Score;
use super::Subject;
use super::cells::{Cell, Cells, Key};
use super::file::Data;
use super::tasks::{Input, Scored, Task, find};
use crate::console::{Console, Progress, in_one_line};

/// A data set for the checkpoints that see its images in the same way.
pub(super) struct Group<'a> {
    data: &'a Data,
    fingerprint: &'a str,
    config: Config,
    evaluation: Evaluation,
    /// Places of the checkpoints.
    members: Vec<usize>,
}

/// What a reader of the scores must know, by the name of the data set.
pub(super) type Warnings = BTreeMap<String, Vec<String>>;

/// A cell that is not finished.
#[derive(Clone)]
struct Missing {
    /// Place of the checkpoint.
    member: usize,
    task: &'static Task,
    key: Key,
}

/// Opens all data sets for all checkpoints, before anything is computed, and prints what is worth a warning.
///
/// # Errors
/// Sources that are missing or have no labels, classes that differ or have a single training image.
pub(super) fn groups<'a>(
    sets: impl Iterator<Item = (&'a Data, &'a String)>,
    subjects: &[Subject],
    console: &mut Console,
) -> Result<(Vec<Group<'a>>, Warnings)> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut said = Warnings::new();
    for (data, fingerprint) in sets {
        let first = groups.len();
        for (member, subject) in subjects.iter().enumerate() {
            let config = settings(data, &subject.opened);
            let same = |group: &&mut Group<'_>| evaluation::same_inputs(&group.config, &config);
            if let Some(group) = groups[first..].iter_mut().find(same) {
                group.members.push(member);
                continue;
            }
            let of_data = || format!("data set `{}` of the suite", data.name);
            config.validate().with_context(of_data)?;
            let evaluation = evaluation::open(&config, Vec::new()).map_err(anyhow::Error::from);
            let evaluation =
                evaluation.and_then(|of| of.context("no images")).with_context(of_data)?;
            evaluation.require_images_of_each_class(2).with_context(of_data)?;
            // The images are the same in every size.
            if groups.len() == first {
                let warnings = [evaluation.warnings(), evaluation.notes()].concat();
                console.about(format!("data set `{}`", data.name), |console| {
                    warnings.iter().for_each(|text| console.warn(text));
                });
                said.insert(data.name.clone(), warnings);
            }
            groups.push(Group { data, fingerprint, config, evaluation, members: vec![member] });
        }
    }
    Ok((groups, said))
}

/// The settings of a checkpoint with those of a data set on top.
fn settings(data: &Data, opened: &Opened) -> Config {
    let mut config = opened.config.clone();
    config.evaluate_on(data.train.clone(), data.test.clone());
    fit(&mut config, opened.step, ("resize", data.resize), ("crop", data.crop));
    (config.eval.max_train, config.eval.max_test) = (data.max_train, data.max_test);
    config
}

impl Group<'_> {
    /// Computes what is missing. What fails is kept as a failed cell.
    ///
    /// # Errors
    /// A cell cannot be written.
    pub(super) fn compute(
        &self,
        (subjects, seed): (&[Subject], u64),
        cells: &mut Cells,
        console: &mut Console,
    ) -> Result<()> {
        let missing = self.missing(subjects, cells);
        if missing.is_empty() {
            return Ok(());
        }
        let together = Batch::new(self, subjects, &missing, console);
        console.end_progress();
        if together.found.is_ok() || together.members.len() == 1 {
            return self.run(&together, &missing, (subjects, seed), cells, console);
        }
        // One of the checkpoints can be the reason; the others are not to fail with it.
        for member in together.members {
            let of_member = missing.iter().filter(|of| of.member == member);
            let of_member: Vec<Missing> = of_member.cloned().collect();
            let alone = Batch::new(self, subjects, &of_member, console);
            console.end_progress();
            self.run(&alone, &of_member, (subjects, seed), cells, console)?;
        }
        Ok(())
    }

    /// Runs the tasks on features.
    fn run(
        &self,
        batch: &Batch,
        missing: &[Missing],
        (subjects, seed): (&[Subject], u64),
        cells: &mut Cells,
        console: &mut Console,
    ) -> Result<()> {
        for (done, of) in missing.iter().enumerate() {
            let (done, total) = (done as u64, missing.len() as u64);
            let text = format!("  {} on {}", of.task.title, self.data.name);
            console.progress(&Progress { what: "task", done, total, text }, false);
            let scored = batch.input(of, subjects, seed).and_then(|input| (of.task.run)(&input));
            let (title, data) = (of.task.title, &self.data.name);
            let score = scored.map(|scored| {
                if scored.not_converged > 0 {
                    let fits = counted(scored.not_converged, "fit");
                    console.warn(format!("{title} on {data}: {fits} ended before the optimum"));
                }
                let Scored { draws, credits, .. } = scored;
                let (column, counts) = (title.to_owned(), self.counts(batch));
                vec![Score { column, draws, credits, counts }]
            });
            if let Err(error) = &score {
                let name = &subjects[of.member].name;
                console.warn(format!("{title} on {data} of `{name}` failed: {error:#}"));
            }
            cells.add(Cell::of(of.key.clone(), score))?;
        }
        console.end_progress();
        Ok(())
    }

    /// How many images there are, and how many could not be read.
    fn counts(&self, batch: &Batch) -> String {
        let Ok((train, test)) = &batch.found else { return String::new() };
        let [train, test] = [train, test].map(|set| set.passed.indices.len());
        let (all_train, all_test) = self.evaluation.counts();
        let left_out = match all_train + all_test - train - test {
            0 => String::new(),
            count => format!(", {count} left out"),
        };
        format!("{train} training and {test} test images{left_out}")
    }

    /// The cells that are not finished.
    fn missing(&self, subjects: &[Subject], cells: &Cells) -> Vec<Missing> {
        let mut missing = Vec::new();
        for &member in &self.members {
            for task in self.data.tasks.iter().filter_map(|name| find(name)) {
                let key = Key::new(&subjects[member].sha256, self.fingerprint, task.name);
                if cells.find(&key).is_none() {
                    missing.push(Missing { member, task, key });
                }
            }
        }
        missing
    }

    /// What a task needs beside the features of a checkpoint.
    fn beside(&self, opened: &Opened, task: &Task) -> Beside {
        let encoder =
            Encoder { name: "trained", network: &opened.network, params: &opened.teacher };
        let width = self.evaluation.values_of_features(&encoder, (task.wants)(opened));
        let ((train, test), classes) = (self.evaluation.counts(), self.evaluation.classes());
        (task.beside)(Size { train, test, width, classes })
    }

    /// The features of checkpoints, in one pass over the images. `beside` is what a task needs beside them.
    fn features(
        &self,
        opened: &[&Opened],
        wanted: &[Wanted],
        beside: Beside,
        console: &mut Console,
    ) -> Result<(Extracted, Extracted)> {
        let encoders: Vec<_> = opened
            .iter()
            .map(|of| Encoder { name: "trained", network: &of.network, params: &of.teacher })
            .collect();
        let sources: Vec<&dyn Source> = encoders.iter().map(|of| of as &dyn Source).collect();
        let evaluation = &self.evaluation;
        let values = evaluation.values_of(&sources, wanted);
        let Kept { storage, note } = memory::keep(&self.config, evaluation.size(), values, beside)?;
        if let Some(text) = note {
            console.note(format!("data set `{}`: {text}", self.data.name));
        }
        let found = evaluation.extract(storage, &sources, wanted, &mut |done, total| {
            show_images(console, "features", (done, total), &self.data.name);
            ControlFlow::Continue(())
        })?;
        for set in [&found.0, &found.1] {
            set.passed.left_out.iter().for_each(|text| console.warn(text));
            set.passed.require_finite()?;
        }
        Ok(found)
    }
}

/// The features for all missing cells of a group.
struct Batch {
    /// Places of the checkpoints, and the kinds of features, in the order of the features.
    members: Vec<usize>,
    wanted: Vec<Wanted>,
    classes: usize,
    /// Of the training and of the test images, or why there are none.
    found: Result<(Extracted, Extracted), String>,
}

impl Batch {
    fn new(
        group: &Group<'_>,
        subjects: &[Subject],
        missing: &[Missing],
        console: &mut Console,
    ) -> Self {
        let mut members: Vec<usize> = missing.iter().map(|of| of.member).collect();
        members.dedup();
        let mut wanted: Vec<Wanted> = Vec::new();
        for of in missing {
            let wants = (of.task.wants)(&subjects[of.member].opened);
            if !wanted.contains(&wants) {
                wanted.push(wants);
            }
        }
        let opened: Vec<&Opened> = members.iter().map(|&member| &subjects[member].opened).collect();
        // One task of one checkpoint is done after the other.
        let of_tasks = missing.iter().map(|of| group.beside(&subjects[of.member].opened, of.task));
        let beside = of_tasks.fold(Beside::default(), Beside::most);
        let found = group.features(&opened, &wanted, beside, console);
        let found = found.map_err(|error| in_one_line(&error));
        Self { members, wanted, classes: group.evaluation.classes(), found }
    }

    /// What a task takes.
    fn input(&self, of: &Missing, subjects: &[Subject], seed: u64) -> Result<Input<'_>> {
        let (train, test) = self.found.as_ref().map_err(|error| anyhow!("{error}"))?;
        let wants = (of.task.wants)(&subjects[of.member].opened);
        let place = self.members.iter().position(|member| *member == of.member);
        let kind = self.wanted.iter().position(|wanted| *wanted == wants);
        let (place, kind) = place.zip(kind).context("no features")?;
        let [train, test] = [train, test].map(|set| &set.features[place][kind]);
        Ok(Input { train, test, classes: self.classes, seed })
    }
}
