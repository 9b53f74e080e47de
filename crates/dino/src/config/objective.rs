//! Prototypes, temperatures, centering.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check::{Check, MAX_EPOCHS};
use crate::error::Result;

/// Temperatures with which scores of cosines stay within single precision.
const TEMPERATURES: [f64; 2] = [1e-3, 1e6];
/// Largest weight of a term of the loss.
const MAX_LAMBDA: f64 = 1e6;

/// Section `[objective]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// `dino`, `dino-vmf`, `ibot` or `ibot-vmf`; decides the defaults of the next three keys.
    pub method: Method,
    /// What becomes of the prototypes' norms: `l2` (fixed to 1), `free` (learned), or `vmf`
    /// (learned, with the normalizer of the von Mises-Fisher density in the logits).
    pub prototype_norm: PrototypeNorm,
    /// What the teacher's center is: `logit` (mean of the logits), `prob-a` (running mean of the
    /// logarithm of mean probabilities), `prob-b` (logarithm of their running mean), or `sinkhorn`
    /// (of each batch, so that all prototypes get the same share of it).
    pub centering: Centering,
    /// Correction terms of the normalizer's expansion, 0 to 3, or `"exact"`.
    pub debye_terms: DebyeTerms,
    /// Temperature of the student.
    pub student_temp: f64,
    /// Temperature of the teacher in the first epoch.
    pub teacher_temp_start: f64,
    /// Temperature of the teacher after its warm-up.
    pub teacher_temp: f64,
    /// Epochs in which the teacher's temperature goes from `teacher_temp_start` to `teacher_temp`.
    pub teacher_temp_warmup_epochs: f64,
    /// Momentum of the center: center ← m · center + (1 − m) · mean of the batch.
    pub center_momentum: f64,
    /// Iterations of `sinkhorn`.
    pub sinkhorn_iterations: usize,
    /// Temperature of the teacher for masked patches up to `masking.start_epoch` (iBOT).
    pub patch_temp_start: f64,
    /// Temperature of the teacher for masked patches after as long a warm-up, which starts with
    /// `masking.start_epoch`.
    pub patch_temp: f64,
    /// Momentum of the center of patches.
    pub patch_center_momentum: f64,
    /// Weight of the loss of \[CLS\] tokens.
    pub lambda_cls: f64,
    /// Weight of the loss of masked patches.
    pub lambda_patch: f64,
    /// Weight of KoLeo-proto, which spreads the prototypes of \[CLS\] tokens; 0: none.
    pub lambda_koleo: f64,
    /// Whether the normalizer of the student passes its gradient to the prototypes' norms.
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
    /// iBOT: DINO, and masked patches that predict what the teacher sees there.
    Ibot,
    /// iBOT-vMF: iBOT with both terms of a von Mises-Fisher mixture.
    IbotVmf,
}

impl Method {
    /// Prototype norm, centering and Debye terms unless given.
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

/// What becomes of the prototypes' norms.
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
        let (prototype_norm, centering, debye_terms) = Method::Dino.defaults();
        Self {
            method: Method::Dino,
            prototype_norm,
            centering,
            debye_terms,
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
