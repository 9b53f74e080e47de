//! The linear probe as a [`Probe`], short enough for evaluations during training.

use super::{Settings, Sweep};
use crate::definition::{Features, Probe, Score, Scores, Size};
use crate::error::Result;
use crate::progress::Progress;
use crate::source::{Kind, Wanted};

/// Width from which on DINO takes one block and the mean of patches in place of four blocks: that of ViT-B.
const WIDE: usize = 768;

/// The features that DINO's probe takes of a backbone of this width and depth.
pub fn usual_features(width: usize, depth: usize) -> Kind {
    match depth {
        _ if width >= WIDE => Kind::ClsAndMean,
        0 | 1 => Kind::Cls,
        depth => Kind::LastCls(depth.min(4)),
    }
}

impl Settings {
    /// For evaluations during training: 10 epochs in batches of 256, at 10 rates from 1e-4 to 3. A tenth of the
    /// epochs at a quarter of the rates costs a fortieth of the default.
    pub fn short() -> Self {
        let rates = vec![1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0];
        Self { rates, epochs: 10, batch_size: 256, seed: 0 }
    }
}

/// Linear classifiers by SGD. Its score is that of the best rate after the last epoch; the rate is chosen on the
/// test images, as in the official codes.
#[derive(Debug, Clone)]
pub struct Linear {
    settings: Settings,
    kind: Kind,
}

impl Linear {
    /// Classifiers of features of this kind.
    pub fn new(settings: Settings, kind: Kind) -> Self {
        Self { settings, kind }
    }
}

impl Probe for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn title(&self) -> &'static str {
        "linear probe"
    }

    fn wants(&self) -> Wanted {
        Wanted { kind: self.kind, unit: false }
    }

    fn judges_pixels(&self) -> bool {
        false
    }

    fn bytes(&self, size: Size) -> usize {
        Sweep::bytes(size.width, size.classes, &self.settings)
    }

    fn flops(&self, Size { train, test, width, classes }: Size) -> f64 {
        let outputs = (self.settings.rates.len() * classes * width) as f64;
        outputs * (4 * train * self.settings.epochs + 2 * test) as f64
    }

    fn score(
        &self,
        train: &Features,
        test: &Features,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Scores>> {
        let classes = Features::classes(train, test);
        let mut sweep = Sweep::new(train.rows.width, classes, self.settings.clone());
        let mut go_on = || progress.advance(0);
        for epoch in 0..self.settings.epochs {
            sweep.train(epoch, train, &mut go_on)?;
        }
        sweep.test(self.settings.epochs.saturating_sub(1), test, &mut go_on)?;
        let best = sweep.outcomes().iter().reduce(|a, b| if b.last > a.last { b } else { a });
        let scores = best.map(|best| Scores {
            setting: None,
            values: vec![
                Score::percent("top1", "top-1", best.last),
                Score::percent("top5", "top-5", best.last_top5),
            ],
        });
        Ok(scores.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_depend_on_the_size_of_the_backbone() {
        assert_eq!(usual_features(384, 12), Kind::LastCls(4));
        assert_eq!(usual_features(768, 12), Kind::ClsAndMean);
        assert_eq!(usual_features(64, 2), Kind::LastCls(2));
        assert_eq!(usual_features(64, 1), Kind::Cls);
    }
}
