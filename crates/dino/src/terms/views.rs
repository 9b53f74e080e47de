//! \[CLS\] tokens across views: DINO's loss, in every method.
//!
//! ```text
//! views = mean over pairs (q, v), q a global crop of an image, v another crop of it, of
//!         −Σₖ P_t[q, k] log P_s[v, k]
//! ```
//!
//! Source: `DINOLoss` of DINO's `main_dino.py`, described in Caron et al., arXiv:2104.14294.

use engine::Tensor;
use multicrop::recipe::GLOBAL_CROPS;
use report::Metric;

use super::mixture_loss::MixtureLoss;
use super::{Gradients, Inputs, NotFinite, Term, TermReport, Weights};
use crate::checkpoint::CenterOf;
use crate::config::Config;
use crate::objective::{Compared, Objective, Pairs};
use crate::schedule::StepValues;
use vit::Head;

/// The term of \[CLS\] tokens. Its state is the center.
#[derive(Debug, Clone)]
pub struct Views {
    loss: MixtureLoss,
    crops: usize, // of an image
}

impl Views {
    /// The term that a configuration describes.
    pub fn new(config: &Config, head: &Head, objective: &Objective) -> Self {
        let settings = &config.objective;
        let (lambda, momentum) = (settings.lambda_cls, settings.center_momentum);
        let loss = MixtureLoss::new(objective, head.prototypes, lambda, momentum);
        Self { loss, crops: config.data.crops() }
    }
}

impl Term for Views {
    fn name(&self) -> &'static str {
        "views"
    }

    fn boxed_clone(&self) -> Box<dyn Term> {
        Box::new(self.clone())
    }

    fn start_step(&mut self, weights: Weights<'_>, values: &StepValues) {
        self.loss.start_step(weights, values.teacher_temp);
    }

    fn of_outputs(
        &mut self,
        inputs: &Inputs<'_>,
        gradients: &mut Gradients<'_>,
        report: &mut TermReport<'_>,
    ) -> Result<(), NotFinite> {
        let Inputs { student, teacher, share, .. } = *inputs;
        let pairs = Pairs::Views { teacher_crops: GLOBAL_CROPS, student_crops: self.crops };
        let compared = Compared { student: &student.cls, teacher: &teacher.cls, pairs };
        let (output, dy) = self.loss.forward_backward(&compared, inputs, gradients.params);
        let metrics = &mut report.metrics;
        metrics.add(Metric::Loss, share * self.loss.lambda * output.loss);
        metrics.add(Metric::TeacherEntropy, share * output.teacher_entropy);
        metrics.add(Metric::Kl, share * (output.loss - output.teacher_entropy));
        report.observations.add_views(&teacher.cls, GLOBAL_CROPS, &output.assigned);
        gradients.outputs.add_cls(dy?);
        Ok(())
    }

    fn end_step(&mut self, values: &StepValues) {
        self.loss.center.update(values.teacher_temp);
    }

    fn discard_step(&mut self) {
        self.loss.center.discard_statistic();
    }

    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![(CenterOf::Cls.name(), self.loss.center.values())]
    }

    fn restore(&mut self, name: &str, values: &[f32]) {
        assert_eq!(name, CenterOf::Cls.name(), "state of the term of views");
        self.loss.center.set_values(values);
    }
}
