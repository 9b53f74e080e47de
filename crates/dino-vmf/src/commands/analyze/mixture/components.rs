//! The components of the mixture: which prototypes, at which temperature, with which center.

use anyhow::Result;
use clap::Args;
use dino::error::Error;
use dino::objective::Center;
use probe::analysis::assignment::Components;
use vit::Prototypes;

use crate::commands::analyze::subject::Input;

/// Flags that change how images and patches are assigned.
#[derive(Debug, Args)]
pub(super) struct AssignmentFlags {
    /// Temperature of the assignments; by default the network's own at the end of the run
    ///
    /// Lower values make assignments more certain.
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Assign without the teacher's center
    ///
    /// Shows the mixture that the prototypes define on their own. In training the center balances their use.
    #[arg(long)]
    no_center: bool,
}

/// The prototypes of images or of patches, and what the teacher assigns with.
pub(super) struct PrototypeSet<'a> {
    pub(super) prototypes: Prototypes,
    pub(super) teacher_temperature: f64,
    pub(super) teacher_center: Option<&'a Center>,
}

/// The components, with the settings they were made with.
pub(super) struct TemperedComponents {
    pub(super) components: Components,
    pub(super) temperature: f64,
    /// Whether the teacher's center is part of them.
    pub(super) centered: bool,
}

impl AssignmentFlags {
    /// The components of a network. Without flags, they have the temperature and the center that this
    /// network has in training; the student has no center.
    ///
    /// # Errors
    /// If the checkpoint has no head.
    pub(super) fn components(
        &self,
        input: &Input<'_>,
        set: PrototypeSet<'_>,
    ) -> Result<TemperedComponents, Error> {
        let (own_temperature, center) = input.network().assigns_with(
            &input.checkpoint,
            set.teacher_temperature,
            set.teacher_center.filter(|_| !self.no_center),
        );
        let temperature = self.temperature.unwrap_or(own_temperature);
        let (objective, params) = (&input.head()?.objective, input.encoder().params);
        let (g, v) = (params.view(set.prototypes.g).host(), params.view(set.prototypes.v).host());
        let offsets = objective.offsets(g, center, temperature);
        Ok(TemperedComponents {
            components: Components::new(g, v, temperature, offsets),
            temperature,
            centered: center.is_some(),
        })
    }
}

/// Parses a temperature.
fn temperature(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|x| (1e-3..=1e3).contains(x));
    number.ok_or_else(|| "must be a number above 0, from 0.001 to 1000".to_owned())
}
