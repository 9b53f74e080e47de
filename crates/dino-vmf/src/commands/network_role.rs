//! Which of a checkpoint's networks a command uses.

use clap::ValueEnum;
use dino::error::Error;
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

    /// Refuses a checkpoint without this network.
    ///
    /// # Errors
    /// There is no student.
    pub(crate) fn require(self, checkpoint: &Opened) -> Result<(), Error> {
        match (self, &checkpoint.student) {
            (Self::Student, None) => Err(Error::NoStudent { path: checkpoint.path.clone() }),
            _ => Ok(()),
        }
    }

    /// This network of a checkpoint, with its parameters.
    ///
    /// # Panics
    /// If there is no such network; see [`NetworkRole::require`].
    pub(crate) fn encoder(self, checkpoint: &Opened) -> Encoder<'_> {
        let params = match self {
            Self::Teacher => &checkpoint.teacher,
            Self::Student => checkpoint.student.as_ref().expect("the caller requires a student"),
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
    ///
    /// # Errors
    /// If the checkpoint has no head.
    pub(crate) fn components(self, checkpoint: &Opened) -> Result<Components, Error> {
        let head = checkpoint.head()?;
        let teacher_temperature = checkpoint.config.objective.teacher_temp;
        let (temperature, center) =
            self.assigns_with(checkpoint, teacher_temperature, head.center.as_ref());
        let (params, prototypes) =
            (self.encoder(checkpoint).params, checkpoint.network.head.prototypes);
        let (g, v) = (params.view(prototypes.g).host(), params.view(prototypes.v).host());
        let offsets = head.objective.offsets(g, center, temperature);
        Ok(Components::new(g, v, temperature, offsets))
    }
}
