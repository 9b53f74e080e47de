//! `dino-vmf eval finetune`: a backbone and a linear layer, trained together on labelled images.

mod flags;
mod view;

use anyhow::{Context, Result};
use clap::Args;
use dino::evaluation;
use dino::open::Opened;
use finetune::{Recipe, Request, Settings, finetune};
use multicrop::dataset::Dataset;
use report::number::counted;
use vit::VitShape;

use super::super::opening::Checkpoint;
use super::super::viewing::Viewing;
use super::super::{Outcome, signals};
use super::labelled::Labelled;
use crate::console::Console;
use flags::{Chosen, Training};
use view::View;

/// Fine-tune a checkpoint on labelled images: all of its weights are trained
///
/// The protocol is that of BEiT, with which iBOT reports fine-tuning: a linear layer on CLS, AdamW, a smaller learning
/// rate for earlier layers, mixup, CutMix, label smoothing, RandAugment, random erasing and drop path. Defaults depend
/// on the number of training images and the size of the network, and the command says which it takes. `best` is chosen on the test images; `last`
/// is the accuracy after the last epoch.
///
/// With `--out`, Ctrl-C saves, and the same command with `--resume` goes on: the result is the same in every bit.
///
/// Example: dino-vmf eval finetune runs/a --data photos/ --out runs/a-finetuned
#[derive(Debug, Args)]
pub(crate) struct FineTune {
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    images: Labelled,
    #[command(flatten)]
    training: Training,
    #[command(flatten)]
    viewing: Viewing,
}

impl FineTune {
    pub(super) fn run(&self, console: &mut Console) -> Result<Outcome> {
        let stop = signals::stop_on_signals().context("cannot listen to signals")?;
        let mut opened = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        let [train, test] = self.images.sets(&mut opened)?;
        let (recipe, settings) = self.settings(&opened, train.as_ref(), console);
        let shape = self.shape(&mut opened, console);
        let preprocess = evaluation::preprocess(&opened.config, train.as_ref())?;
        let limits = [opened.config.eval.max_train, opened.config.eval.max_test];
        let request = Request {
            shape,
            trained: &opened.teacher,
            source: opened.path.display().to_string(),
            train,
            test,
            limits,
            preprocess,
            settings: settings.clone(),
            out: self.training.out.clone(),
            resume: self.training.resume,
        };
        let mut view = View::new(console, recipe, &settings);
        let summary = finetune(request, &stop, &mut |event| view.show(event))?;
        view.conclude(&opened, &summary);
        Ok(if summary.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }

    /// The recipe for these images, and its settings with those that flags give.
    fn settings(
        &self,
        opened: &Opened,
        train: &dyn Dataset,
        console: &mut Console,
    ) -> (Recipe, Settings) {
        let labelled = (0..train.len()).filter(|&index| train.label(index).is_some()).count();
        let images = opened.config.eval.max_train.map_or(labelled, |most| most.min(labelled));
        let shape = opened.network.backbone.shape();
        let recipe = match self.training.recipe {
            Chosen::Auto => Recipe::of(images, shape.embed_dim),
            Chosen::Mild => Recipe::Mild,
            Chosen::Strong => Recipe::Strong,
            Chosen::Imagenet => Recipe::Imagenet,
        };
        let mut settings = self.training.over(recipe.settings(images, shape.embed_dim));
        if shape.channels != 3 && settings.changes.rand_augment.take().is_some() {
            console.warn(format!(
                "RandAugment is left out: it needs red, green and blue, and the network has {}",
                counted(shape.channels, "channel")
            ));
        }
        (recipe, settings)
    }

    /// The shape of the backbone, with the precision of training.
    fn shape(&self, opened: &mut Opened, console: &mut Console) -> VitShape {
        let model = &mut opened.config.model;
        model.precision = self.training.precision.map_or(model.precision, Into::into);
        model.precision.warning().into_iter().for_each(|text| console.warn(text));
        let precision = model.precision.of_products();
        VitShape { masked: false, precision, ..opened.network.backbone.shape().clone() }
    }
}
