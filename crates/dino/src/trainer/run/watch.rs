//! Feeds the monitor and passes on what it says.

use serde_json::json;

use super::super::events::{Event, StepRecord};
use super::super::step::{State, Step};
use super::Run;
use crate::config::OnCollapse;
use crate::error::{Error, Result};
use crate::matrix::Matrix;
use crate::model::init;
use crate::monitor::diagnostics::{Sight, norm};
use crate::monitor::{Alarm, Diagnostics, Limits, Monitor, Reading};
use crate::objective::Networks;
use crate::schedule::Schedules;

/// The monitor, and what a diagnosis is compared with.
pub(super) struct Watch {
    monitor: Monitor,
    center_before: Option<Vec<f32>>,
}

impl Watch {
    pub(super) fn new(step: &Step, state: &State, schedules: &Schedules) -> Self {
        let weight_norm = match state.step {
            0 => norm(&state.student),
            // The start of a run that goes on is drawn again.
            _ => norm(&init::draw(&step.network, step.config.seed, step.config.model.init_std)),
        };
        let limits = Limits::new(&step.config, schedules, weight_norm);
        Self { monitor: Monitor::new(limits), center_before: None }
    }
}

impl Run<'_> {
    /// Reports the alarms that start or end with this step, which the teacher saw as these vectors; an
    /// alarm ends the run if it shall.
    pub(super) fn watch(
        &mut self,
        record: &StepRecord,
        vectors: &Matrix,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut alarms = self.watch.monitor.step(&reading(record));
        let every = self.config().run.diagnose_every_steps;
        if every > 0 && record.step.is_multiple_of(every) {
            let found = self.diagnose(vectors);
            self.metrics.write(found.step, &json!({ "diagnostics": found }))?;
            alarms.extend(self.watch.monitor.diagnose(&found));
            report(Event::Diagnostics(found));
        }
        for alarm in &alarms {
            self.metrics.write(alarm.step, &json!({ "alarm": alarm }))?;
            report(Event::Alarm(alarm.clone()));
        }
        match alarms.into_iter().find(|alarm| alarm.raised && alarm.kind.ends_run()) {
            Some(alarm) if self.config().run.on_collapse == OnCollapse::Stop => {
                self.stop_on(alarm, report)
            }
            _ => Ok(()),
        }
    }

    fn stop_on(&mut self, alarm: Alarm, report: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.save(report)?;
        Err(Error::Alarm { alarm: Box::new(alarm), path })
    }

    fn diagnose(&mut self, vectors: &Matrix) -> Diagnostics {
        let (state, step) = (&self.state, &self.step);
        let prototypes = step.network.head.prototypes;
        let found = Diagnostics::measure(&Sight {
            step: state.step,
            networks: Networks { prototypes, student: &state.student, teacher: &state.teacher },
            vectors,
            student_temp: step.config.objective.student_temp,
            center: state.center.values().host(),
            center_before: self.watch.center_before.as_deref(),
        });
        self.watch.center_before = Some(state.center.values().host().to_vec());
        found
    }
}

fn reading(record: &StepRecord) -> Reading {
    Reading {
        step: record.step,
        teacher_entropy: record.teacher_entropy,
        kl: record.kl,
        assignment_entropy: record.assignment_entropy,
        feature_std: record.feature_std,
        image_agreement: record.image_agreement,
        kappa_max: record.kappa_max,
        grad_norm: record.grad_norm,
        momentum: record.momentum,
    }
}
