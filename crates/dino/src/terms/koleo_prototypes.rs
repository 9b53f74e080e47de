//! KoLeo of the prototypes: pushes the student's \[CLS\] prototypes away from their nearest neighbors.
//! The formulas and their source: [`engine::ops::koleo`].

use engine::Params;
use engine::ops::koleo::{self, Form};
use report::{Metric, Metrics};

use super::{Term, Weights};
use vit::Head;
use vit::head::Prototypes;

/// The term of the prototypes' spread. It has no state.
#[derive(Debug, Clone)]
pub struct KoleoPrototypes {
    prototypes: Prototypes,
    lambda: f64,
}

impl KoleoPrototypes {
    /// The term with this weight.
    pub fn new(lambda: f64, head: &Head) -> Self {
        Self { prototypes: head.prototypes, lambda }
    }
}

impl Term for KoleoPrototypes {
    fn name(&self) -> &'static str {
        "koleo_prototypes"
    }

    fn boxed_clone(&self) -> Box<dyn Term> {
        Box::new(self.clone())
    }

    fn of_weights(&mut self, weights: Weights<'_>, grads: &mut Params, metrics: &mut Metrics) {
        let Prototypes { g, v, .. } = self.prototypes;
        let (loss, saved) = koleo::forward(weights.student, g, v, Form::Plain);
        koleo::backward(saved, self.lambda as f32, v, grads);
        metrics.add(Metric::Loss, self.lambda * loss);
    }
}
