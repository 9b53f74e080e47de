//! Sets a training up: images, network, memory, and the state to continue from.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use dino::fingerprint::{self, of_weights};
use dino::memory::require_bytes;
use dino::run_folder::Images;
use multicrop::dataset::same_classes;
use probe::{Subset, sets};
use serde_json::{Value, json};

use super::{Request, Run};
use crate::about::about;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::memory;
use crate::network::Classifier;
use crate::pace::Pace;
use crate::saved::{Folder, Progress};
use crate::step::{State, Training};

impl<'a> Run<'a> {
    pub(super) fn open(
        request: Request<'_>,
        stop: &'a AtomicBool,
        report: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let (subset, test) = subsets(&request, report)?;
        let classes = request.train.classes();
        let Request { shape, preprocess, settings, source, .. } = &request;
        let network = Classifier::new(shape, classes.len(), settings.pooling);
        require_memory(&network, &request)?;
        let state = State::new(network.initial(request.trained, settings.seed));
        // Only what is kept can be gone on with.
        let is_kept = request.out.is_some();
        let [training_images, test_images] =
            [&subset, &test].map(|images| is_kept.then(|| identity_of(images)));
        let identity = json!({
            "settings": settings, "start": of_weights(b"", &state.weights), "classes": classes,
            "images": [subset.len(), test.len()], "resize": preprocess.view.resize,
            "crop": preprocess.view.crop, "mean": preprocess.view.mean, "std": preprocess.view.std,
            "precision": format!("{:?}", shape.precision).to_lowercase(),
            "training_images": training_images, "test_images": test_images,
        });
        let mut record = identity.clone();
        record["checkpoint"] = source.clone().into();
        let steps_per_epoch = settings.steps_per_epoch(subset.len());
        let out = request.out.as_deref();
        let mut run = Self {
            stop,
            training: Training::new(network, settings.clone(), steps_per_epoch),
            state,
            progress: Progress { identity, tests: Vec::new(), loss_sum: 0.0 },
            train: subset.to_dataset(),
            test,
            steps_per_epoch,
            folder: out.map(|out| Folder::open(out, request.resume)).transpose()?,
            about: about(shape, &preprocess.view, source.clone()),
            record,
            saved_step: None,
            saved_at: Instant::now(),
            pace: Pace::new(settings.batch_size),
            preprocess: request.preprocess,
            settings: request.settings,
        };
        run.restore(report)?;
        Ok(run)
    }

    /// Continues from the newest checkpoint in the folder, or saves the first one.
    fn restore(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let (found, refused) = folder.load(&mut self.state, &self.progress.identity)?;
        refused.into_iter().for_each(|text| report(Event::Warning(text)));
        match found {
            Some(progress) => {
                self.progress = progress;
                self.saved_step = Some(self.state.step);
                Ok(())
            }
            None => self.save(report),
        }
    }
}

/// What identifies images and their labels, wherever they lie.
fn identity_of(images: &Subset) -> Value {
    let labels = images.labels_of(images.indices());
    let labels: Vec<u8> = labels.into_iter().flat_map(u32::to_le_bytes).collect();
    json!({ "images": Images::of(images.to_dataset().as_ref()), "labels": fingerprint::of(&labels) })
}

/// The images to learn from and to test with, after all checks.
fn subsets(request: &Request<'_>, report: &mut dyn FnMut(Event)) -> Result<(Subset, Subset)> {
    let Request { train, test, limits, settings, .. } = request;
    same_classes(train.as_ref(), test.as_ref())?;
    let train = Subset::labelled(train.clone(), limits[0], 0);
    let test = Subset::labelled(test.clone(), limits[1], 1);
    settings.validate(train.len())?;
    if test.is_empty() {
        return Err(Error::NoTestImages { data: test.dataset().describe() });
    }
    let warnings = [sets::warnings(&train, &test), train.notes(), test.notes()].concat();
    warnings.into_iter().for_each(|text| report(Event::Warning(text)));
    Ok((train, test))
}

/// Refuses what needs more memory than the machine has.
fn require_memory(network: &Classifier, request: &Request<'_>) -> Result<()> {
    let Request { settings, preprocess, .. } = request;
    let (part, side) = (settings.batch_size / settings.accumulate.max(1), preprocess.view.crop);
    let what = format!("fine-tuning with {part} images of {side} x {side} pixels at once");
    let advice = "try `--accumulate`, which computes a batch in parts, or a smaller `--crop`";
    let bytes = memory::bytes(network, settings, side as usize);
    Ok(require_bytes(what, bytes, advice)?)
}
