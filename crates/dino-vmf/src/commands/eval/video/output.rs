//! What is printed and written of the scores: a table, JSON, CSV, and what was left out.

use std::path::Path;

use anyhow::Result;
use dino::open::Opened;
use report::number::{counted, short};
use serde_json::{Map, Value, json};

use super::super::super::table_file::write_table;
use super::Flags;
use super::layout::{Davis, Video};
use super::scores::{NAMES, Scores};
use super::track::{Tracked, Tracker};
use crate::console::Console;

/// The title of the last row.
const ALL: &str = "all objects";

/// The scores of all videos.
pub(super) struct Results<'a> {
    pub(super) flags: &'a Flags,
    pub(super) opened: &'a Opened,
    pub(super) davis: &'a Davis,
    pub(super) tracked: &'a [Tracked],
}

impl Results<'_> {
    /// All videos with what was found in them.
    fn each(&self) -> impl Iterator<Item = (&Video, &Tracked)> {
        self.davis.videos.iter().zip(self.tracked)
    }

    /// Prints the means of each video and of all objects: as the toolkit of DAVIS, an object counts once however many
    /// its video has.
    pub(super) fn print(&self, console: &mut Console) {
        let all = self.tracked.iter().flat_map(|of| of.objects.iter().map(|(_, scores)| *scores));
        let all: Vec<Scores> = all.collect();
        let objects = counted(all.len(), "object");
        let videos = counted(self.tracked.len(), "video");
        console.text(format!(
            "label propagation, {objects} in {videos} of {}, percent",
            self.davis.listed_in
        ));
        let names = self.davis.videos.iter().map(|video| video.name.chars().count());
        let width = names.fold(ALL.len(), usize::max) + 2;
        console.text(format!(
            "{:<width$}{:>7}{:>8}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}",
            "", "frames", "objects", "J&F", "J", "recall", "decay", "F", "recall", "decay"
        ));
        let row = |name: &str, frames: usize, objects: usize, scores: Scores| {
            let values = scores.0.map(|value| format!("{value:>8.2}")).concat();
            format!("{name:<width$}{frames:>7}{objects:>8} {values}")
        };
        for (video, of) in self.each() {
            console.text(row(&video.name, of.frames, of.objects.len(), of.mean()));
            console.event("video_sequence", &self.record_of(video, of));
        }
        let frames = self.tracked.iter().map(|of| of.frames).sum();
        let scores = Scores::mean(&all);
        console.text(row(ALL, frames, all.len(), scores));
        console.event("video", &self.record(frames, all.len(), scores));
    }

    /// The scores of a video and of its objects.
    fn record_of(&self, video: &Video, of: &Tracked) -> Value {
        let object =
            |(number, scores): &(u8, Scores)| scored(*scores, &json!({ "object": number }));
        let entries = json!({
            "checkpoint": self.opened.path, "step": self.opened.step, "source": self.flags.data,
            "video": video.name, "frames": of.frames,
            "objects": of.objects.iter().map(object).collect::<Vec<_>>(),
            "objects_too_small": of.too_small, "objects_not_scored": of.later,
        });
        scored(of.mean(), &entries)
    }

    /// The scores of all objects.
    fn record(&self, frames: usize, objects: usize, scores: Scores) -> Value {
        let Flags { short_side, n_last_frames, size_mask_neighborhood, topk, temperature, .. } =
            self.flags;
        let entries = json!({
            "checkpoint": self.opened.path, "step": self.opened.step, "source": self.flags.data,
            "videos": self.tracked.len(), "videos_not_listed": self.davis.not_listed,
            "frames": frames, "objects": objects, "short_side": short_side,
            "n_last_frames": n_last_frames, "size_mask_neighborhood": size_mask_neighborhood,
            "topk": topk, "temperature": temperature,
        });
        scored(scores, &entries)
    }

    /// Says what was left out, and which protocol was followed.
    pub(super) fn note(&self, tracker: &Tracker<'_>, console: &mut Console) {
        let (flags, davis) = (self.flags, self.davis);
        if davis.not_listed > 0 {
            console.note(format!(
                "left out, because not in {}: {} of `{}`",
                davis.listed_in,
                counted(davis.not_listed, "video"),
                davis.frames.display()
            ));
        }
        if let Some(out) = tracker.out {
            console.note(format!("masks and pictures: {}", out.display()));
        }
        let std = tracker.view.std().iter().map(|x| short(f64::from(*x))).collect::<Vec<_>>();
        let near = match flags.size_mask_neighborhood {
            0 => "anywhere".to_owned(),
            radius => format!("at most {radius} patches away"),
        };
        console.note(format!(
            "protocol: DINO on DAVIS 2017, semi-supervised: patch tokens of the teacher, frames of `{}` with shorter \
             side {}, inputs divided by the standard deviation {}, sources in the first frame and in the {} before, {near}, top {}, \
             temperature {}; the first and the last frame of a video are not scored; means over objects",
            davis.frames.display(),
            flags.short_side,
            std.join(", "),
            flags.n_last_frames,
            flags.topk,
            flags.temperature
        ));
    }

    /// Writes a row for each object.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_table(&self, path: &Path, console: &mut Console) -> Result<()> {
        let rows = self.each().flat_map(|(video, of)| {
            of.objects.iter().map(move |(number, scores)| {
                let [jf, j, j_recall, j_decay, f, f_recall, f_decay] =
                    scores.0.map(|value| value.to_string());
                let [number, frames] = [usize::from(*number), of.frames].map(|n| n.to_string());
                let name = video.name.clone();
                [name, number, frames, jf, j, j_recall, j_decay, f, f_recall, f_decay]
            })
        });
        let [jf, j, j_recall, j_decay, f, f_recall, f_decay] = NAMES;
        let head = ["video", "object", "frames", jf, j, j_recall, j_decay, f, f_recall, f_decay];
        write_table(path, head, rows, console)
    }
}

/// Says which objects could not be followed, or are not scored.
pub(super) fn warn(video: &Video, tracked: &Tracked, console: &mut Console) {
    let list = |objects: &[u8]| {
        let numbers: Vec<_> = objects.iter().map(u8::to_string).collect();
        let noun = if objects.len() == 1 { "object" } else { "objects" };
        format!("{noun} {} of `{}`", numbers.join(", "), video.name)
    };
    if !tracked.too_small.is_empty() {
        console.warn(format!(
            "{}: no patch of the first frame shows it, so it is not found",
            list(&tracked.too_small)
        ));
    }
    if !tracked.later.is_empty() {
        console.warn(format!(
            "{}: not in the first mask, so not scored; its pixels count as background",
            list(&tracked.later)
        ));
    }
}

/// A JSON object with these entries and the scores.
fn scored(scores: Scores, entries: &Value) -> Value {
    let mut all: Map<String, Value> = entries.as_object().cloned().unwrap_or_default();
    for (name, value) in NAMES.iter().zip(scores.0) {
        all.insert((*name).to_owned(), value.into());
    }
    Value::Object(all)
}
