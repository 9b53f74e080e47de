//! The `Watch` of a run feeds the monitor after each step, and writes and reports its alarms.

use engine::Tensor;
use probe::Matrix;
use report::tensorboard::Scalar;
use serde_json::json;

use super::super::events::{Event, StepRecord};
use super::super::step::{State, Training};
use super::Run;
use crate::checkpoint::CenterOf;
use crate::config::OnCollapse;
use crate::error::{Error, Result};
use crate::monitor::diagnostics::{Snapshot, norm};
use crate::monitor::observations::Observations;
use crate::monitor::{Alarm, Diagnostics, Limits, Monitor, remedy};
use crate::objective::Networks;
use crate::schedule::Schedules;
use crate::start::guard::Record;
use vit::init;

/// The monitor, and the center at the last diagnosis.
pub(super) struct Watch {
    monitor: Monitor,
    center_before: Option<Vec<f32>>,
}

impl Watch {
    pub(super) fn new(
        training: &Training,
        state: &State,
        schedules: &Schedules,
        start: Option<&Record>,
    ) -> Self {
        let weight_norm = match (state.step, start) {
            (_, Some(start)) => start.weight_norm,
            (0, None) => norm(&state.student),
            // A resumed run draws its initial weights again, to have their norm.
            (_, None) => norm(&init::draw(
                &training.network,
                training.config.seed,
                training.config.model.init_std,
            )),
        };
        let limits = Limits::new(&training.config, schedules, weight_norm);
        let monitor = Monitor::new(limits, remedy::all(&training.config));
        Self { monitor, center_before: None }
    }
}

impl Run<'_> {
    /// Writes and reports the alarms that this step raises or clears, and a diagnosis if it is due. With
    /// `run.on_collapse = "stop"`, an alarm saves the run and ends it.
    pub(super) fn watch(
        &mut self,
        record: &StepRecord,
        observations: &Observations,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut alarms = self.watch.monitor.step(record.step, &record.metrics);
        let every = self.config().run.diagnose_every_steps;
        if every > 0 && record.step.is_multiple_of(every) {
            let found = self.diagnose(&observations.teacher_vectors);
            let line = json!({ "diagnostics": found });
            self.metrics.write(found.step, &line)?;
            let scalars = Scalar::all_in("diagnostics", &line["diagnostics"]);
            self.metrics.events().scalars(found.step, &scalars)?;
            alarms.extend(self.watch.monitor.diagnose(&found));
            report(Event::Diagnostics(found));
        }
        for alarm in &alarms {
            self.metrics.write(alarm.step, &json!({ "alarm": alarm }))?;
            self.metrics.events().text(alarm.step, "train/alarms", &alarm.to_string())?;
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

    fn diagnose(&mut self, teacher_vectors: &Matrix) -> Diagnostics {
        let (state, training) = (&self.state, &self.training);
        let prototypes = training.network.head.prototypes;
        let center = state.center(CenterOf::Cls).map(Tensor::on_host);
        let found = Diagnostics::measure(&Snapshot {
            step: state.step,
            networks: Networks { prototypes, student: &state.student, teacher: &state.teacher },
            teacher_vectors,
            student_temp: training.config.objective.student_temp,
            center: center.as_ref().map_or(&[], |center| center.host()),
            center_before: self.watch.center_before.as_deref(),
        });
        self.watch.center_before = center.map(|center| center.host().to_vec());
        found
    }
}
