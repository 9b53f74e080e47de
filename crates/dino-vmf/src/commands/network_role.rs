//! Which of a checkpoint's networks a command uses.

use clap::ValueEnum;
use dino::open::Opened;
use probe::Encoder;
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
}
