//! The tensors of a training checkpoint, and their names.
//!
//! | name | shape | |
//! | --- | --- | --- |
//! | `student.*`, `teacher.*` | | weights under PyTorch's names, `student.backbone.cls_token` |
//! | `exp_avg.*`, `exp_avg_sq.*` | | the moments of AdamW, under the same names |
//! | `center` | `[k]` | the center of the teacher's scores of \[CLS\] tokens |
//! | `center_patch` | `[k]` | that of its scores of patches, for methods that mask |
//!
//! Training writes and resumes, and evaluations open checkpoints, by these names alone.

use engine::Params;

use super::{Error, Tensor, Tensors};

/// A set of tensors with the layout of the network's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamSet {
    /// The student's weights.
    Student,
    /// The teacher's weights.
    Teacher,
    /// AdamW's mean of gradients.
    FirstMoment,
    /// AdamW's mean of squared gradients.
    SecondMoment,
}

/// A center of the teacher's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CenterOf {
    /// \[CLS\] tokens.
    Cls,
    /// Patches.
    Patches,
}

impl ParamSet {
    fn prefix(self) -> &'static str {
        match self {
            Self::Student => "student.",
            Self::Teacher => "teacher.",
            Self::FirstMoment => "exp_avg.",
            Self::SecondMoment => "exp_avg_sq.",
        }
    }

    /// The tensors of this set, with these values.
    pub fn tensors(self, params: &Params) -> impl Iterator<Item = Tensor<'_>> {
        params.table().entries().iter().map(move |entry| Tensor {
            name: format!("{}{}", self.prefix(), entry.name),
            shape: entry.shape.clone(),
            values: params.view(entry.param).host(),
        })
    }

    /// Reads this set of a checkpoint into `params`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn read(self, tensors: &Tensors, params: &mut Params) -> Result<(), Error> {
        for entry in params.table().clone().entries() {
            let name = format!("{}{}", self.prefix(), entry.name);
            let mut view = params.view_mut(entry.param);
            tensors.copy_into(&name, &entry.shape, view.host_mut())?;
        }
        Ok(())
    }
}

impl CenterOf {
    /// The name of its tensor.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cls => "center",
            Self::Patches => "center_patch",
        }
    }

    /// Reads this center of `prototypes` values.
    ///
    /// # Errors
    /// If it is missing or has another shape.
    pub fn read(self, tensors: &Tensors, prototypes: usize) -> Result<Vec<f32>, Error> {
        tensors.get(self.name(), &[prototypes])
    }
}
