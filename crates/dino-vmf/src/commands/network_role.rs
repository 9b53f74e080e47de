//! Which of a checkpoint's networks a command uses.

use clap::ValueEnum;
use dino::objective::Center;
use dino::open::Opened;
use probe::Encoder;
use probe::analysis::assignment::Components;
use serde::Serialize;

/// The networks that a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NetworkRole {
    Teacher,
    Student,
}

impl NetworkRole {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Student => "student",
        }
    }

    /// This network of a checkpoint, with its parameters.
    pub(crate) fn encoder(self, checkpoint: &Opened) -> Encoder<'_> {
        let params = match self {
            Self::Teacher => &checkpoint.teacher,
            Self::Student => &checkpoint.student,
        };
        Encoder { name: self.name(), network: &checkpoint.network, params }
    }

    /// The temperature and the center that this network assigns with in training, of those of the teacher. A
    /// student has no center.
    pub(crate) fn assigns_with<'a>(
        self,
        checkpoint: &Opened,
        teacher_temperature: f64,
        teacher_center: Option<&'a Center>,
    ) -> (f64, Option<&'a Center>) {
        match self {
            Self::Teacher => (teacher_temperature, teacher_center),
            Self::Student => (checkpoint.config.objective.student_temp, None),
        }
    }

    /// The mixture of images that this network assigns them to in training.
    pub(crate) fn components(self, checkpoint: &Opened) -> Components {
        let teacher_temperature = checkpoint.config.objective.teacher_temp;
        let (temperature, center) =
            self.assigns_with(checkpoint, teacher_temperature, Some(&checkpoint.center));
        let (params, prototypes) =
            (self.encoder(checkpoint).params, checkpoint.network.head.prototypes);
        let (g, v) = (params.view(prototypes.g).host(), params.view(prototypes.v).host());
        let offsets = checkpoint.objective.offsets(g, center, temperature);
        Components::new(g, v, temperature, offsets)
    }
}
