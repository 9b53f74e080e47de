//! An [`Extension`] joins the schedules of a run with those that it has since it was made longer.

use serde::Serialize;

use super::{Schedules, StepValues};

/// A run was made longer at step `a`.
///
/// ```text
/// v(t) = old(t)                                               t < a
/// v(t) = old(a) + (new(t) − old(a)) · min(1, (t − a) / J)     t ≥ a
/// J    = min(W, ⌊(T − a) / 10⌋)
/// ```
///
/// `old` and `new` are the schedules of a run of the old and of the new length `T`, and `W` is the warm-up
/// of the learning rate. Serves the learning rate, the weight decay and the teacher's momentum. Temperatures
/// depend on the epoch alone.
///
/// So the run ends as one that was planned for the new length. Without the joining steps, the learning rate
/// would jump from its minimum to the middle of a cosine, with moments of the optimizer that are too small
/// for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// Steps done when the run was made longer, `a`.
    pub at: u64,
    /// Steps that join the schedules, `J`.
    pub join_steps: u64,
    /// The schedules of the run before; they may be joined ones themselves.
    pub before: Schedules,
}

/// What an extension changes, for `metrics.jsonl` and for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extended {
    /// Steps of the run before.
    pub steps_before: u64,
    /// Steps of the run now.
    pub steps: u64,
    /// Steps that join the schedules.
    pub join_steps: u64,
    /// Learning rate before the joining steps, and after them.
    pub lr: [f64; 2],
    /// Weight decay before the joining steps, and after them.
    pub weight_decay: [f64; 2],
    /// The teacher's momentum before the joining steps, and after them.
    pub momentum: [f64; 2],
}

impl Extension {
    /// Most joining steps, as a part of the steps that are left.
    const JOIN_PART: u64 = 10;

    /// `new` are the schedules of the new length.
    pub(super) fn new(at: u64, before: Schedules, new: &Schedules) -> Self {
        let left = new.horizon.total_steps.saturating_sub(at);
        let join_steps = new.lr.warmup_steps.min(left / Self::JOIN_PART);
        Self { at, join_steps, before }
    }

    /// The values at `step`, of which `new` are those of the new length.
    pub(super) fn join(&self, step: u64, new: StepValues) -> StepValues {
        let Some(since) = step.checked_sub(self.at) else { return self.before.at(step) };
        if since >= self.join_steps {
            return new;
        }
        let old = self.before.at(self.at);
        let part = since as f64 / self.join_steps as f64;
        let between = |old: f64, new: f64| old + (new - old) * part;
        StepValues {
            lr: between(old.lr, new.lr),
            weight_decay: between(old.weight_decay, new.weight_decay),
            momentum: between(old.momentum, new.momentum),
            ..new
        }
    }
}

impl Schedules {
    /// What the last extension has changed; `None` if the run has the length that it started with.
    pub fn extended(&self) -> Option<Extended> {
        let Extension { at, join_steps, before } = self.extension.as_deref()?;
        let (old, new) = (before.at(*at), self.at(at + join_steps));
        Some(Extended {
            steps_before: before.horizon.total_steps,
            steps: self.horizon.total_steps,
            join_steps: *join_steps,
            lr: [old.lr, new.lr],
            weight_decay: [old.weight_decay, new.weight_decay],
            momentum: [old.momentum, new.momentum],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schedules;
    use crate::config::{Config, Horizon};

    fn schedules(extended: &[[u64; 2]], total_steps: u64) -> Schedules {
        let mut config = Config::default();
        config.optim.warmup_epochs = 2.0;
        config.optim.extended = extended.to_vec();
        Schedules::new(&config, Horizon { total_steps, steps_per_epoch: 10 })
    }

    #[test]
    fn an_extended_run_starts_as_the_short_one_and_ends_as_the_long_one() {
        let (short, long) = (schedules(&[], 100), schedules(&[], 300));
        let extended = schedules(&[[100, 100]], 300);
        // A tenth of the 200 steps that are left.
        assert_eq!(extended.extended().unwrap().join_steps, 20);
        for step in 0..100 {
            assert_eq!(extended.at(step), short.at(step), "{step}");
        }
        for step in 120..300 {
            assert_eq!(extended.at(step), long.at(step), "{step}");
        }
    }

    #[test]
    fn schedules_are_joined_without_a_jump() {
        for at in [40, 100] {
            let extended = schedules(&[[at, 100]], 300);
            let peak = extended.lr.peak;
            for step in 1..300 {
                let (before, now) = (extended.at(step - 1), extended.at(step));
                assert!((now.lr - before.lr).abs() < 0.06 * peak, "{step}");
                assert!((now.momentum - before.momentum).abs() < 0.06 * 0.004, "{step}");
                assert!((now.weight_decay - before.weight_decay).abs() < 0.06 * 0.4, "{step}");
            }
        }
    }

    #[test]
    fn a_run_can_be_extended_again() {
        let once = schedules(&[[100, 100]], 200);
        let twice = schedules(&[[100, 100], [150, 200]], 400);
        assert!((0..150).all(|step| twice.at(step) == once.at(step)));
        assert_eq!(twice.at(150).lr, once.at(150).lr);
        assert_eq!(twice.at(399), schedules(&[], 400).at(399));
    }
}
