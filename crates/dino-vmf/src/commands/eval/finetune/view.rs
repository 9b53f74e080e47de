//! What a person sees of a fine-tuning.

use dino::open::Opened;
use finetune::{Event, Mixing, Pooling, Recipe, Settings, StepRecord, Summary, Tested};
use report::number::{counted, duration, short};
use serde_json::json;

use super::super::super::viewing::show_images;
use crate::console::{Console, Progress};

/// Shows events, and then the result.
pub(super) struct View<'a> {
    console: &'a mut Console,
    recipe: Recipe,
    settings: &'a Settings,
    total_steps: u64,
    /// Behind the number of steps.
    text: String,
    /// The best accuracy so far.
    best: f64,
}

impl<'a> View<'a> {
    pub(super) fn new(console: &'a mut Console, recipe: Recipe, settings: &'a Settings) -> Self {
        Self { console, recipe, settings, total_steps: 0, text: String::new(), best: 0.0 }
    }

    pub(super) fn show(&mut self, event: Event) {
        match event {
            Event::Started { step, total_steps, parameters, best } => {
                self.best = best.unwrap_or_default();
                self.show_start(step, total_steps, parameters);
            }
            Event::InStep { step, share } => {
                let part = format!("  {:.0} % of the next{}", (100.0 * share).floor(), self.text);
                self.progress(step, part, false);
            }
            Event::Step(record) => self.show_step(&record),
            Event::Testing { done, total } => {
                show_images(self.console, "testing", (done, total), "forward pass");
            }
            Event::Tested(tested) => self.show_test(&tested),
            Event::Warning(text) => self.console.warn(text),
            Event::Stopping => {
                self.console.end_progress();
                self.console.warn("stopping; press Ctrl-C again to leave now, without saving");
            }
            Event::Saved(path) => {
                self.console.event("checkpoint", &json!({ "path": path.display().to_string() }));
            }
        }
    }

    fn show_start(&mut self, step: u64, total_steps: u64, parameters: usize) {
        self.total_steps = total_steps;
        let Settings { epochs, batch_size, accumulate, lr, warmup_epochs, .. } = self.settings;
        let parts = match accumulate {
            1 => String::new(),
            parts => format!(" in {parts} parts"),
        };
        let peak = lr * *batch_size as f64 / 256.0;
        self.console.note(format!(
            "recipe: {}; {}, {} of {}{parts}, rate {peak:.2e} after {} epochs of warm-up; {:.2} M parameters",
            self.recipe,
            counted(*epochs as usize, "epoch"),
            counted(total_steps as usize, "step"),
            counted(*batch_size, "image"),
            short(*warmup_epochs),
            parameters as f64 / 1e6,
        ));
        if step > 0 {
            self.console.note(format!("resuming after step {step}"));
        }
    }

    fn show_step(&mut self, record: &StepRecord) {
        self.console.event("step", record);
        let StepRecord { step, epoch, loss, lr, images_per_second, left, .. } = record;
        self.text = format!(
            "  epoch {epoch}  loss {loss:.3}  lr {lr:.1e}  {images_per_second:.0} images/s  {} left",
            duration(left.as_secs_f64())
        );
        self.progress(*step, self.text.clone(), *step == self.total_steps);
    }

    fn progress(&mut self, step: u64, text: String, always: bool) {
        let progress = Progress { what: "step", done: step, total: self.total_steps, text };
        self.console.progress(&progress, always);
    }

    fn show_test(&mut self, tested: &Tested) {
        self.console.end_progress();
        self.console.event("epoch", tested);
        let Tested { epoch, loss, top1, .. } = tested;
        self.best = self.best.max(*top1);
        self.console.note(format!(
            "epoch {epoch}: loss {loss:.3}, test top-1 {top1:.2} %, best {:.2} %",
            self.best
        ));
    }

    /// Prints the result, and what to do if it is not complete.
    pub(super) fn conclude(self, opened: &Opened, summary: &Summary) {
        let Self { console, settings, .. } = self;
        console.end_progress();
        print_tests(summary, settings, console);
        let saved = summary.saved.as_ref();
        match (saved, summary.interrupted) {
            (None, true) => console.note(format!(
                "interrupted after {} of training; without `--out`, nothing is kept",
                counted(summary.steps as usize, "step")
            )),
            (Some((step, path)), true) => console.note(format!(
                "interrupted after step {step}; the same command with `--resume` goes on in `{}`",
                path.display()
            )),
            (Some((_, path)), false) => console.text(format!("network: {}", path.display())),
            (None, false) => {}
        }
        let best = summary.best();
        let record = json!({
            "checkpoint": opened.path, "step": opened.step, "train_images": summary.images[0],
            "test_images": summary.test_images(), "top1": best.map(|best| best.top1), "best": best,
            "last": summary.tests.last(), "steps": summary.steps, "interrupted": summary.interrupted,
            "out": saved.map(|(_, path)| path), "settings": settings,
        });
        console.event("finetune", &record);
    }
}

/// Prints the last and the best test, and the protocol. Nothing if there was no test.
fn print_tests(summary: &Summary, settings: &Settings, console: &mut Console) {
    let Some((last, best)) = summary.tests.last().zip(summary.best()) else { return };
    let (tests, images) = (summary.test_images(), summary.images[0]);
    console.text(format!("fine-tuning, percent of {tests} test images; {images} training images"));
    console.text(format!(
        "{:>6}{:>8}{:>8}{:>8}{:>16}",
        "", "epoch", "top-1", "top-5", "mean per class"
    ));
    for (name, tested) in [("last", last), ("best", best)] {
        let Tested { epoch, top1, top5, mean_per_class, .. } = tested;
        console.text(format!("{name:>6}{epoch:>8}{top1:>8.2}{top5:>8.2}{mean_per_class:>16.2}"));
    }
    console.note(protocol(settings));
}

/// Which protocol was followed, and where it differs.
fn protocol(settings: &Settings) -> String {
    let Settings { pooling, layer_decay, drop_path, label_smoothing, mixing, changes, .. } =
        settings;
    let vector = match pooling {
        Pooling::Cls => "[CLS]",
        Pooling::Mean => "mean of the patches",
    };
    let on = |name: &str, value: f64| (value > 0.0).then(|| format!("{name} {}", short(value)));
    let Mixing { mixup, cutmix } = *mixing;
    let colors = match changes.rand_augment {
        Some(magnitude) => on("RandAugment", magnitude),
        None => on("color jitter", changes.color_jitter),
    };
    let parts = [
        on("drop path", *drop_path),
        on("label smoothing", *label_smoothing),
        on("mixup", mixup),
        on("CutMix", cutmix),
        colors,
        on("erasing", changes.erasing),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!(
        "protocol: BEiT's and iBOT's fine-tuning: {vector}, teacher, AdamW, layer-wise decay {}, {}, crops of {} of \
         the area and more; gradients without loss scaling, images smaller than the crop are enlarged; best is chosen on \
         the test images",
        short(*layer_decay),
        parts.join(", "),
        report::number::percent(changes.smallest_area),
    )
}
