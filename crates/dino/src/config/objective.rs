//! `[objective]`: prototypes, temperatures, centering.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check::{Check, MAX_EPOCHS};
use super::error::Result;

/// Temperatures with which scores of cosines stay within single precision.
const TEMPERATURES: [f64; 2] = [1e-3, 1e6];
/// Largest weight of a term of the loss.
const MAX_LAMBDA: f64 = 1e6;

/// What is learned: the student's assignment of a crop to the prototypes must match the teacher's
/// assignment of another crop of the same image. Temperatures divide the scores; lower is sharper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// `dino`, `dino-vmf`, `ibot` or `ibot-vmf`. The two of iBOT also predict masked patches, for
    /// features of patches and at more time for each step. The two of vMF treat the prototypes as a von
    /// Mises-Fisher mixture. The method decides the defaults of the next three keys.
    pub method: Method,
    /// What the norms of the prototypes are: `l2` fixes them to 1, `free` learns them, `vmf` learns them
    /// as concentrations, with the normalizer of the von Mises-Fisher density in the logits. Follows from
    /// `objective.method`: `l2` for `dino` and `ibot`, `vmf` for the others. `free` can give better
    /// features than `l2` but is unstable for large models.
    pub prototype_norm: Option<PrototypeNorm>,
    /// How the teacher is kept from preferring few prototypes: `logit` subtracts the running mean of the
    /// logits, `prob-a` the running mean of the logarithm of mean probabilities, `prob-b` the logarithm of
    /// their running mean; `sinkhorn` balances each batch on its own, so that all prototypes get the same
    /// share of it. Follows from `objective.method`: `logit` for `dino` and `ibot`, `prob-a` for the
    /// others. `sinkhorn` needs `optim.accumulate = 1`.
    pub centering: Option<Centering>,
    /// Accuracy of the normalizer of `vmf`: the number of correction terms of its expansion, 0 to 3, or
    /// `"exact"`. 0, the default of every method, is what the paper uses; more terms cost little. Below a
    /// `model.bottleneck_dim` of 16 the normalizer is always exact.
    pub debye_terms: Option<DebyeTerms>,
    /// Temperature of the student. Keep it at 0.1 and change the teacher's.
    pub student_temp: f64,
    /// Temperature of the teacher in the first epoch. 0.04 works in most cases; try less if the loss does
    /// not fall.
    pub teacher_temp_start: f64,
    /// Temperature of the teacher after its warm-up. Lower values sharpen targets. Start with 0.04 and
    /// raise it to at most 0.07 once the loss falls; above that, training is unstable on most data.
    pub teacher_temp: f64,
    /// Epochs in which the teacher's temperature rises from `objective.teacher_temp_start` to
    /// `objective.teacher_temp`; it changes between epochs only. 0 has no warm-up.
    pub teacher_temp_warmup_epochs: f64,
    /// Momentum m of the center: center ← m · center + (1 − m) · mean of the batch. Lower values follow
    /// the batch faster and suit short runs: 0.9 for long ones, 0.5 for a few thousand steps.
    pub center_momentum: f64,
    /// Iterations of `sinkhorn`. 3 balance a batch well enough.
    pub sinkhorn_iterations: usize,
    /// Temperature of the teacher for masked patches, up to `masking.start_epoch` and in the first epoch
    /// after it.
    pub patch_temp_start: f64,
    /// Temperature of the teacher for masked patches after its warm-up, which takes
    /// `objective.teacher_temp_warmup_epochs` epochs from `masking.start_epoch` on.
    pub patch_temp: f64,
    /// Momentum of the center of patches, as `objective.center_momentum`.
    pub patch_center_momentum: f64,
    /// Weight of the loss of \[CLS\] tokens.
    pub lambda_cls: f64,
    /// Weight of the loss of masked patches. Lower it if a small network learns to predict patches and
    /// nothing about images.
    pub lambda_patch: f64,
    /// Weight of KoLeo-proto, which pushes the prototypes of \[CLS\] tokens apart; 0 leaves it out. Try it
    /// if an alarm reports that many prototypes are near-duplicates.
    pub lambda_koleo: f64,
    /// Whether the student's normalizer passes its gradient to the norms of the prototypes. `true` is the
    /// method; `false` is for experiments.
    pub gradient_through_normalizer: bool,
}

/// A method of self-distillation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// DINO: prototypes of norm 1, center of logits.
    #[default]
    Dino,
    /// DINO-vMF: a von Mises-Fisher mixture, center of probabilities.
    DinoVmf,
    /// iBOT: DINO, and masked patches that predict the teacher's assignment of the same patch.
    Ibot,
    /// iBOT-vMF: iBOT with both terms of a von Mises-Fisher mixture.
    IbotVmf,
}

impl Method {
    /// Prototype norm, centering and Debye terms, unless they are set.
    pub fn defaults(self) -> (PrototypeNorm, Centering, DebyeTerms) {
        match self {
            Self::Dino | Self::Ibot => (PrototypeNorm::L2, Centering::Logit, DebyeTerms::Terms(0)),
            Self::DinoVmf | Self::IbotVmf => {
                (PrototypeNorm::Vmf, Centering::ProbA, DebyeTerms::Terms(0))
            }
        }
    }

    /// Whether patches are masked and predicted.
    pub fn masks(self) -> bool {
        matches!(self, Self::Ibot | Self::IbotVmf)
    }
}

/// What the norms of the prototypes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrototypeNorm {
    /// Fixed to 1.
    L2,
    /// Learned, as a bare factor of the logits.
    Free,
    /// Learned, as the concentration of a von Mises-Fisher density.
    Vmf,
}

/// What the teacher's center is a mean of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centering {
    /// Logits before the temperature.
    Logit,
    /// Logarithms of the batch's mean probabilities.
    ProbA,
    /// The batch's mean probabilities; the center is the logarithm.
    ProbB,
    /// Nothing: each batch is balanced on its own.
    Sinkhorn,
}

/// Accuracy of the normalizer used in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebyeTerms {
    /// Leading term and this many corrections, 0 to 3.
    Terms(u8),
    /// No expansion.
    Exact,
}

impl Serialize for DebyeTerms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Terms(terms) => serializer.serialize_u8(*terms),
            Self::Exact => serializer.serialize_str("exact"),
        }
    }
}

impl<'de> Deserialize<'de> for DebyeTerms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Terms;
        impl Visitor<'_> for Terms {
            type Value = DebyeTerms;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0, 1, 2, 3 or \"exact\"")
            }
            fn visit_u64<E: de::Error>(self, terms: u64) -> Result<DebyeTerms, E> {
                match u8::try_from(terms) {
                    Ok(terms @ 0..=3) => Ok(DebyeTerms::Terms(terms)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(terms), &self)),
                }
            }
            fn visit_i64<E: de::Error>(self, terms: i64) -> Result<DebyeTerms, E> {
                self.visit_u64(u64::try_from(terms).unwrap_or(u64::MAX))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DebyeTerms, E> {
                match text {
                    "exact" => Ok(DebyeTerms::Exact),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Terms)
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            method: Method::Dino,
            prototype_norm: None,
            centering: None,
            debye_terms: None,
            student_temp: 0.1,
            teacher_temp_start: 0.04,
            teacher_temp: 0.04,
            teacher_temp_warmup_epochs: 0.0,
            center_momentum: 0.9,
            sinkhorn_iterations: 3,
            patch_temp_start: 0.04,
            patch_temp: 0.07,
            patch_center_momentum: 0.9,
            lambda_cls: 1.0,
            lambda_patch: 1.0,
            lambda_koleo: 0.0,
            gradient_through_normalizer: true,
        }
    }
}

impl Objective {
    /// What the norms of the prototypes are: as set, else as the method has it.
    pub fn prototype_norm(&self) -> PrototypeNorm {
        self.prototype_norm.unwrap_or(self.method.defaults().0)
    }

    /// The centering: as set, else that of the method.
    pub fn centering(&self) -> Centering {
        self.centering.unwrap_or(self.method.defaults().1)
    }

    /// The accuracy of the normalizer: as set, else that of the method.
    pub fn debye_terms(&self) -> DebyeTerms {
        self.debye_terms.unwrap_or(self.method.defaults().2)
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        let temperatures = [
            ("objective.student_temp", self.student_temp),
            ("objective.teacher_temp_start", self.teacher_temp_start),
            ("objective.teacher_temp", self.teacher_temp),
            ("objective.patch_temp_start", self.patch_temp_start),
            ("objective.patch_temp", self.patch_temp),
        ];
        for (key, temperature) in temperatures {
            check.positive(key, temperature, TEMPERATURES)?;
        }
        let epochs = self.teacher_temp_warmup_epochs;
        check.not_negative("objective.teacher_temp_warmup_epochs", epochs, MAX_EPOCHS)?;
        check.count("objective.sinkhorn_iterations", self.sinkhorn_iterations, 1000)?;
        check.not_negative("objective.lambda_cls", self.lambda_cls, MAX_LAMBDA)?;
        check.not_negative("objective.lambda_patch", self.lambda_patch, MAX_LAMBDA)?;
        check.not_negative("objective.lambda_koleo", self.lambda_koleo, MAX_LAMBDA)?;
        let patches = if self.method.masks() { self.lambda_patch } else { 0.0 };
        let learns = self.lambda_cls + patches + self.lambda_koleo > 0.0;
        let needed = "be above 0 where no other term of the loss has a weight";
        check.require(learns, "objective.lambda_cls", self.lambda_cls, needed)?;
        check.fraction("objective.center_momentum", self.center_momentum)?;
        check.fraction("objective.patch_center_momentum", self.patch_center_momentum)
    }
}
