//! One video: its objects are propagated from the first frame, drawn, written and scored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use multicrop::Image8;
use probe::propagation::{Propagation, Settings, winners};
use probe::segmentation::Labels;

use super::super::super::looking::create_folder;
use super::layout::{Frame, Video};
use super::mask;
use super::scores::{Object, Scores, add_frame};
use super::strip::Strip;
use super::view::View;

/// How videos are followed.
pub(super) struct Tracker<'a> {
    pub(super) view: View<'a>,
    pub(super) settings: Settings,
    /// The folder that masks and strips are written to.
    pub(super) out: Option<&'a Path>,
}

/// What was found in a video.
pub(super) struct Tracked {
    /// The objects with their scores, ascending.
    pub(super) objects: Vec<(u8, Scores)>,
    /// Frames that were scored.
    pub(super) frames: usize,
    /// Objects that cover no patch of the first frame, so that there is nothing to propagate.
    pub(super) too_small: Vec<u8>,
    /// Objects that only appear after the first frame. They are not scored.
    pub(super) later: Vec<u8>,
}

impl Tracked {
    /// The means over the objects.
    pub(super) fn mean(&self) -> Scores {
        Scores::mean(&self.objects.iter().map(|(_, scores)| *scores).collect::<Vec<_>>())
    }
}

/// What is written of a video.
struct Pictures<'a> {
    out: &'a Path,
    folder: PathBuf,
    strip: Strip,
}

impl<'a> Pictures<'a> {
    fn new(out: &'a Path, video: &Video) -> Result<Self> {
        let folder = out.join(&video.name);
        create_folder(&folder)?;
        Ok(Self { out, folder, strip: Strip::new(video.frames.len()) })
    }

    fn masks(&self, frame: &Frame, found: &Labels) -> Result<()> {
        mask::write(found, &self.folder.join(format!("{}.png", frame.name())))
    }
}

impl Tracker<'_> {
    /// Follows the objects through a video. `report` is called after each frame.
    ///
    /// # Errors
    /// A frame or a mask cannot be read, a mask cannot be written, or features are not finite.
    pub(super) fn track(&self, video: &Video, report: &mut dyn FnMut()) -> Result<Tracked> {
        let mut pictures = self.out.map(|out| Pictures::new(out, video)).transpose()?;
        let (mut propagation, mut too_small) = (None, Vec::new());
        let mut objects: Vec<Object> = video.objects.iter().map(|&n| Object::new(n)).collect();
        let (last, mut later) = (video.frames.len() - 1, BTreeSet::new());
        for (number, frame) in video.frames.iter().enumerate() {
            let picture = self.view.read(&frame.picture, video.size)?;
            let truth = mask::read(&frame.mask)?;
            let found = match &mut propagation {
                Some(propagation) => self.next(video, propagation, number, &picture)?,
                None => {
                    let (started, vanished) = self.start(video, &truth, &picture)?;
                    (propagation, too_small) = (Some(started), vanished);
                    truth.clone()
                }
            };
            later.extend(truth.pixels.iter().filter(|n| **n > 0 && !video.objects.contains(n)));
            // As the toolkit of DAVIS: the first frame is given, and the last one is left out.
            let scored = number > 0 && number < last;
            let scores = scored.then(|| add_frame(&mut objects, &truth, &found));
            if let Some(pictures) = &mut pictures {
                pictures.masks(frame, &found)?;
                pictures.strip.add(number, &picture, [&found, &truth], scores);
            }
            report();
        }
        if let Some(Pictures { out, strip, .. }) = pictures {
            strip.save(&video.name, out)?;
        }
        let objects = objects.iter().map(|object| (object.number, object.scores())).collect();
        Ok(Tracked { objects, frames: last - 1, too_small, later: later.into_iter().collect() })
    }

    /// The first frame: its masks are given. Also returns the objects that cover none of its patches.
    fn start(
        &self,
        video: &Video,
        first: &Labels,
        picture: &Image8,
    ) -> Result<(Propagation, Vec<u8>)> {
        let grid = self.view.grid(video.size);
        let small = first.resized(grid.rows, grid.columns);
        let channels = 1 + video.objects.len();
        let mut masks = vec![0.0f32; small.pixels.len() * channels];
        for (patch, object) in small.pixels.iter().enumerate() {
            let channel = video.objects.binary_search(object).map_or(0, |place| place + 1);
            masks[patch * channels + channel] = 1.0;
        }
        let vanished = video.objects.iter().filter(|object| !small.pixels.contains(object));
        let too_small = vanished.copied().collect();
        let tokens = self.tokens(video, 0, picture)?;
        Ok((Propagation::new(self.settings, grid, tokens, masks), too_small))
    }

    /// The objects in the next frame, in the size of the video.
    fn next(
        &self,
        video: &Video,
        propagation: &mut Propagation,
        number: usize,
        picture: &Image8,
    ) -> Result<Labels> {
        let (grid, patch) = (self.view.grid(video.size), self.view.patch_size());
        let masks = propagation.advance(self.tokens(video, number, picture)?);
        let mut pixels = winners(&masks, grid, patch);
        let of_channel = |channel: usize| channel.checked_sub(1).map_or(0, |i| video.objects[i]);
        pixels.iter_mut().for_each(|pixel| *pixel = of_channel(*pixel as usize));
        let labels = Labels { pixels, width: grid.columns * patch };
        Ok(labels.resized(video.size.1 as usize, video.size.0 as usize))
    }

    fn tokens(&self, video: &Video, number: usize, picture: &Image8) -> Result<Vec<f32>> {
        let tokens = self.view.tokens(picture);
        ensure!(
            tokens.iter().all(|x| x.is_finite()),
            "the network's features of `{}` are not finite",
            video.frames[number].picture.display()
        );
        Ok(tokens)
    }
}
