//! What TensorBoard shows of a run besides its metrics: the configuration, hyperparameters, scores of
//! evaluations, and crops of the first batch.

use multicrop::loader::{Batch, CropBuffer};
use multicrop::recipe::Recipe;
use report::tensorboard::{HyperParameter, Picture, Scalar};

use super::super::events::ProbeRecord;
use super::Run;
use crate::config::Config;
use crate::error::Result;

/// Images whose crops are shown.
const IMAGES: usize = 4;
/// Most local crops of each that are shown.
const LOCALS: usize = 8;
/// Pixels between crops.
const GAP: usize = 2;

impl Run<'_> {
    /// Shows the configuration as text and its keys as hyperparameters.
    pub(super) fn show_config(&mut self) -> Result<()> {
        let (text, step) = (self.config().to_toml(), self.state.step);
        let hyperparameters = hyperparameters(self.config());
        let events = self.metrics.events();
        events.text(step, "config", &format!("```toml\n{text}```"))?;
        Ok(events.hyperparameters(&hyperparameters)?)
    }

    /// Shows the crops of the first images of a batch.
    pub(super) fn show_crops(&mut self, batch: &Batch) -> Result<()> {
        let picture = crops(batch, &self.plan.recipe);
        Ok(self.metrics.events().image(self.state.step, "data/crops", &picture)?)
    }
}

/// The keys that identify a run.
fn hyperparameters(config: &Config) -> Vec<(String, HyperParameter)> {
    let value = |text: String| match (text.parse(), text.parse()) {
        (Ok(number), _) => HyperParameter::Number(number),
        (_, Ok(on)) => HyperParameter::Bool(on),
        _ => HyperParameter::Text(text.trim_matches('"').to_owned()),
    };
    config.settings().into_iter().map(|(key, text)| (key, value(text))).collect()
}

/// The scores of a probe, such as `eval/knn_k20_top1/trained`.
pub(super) fn scores(record: &ProbeRecord) -> Vec<Scalar> {
    let of_setting = record.scores.iter().flat_map(|scores| {
        let setting =
            scores.setting.map_or(String::new(), |(name, value)| format!("_{name}{value}"));
        scores.values.iter().map(move |score| (setting.clone(), score))
    });
    let scalar = |(setting, score): (String, &probe::Score)| Scalar {
        tag: format!("eval/{}{setting}_{}/{}", record.probe, score.name, record.features),
        value: score.value,
        about: score.unit,
    };
    of_setting.map(scalar).collect()
}

/// One row for each image: its global crops, then its local ones.
fn crops(batch: &Batch, recipe: &Recipe) -> Picture {
    let (globals, locals) = (&batch.globals, &batch.locals);
    let images = globals.images.min(IMAGES);
    let shown = [(globals, globals.crops), (locals, locals.crops.min(LOCALS))];
    let cell = |crops: &CropBuffer| crops.size + GAP;
    let width = shown.iter().map(|(crops, count)| count * cell(crops)).sum();
    let row = cell(globals).max(cell(locals));
    let mut sheet = Sheet::new(width, images * row, recipe);
    for image in 0..images {
        let mut left = 0;
        for (crops, count) in shown {
            for crop in 0..count {
                sheet.put(crops.crop(crop, image), crops.size, (left, image * row));
                left += cell(crops);
            }
        }
    }
    sheet.picture()
}

/// Pixels of an image that is being drawn.
struct Sheet<'a> {
    width: usize,
    pixels: Vec<u8>,
    recipe: &'a Recipe,
}

impl<'a> Sheet<'a> {
    fn new(width: usize, height: usize, recipe: &'a Recipe) -> Self {
        Self { width, pixels: vec![u8::MAX; 3 * width * height], recipe }
    }

    /// Draws a crop of `[channels, size, size]` normalized values. Three channels are colors; of any other
    /// number, the first is shown in gray.
    fn put(&mut self, crop: &[f32], size: usize, (left, top): (usize, usize)) {
        let Recipe { mean, std, .. } = self.recipe;
        let is_color = mean.len() == 3;
        for y in 0..size {
            for x in 0..size {
                let pixel = 3 * ((top + y) * self.width + left + x);
                for color in 0..3 {
                    let channel = if is_color { color } else { 0 };
                    let value =
                        crop[(channel * size + y) * size + x] * std[channel] + mean[channel];
                    self.pixels[pixel + color] = (255.0 * value).round() as u8; // saturates
                }
            }
        }
    }

    fn picture(self) -> Picture {
        let height = self.pixels.len() / 3 / self.width.max(1);
        Picture { width: self.width as u32, height: height as u32, pixels: self.pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe::{Score, Scores};

    #[test]
    fn every_score_has_a_tag_of_its_own() {
        let of = |k, value| Scores {
            setting: Some(("k", k)),
            values: vec![Score { name: "top1", title: "top-1", value, unit: "percent" }],
        };
        let scores = vec![of(10, 61.5), of(20, 62.0)];
        let record = ProbeRecord { probe: "knn", headline: None, step: 3, features: "raw", scores };
        let found = super::scores(&record);
        let found: Vec<_> = found.iter().map(|scalar| (&scalar.tag[..], scalar.value)).collect();
        assert_eq!(found, [("eval/knn_k10_top1/raw", 61.5), ("eval/knn_k20_top1/raw", 62.0)]);
    }

    #[test]
    fn keys_are_numbers_switches_and_words() {
        let found = hyperparameters(&Config::default());
        let value = |key: &str| found.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        assert_eq!(value("optim.lr"), Some(&HyperParameter::Number(5e-4)));
        assert_eq!(value("model.arch"), Some(&HyperParameter::Text("vit_small".to_owned())));
        assert_eq!(value("run.threads"), None);
    }

    #[test]
    fn a_crop_is_shown_as_it_was_before_normalization() {
        let recipe = Recipe::dino(4, 2, 1);
        let mut sheet = Sheet::new(3, 1, &recipe);
        let normalized =
            |byte: f32| [0, 1, 2].map(|c| (byte / 255.0 - recipe.mean[c]) / recipe.std[c]);
        sheet.put(&normalized(51.0), 1, (1, 0));
        assert_eq!(sheet.picture().pixels, [255, 255, 255, 51, 51, 51, 255, 255, 255]);
    }
}
