//! A run that starts from a checkpoint: `init.checkpoint`.
//!
//! ```text
//! own_images ─▶ settings::of_checkpoint   which settings follow from it
//! trainer    ─▶ open, state               weights and centers before the first step
//!            ─▶ guard                     whether features got worse than those of the start
//! ```

pub mod guard;
pub(crate) mod settings;

use std::path::Path;

use engine::Params;
use vit::init;

use crate::checkpoint::CenterOf;
use crate::config::Config;
use crate::error::Result;
use crate::open::{Choices, Opened, TrainedHead, open_with};
use crate::trainer::step::{State, Training};

/// Opens the checkpoint; `None` if the run starts from random weights.
///
/// # Errors
/// As [`open_with`].
pub(crate) fn open(config: &Config) -> Result<Option<Opened>> {
    let init = &config.init;
    let Some(path) = &init.checkpoint else { return Ok(None) };
    let path = config.locate("init.checkpoint", path);
    let choices = Choices { key: init.key.clone(), heads: init.heads, ignore: init.ignore.clone() };
    open_with(Path::new(&path), &choices).map(Some)
}

/// The head that the run takes over, unless its heads start at random.
fn head<'a>(config: &Config, opened: &'a Opened) -> Option<&'a TrainedHead> {
    opened.head.as_ref().filter(|_| !config.init.fresh_heads)
}

/// The state before the first step, with the weights and the centers of the checkpoint. Fresh heads are those of a
/// run without a checkpoint. Then, and if there is no student, the student starts as the teacher.
pub(crate) fn state(training: &Training, opened: &Opened) -> State {
    let config = &training.config;
    let fresh = init::draw(&training.network, config.seed, config.model.init_std);
    let head = head(config, opened);
    let adopt = |from: &Params| {
        let mut params = fresh.clone();
        let table = params.table().clone();
        for entry in table.entries() {
            let theirs = from.table().entries().iter();
            let mut theirs = theirs.filter(|other| other.name == entry.name);
            let is_taken = head.is_some() || !entry.name.starts_with("head.");
            let Some(theirs) = theirs.next().filter(|other| is_taken && other.shape == entry.shape)
            else {
                continue;
            };
            let values = from.view(theirs.param);
            params.view_mut(entry.param).host_mut().copy_from_slice(values.host());
        }
        params
    };
    let teacher = adopt(&opened.teacher);
    let student = opened.student.as_ref().filter(|_| head.is_some()).map(adopt);
    let mut state = training.state_from(student.unwrap_or_else(|| teacher.clone()));
    state.teacher = teacher;
    if let Some(head) = head.filter(|_| centers_fit(config, &opened.config)) {
        restore_centers(&mut state, head);
    }
    state
}

/// Whether the centers of the checkpoint have the run's units, so that they can be taken over.
fn centers_fit(config: &Config, theirs: &Config) -> bool {
    let units = |config: &Config| {
        let objective = &config.objective;
        (objective.centering(), objective.prototype_norm())
    };
    units(config) == units(theirs)
}

fn restore_centers(state: &mut State, head: &TrainedHead) {
    for term in &mut state.terms {
        let wanted = term.state().into_iter().map(|(name, values)| (name, values.len()));
        for (name, len) in wanted.collect::<Vec<_>>() {
            let center = match name {
                _ if name == CenterOf::Cls.name() => &head.center,
                _ if name == CenterOf::Patches.name() => &head.patch_center,
                _ => &None,
            };
            if let Some(center) = center.as_ref().filter(|center| center.values().len() == len) {
                term.restore(name, center.values().host());
            }
        }
    }
}
