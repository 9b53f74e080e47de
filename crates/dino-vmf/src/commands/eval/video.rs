//! `dino-vmf eval video`: objects that are followed through videos by the likeness of patches.

mod layout;
mod mask;
mod output;
mod scores;
mod strip;
mod track;
mod view;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueHint};
use dino::open::Opened;
use probe::propagation::Settings;
use report::number::{counted, duration};

use super::super::looking::create_folder;
use super::super::opening::Checkpoint;
use super::super::positive;
use super::super::table_file::check_table;
use super::super::threads::Threads;
use super::score::Score;
use crate::console::{Console, Progress};
use layout::Davis;
use output::{Results, warn};
use track::{Tracked, Tracker};
use view::View;

/// Follow objects through videos from their masks in the first frame: J and F of DAVIS 2017
///
/// The folder has the layout of DAVIS 2017: frames `JPEGImages/480p/VIDEO/00000.jpg` and masks
/// `Annotations/480p/VIDEO/00000.png`, whose pixels are numbers of objects. Each patch of a frame takes the mask of the
/// most similar patches near it in the first frame and in the frames before.
///
/// Nothing is trained. J is the overlap of found and true objects, F the agreement of their borders.
///
/// Example: dino-vmf eval video runs/a --data DAVIS/ --out masks/
#[derive(Debug, Args)]
pub(crate) struct Video {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    flags: Flags,
    /// Write the masks as VIDEO/FRAME.png, and pictures of them as VIDEO.png, into a folder
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Write the scores of all objects as a table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// A folder in the layout of DAVIS 2017
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    data: PathBuf,
    /// A file with the names of the videos; by default `ImageSets/2017/val.txt`, or all videos if there is none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    videos: Option<PathBuf>,
    /// Shorter side of a frame for the network; the longer one is rounded down to a multiple of 64
    #[arg(long, value_name = "PIXELS", default_value_t = 480, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(64..=8192))]
    short_side: u32,
    /// Frames before a frame that its masks come from, beside the first one
    #[arg(long, value_name = "N", default_value_t = 7, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    n_last_frames: u32,
    /// Rows and columns of patches between a patch and its sources at most; 0 takes the whole frame
    #[arg(long, value_name = "PATCHES", default_value_t = 12, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    size_mask_neighborhood: u32,
    /// Number of sources of a patch, the most similar ones
    #[arg(long, value_name = "K", default_value_t = 5, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    topk: u32,
    /// Temperature T of the weight exp(cosine / T) of a source
    #[arg(long, value_name = "T", default_value_t = 0.1, allow_negative_numbers = true)]
    #[arg(value_parser = positive)]
    temperature: f64,
}

impl Video {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        self.csv.as_deref().map_or(Ok(()), check_table)?;
        self.threads.start()?;
        let davis = self.flags.open(console)?;
        self.out.as_deref().map_or(Ok(()), |out| prepare(out, &davis))?;
        let opened = self.checkpoint.named().open(console)?;
        let tracker = self.flags.tracker(&opened, self.out.as_deref(), console);
        let tracked = follow(&tracker, &davis, console)?;
        let flags = &self.flags;
        let results = Results { flags, opened: &opened, davis: &davis, tracked: &tracked };
        results.print(console);
        results.note(&tracker, console);
        self.csv.as_deref().map_or(Ok(()), |path| results.write_table(path, console))
    }
}

impl Flags {
    /// J and F of all objects and the mean of both, for a comparison of checkpoints.
    ///
    /// # Errors
    /// As those of the command.
    pub(super) fn measure(&self, opened: &Opened, console: &mut Console) -> Result<Vec<Score>> {
        let davis = self.open(console)?;
        let tracked = follow(&self.tracker(opened, None, console), &davis, console)?;
        let count = tracked.iter().map(|video| video.objects.len()).sum();
        let counts = format!("{} in {}", counted(count, "object"), counted(tracked.len(), "video"));
        let score = |(column, name): (&str, &str)| {
            let place = scores::NAMES.iter().position(|of| *of == name).expect("a name of a score");
            let objects = tracked.iter().flat_map(|video| &video.objects);
            let credits = objects.map(|(_, scores)| scores.0[place] / 100.0).collect();
            Score::mean_of(column.to_owned(), credits, counts.clone())
        };
        Ok([("J&F", "jf_mean"), ("J", "j_mean"), ("F", "f_mean")].map(score).into())
    }

    fn open(&self, console: &mut Console) -> Result<Davis> {
        Davis::open(&self.data, self.videos.as_deref(), console)
    }

    fn tracker<'a>(
        &self,
        opened: &'a Opened,
        out: Option<&'a Path>,
        console: &mut Console,
    ) -> Tracker<'a> {
        let radius = self.size_mask_neighborhood as usize;
        let settings = Settings {
            last_frames: self.n_last_frames as usize,
            radius: (radius > 0).then_some(radius),
            topk: self.topk as usize,
            temperature: self.temperature,
        };
        self.note_size(opened, console);
        Tracker { view: View::new(opened, self.short_side), settings, out }
    }

    /// Says if frames are far larger than the images of training.
    fn note_size(&self, opened: &Opened, console: &mut Console) {
        let trained = opened.network.backbone.shape().image_size as u32;
        if self.short_side > 4 * trained {
            console.note(format!(
                "the network was trained on images of {trained} pixels, and the shorter side of a frame has {}: \
                 `--short-side {}` is closer to training, but not the protocol",
                self.short_side,
                (2 * trained).max(64)
            ));
        }
    }
}

/// Creates the folder of masks. It must not be one that is read.
fn prepare(out: &Path, davis: &Davis) -> Result<()> {
    create_folder(out)?;
    let real = |path: &Path| {
        path.canonicalize().with_context(|| format!("cannot read the folder `{}`", path.display()))
    };
    for read in [&davis.frames, &davis.masks] {
        ensure!(
            real(out)? != real(read)?,
            "`--out {}` is the folder of the true masks or of the frames: give another one",
            out.display()
        );
    }
    Ok(())
}

/// Follows the objects of all videos.
fn follow(tracker: &Tracker<'_>, davis: &Davis, console: &mut Console) -> Result<Vec<Tracked>> {
    for video in &davis.videos {
        let sources = (tracker.settings.last_frames + 1).min(video.frames.len());
        tracker.view.require(video.size, sources + 1)?;
    }
    let total: usize = davis.videos.iter().map(|video| video.frames.len()).sum();
    let (start, mut done) = (Instant::now(), 0);
    let mut all = Vec::with_capacity(davis.videos.len());
    for video in &davis.videos {
        let tracked = tracker.track(video, &mut || {
            done += 1;
            let left = start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
            let text = format!(" frames, {}, {} left", video.name, duration(left));
            let (done, total) = (done as u64, total as u64);
            console.progress(&Progress { what: "video", done, total, text }, false);
        })?;
        warn(video, &tracked, console);
        all.push(tracked);
    }
    console.end_progress();
    Ok(all)
}
