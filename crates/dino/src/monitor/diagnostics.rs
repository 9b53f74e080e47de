//! [`Diagnostics`] are expensive measures, made every `run.diagnose_every_steps`: passes over all weights, and
//! distances between prototypes.
//!
//! ```text
//! κ         |gₖ| / τₛ of the student's prototypes
//! drift     √(mean (cₖ − c'ₖ)²),  c' the center at the diagnosis before
//! distance  ‖student − teacher‖ / ‖student‖, over all weights
//! unique    representatives of a greedy cover of the teacher's directions μₖ ([`unique_prototypes`])
//! normalizer  what the vMF normalizer changes in assignments to the student's prototypes
//! rankme    effective number of dimensions of the teacher's [CLS] vectors of one batch ([`spectrum`])
//! ```
//!
//! A batch has few vectors, and RankMe is at most their number. Compare it with earlier values of the same
//! run; `dino-vmf analyze features` measures it over a data set.
//!
//! At most 4096 prototypes are compared, evenly spread over the rows. All rows are initialized alike, so any
//! selection does. It misses duplicates among the rest, so it can look less collapsed than all prototypes
//! are, but never more.

mod normalizer;

use engine::Params;
use engine::reduce::dot;
use probe::Matrix;
use probe::geometry::spectrum;
use probe::geometry::unique::unique_prototypes;
use rayon::prelude::*;
use serde::Serialize;

pub use self::normalizer::NormalizerEffect;
use crate::objective::Networks;
use vit::Prototypes;

/// Most prototypes that are compared. 4096 of width 256, at three thresholds, take half a second on two cores.
const COMPARED: usize = 4096;
/// Weights in one partial sum.
const CHUNK: usize = 1 << 14;

/// The measures of one diagnosis, one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnostics {
    /// Steps done.
    pub step: u64,
    /// Concentrations of the student's prototypes.
    pub kappa: Quantiles,
    /// How far the center has moved since the last diagnosis, in its own units (logits, or nats);
    /// nothing at the first diagnosis of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center_drift: Option<f64>,
    /// Prototypes that were compared with each other.
    pub prototypes_compared: usize,
    /// How many of them are left if near-duplicates count once.
    pub unique: UniquePrototypes,
    /// What the vMF normalizer changes in assignments of the teacher's \[CLS\] vectors to the student's
    /// prototypes, whether the method adds it or not; nothing if a concentration is zero or not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<NormalizerEffect>,
    /// RankMe of the teacher's \[CLS\] vectors of the step's global crops, from 1 to `rankme_most`. It is low
    /// if the vectors fill few dimensions.
    pub rankme: f64,
    /// The smaller of the number of these vectors and their width.
    pub rankme_most: usize,
    /// Distance of the teacher from the student, relative to the student's norm.
    pub teacher_distance: f64,
    /// Euclidean norm of all the student's weights.
    pub weight_norm: f64,
}

/// Quantiles of a set of values; each is a member of the set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The least.
    pub min: f64,
    /// A quarter is below.
    pub q25: f64,
    /// Half is below.
    pub median: f64,
    /// Three quarters are below.
    pub q75: f64,
    /// The largest.
    pub max: f64,
}

/// Numbers of unique prototypes at three thresholds of the cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UniquePrototypes {
    /// At a cosine of 0.9.
    pub at_0_9: usize,
    /// At 0.95.
    pub at_0_95: usize,
    /// At 0.975, the threshold of the paper on partial prototype collapse.
    pub at_0_975: usize,
}

/// The state of a run that a diagnosis measures.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Steps done.
    pub step: u64,
    /// Weights of both networks, and the prototypes of \[CLS\] tokens.
    pub networks: Networks<'a>,
    /// The teacher's \[CLS\] vectors of a batch, `[rows, r]`.
    pub teacher_vectors: &'a Matrix,
    /// The student's temperature.
    pub student_temp: f64,
    /// The center, `[k]`.
    pub center: &'a [f32],
    /// The center at the last diagnosis.
    pub center_before: Option<&'a [f32]>,
}

impl Diagnostics {
    /// Makes all measures.
    pub fn measure(run: &Snapshot<'_>) -> Self {
        let Networks { prototypes, student, teacher } = run.networks;
        let (g, v) = (student.view(prototypes.g).host(), student.view(prototypes.v).host());
        let kappas: Vec<f64> = Prototypes::kappas(g, run.student_temp).collect();
        let rows = || compared(prototypes.count);
        let normalizer = NormalizerEffect::measure(
            run.teacher_vectors,
            &Prototypes::directions(g, v, rows()),
            &rows().map(|k| kappas[k]).collect::<Vec<_>>(),
        );
        let (g, v) = (teacher.view(prototypes.g).host(), teacher.view(prototypes.v).host());
        let directions = Prototypes::directions(g, v, rows());
        let width = directions.len() / rows().len();
        let unique = |cosine| unique_prototypes(&directions, width, cosine).len();
        let weight_norm = norm(student);
        Self {
            step: run.step,
            kappa: Quantiles::of(kappas),
            center_drift: run.center_before.map(|before| drift(run.center, before)),
            prototypes_compared: rows().len(),
            unique: UniquePrototypes {
                at_0_9: unique(0.9),
                at_0_95: unique(0.95),
                at_0_975: unique(0.975),
            },
            normalizer,
            rankme: spectrum::rankme(run.teacher_vectors),
            rankme_most: run.teacher_vectors.len().min(run.teacher_vectors.width),
            teacher_distance: distance(student, teacher) / weight_norm.max(f64::MIN_POSITIVE),
            weight_norm,
        }
    }
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let at = |quarters: usize| values[last * quarters / 4];
        Self { min: at(0), q25: at(1), median: at(2), q75: at(3), max: at(4) }
    }
}

/// Euclidean norm of all weights.
pub(crate) fn norm(params: &Params) -> f64 {
    sum_over_chunks(params, params, |a, _| f64::from(dot(a, a))).sqrt()
}

/// Euclidean distance of all weights.
fn distance(a: &Params, b: &Params) -> f64 {
    let squares = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).map(f64::from).sum::<f64>()
    };
    sum_over_chunks(a, b, squares).sqrt()
}

/// Sums over chunks of a fixed size, added in order, so the result does not depend on the number of threads.
fn sum_over_chunks(a: &Params, b: &Params, sum: impl Fn(&[f32], &[f32]) -> f64 + Sync) -> f64 {
    let (a, b) = (a.whole().host(), b.whole().host());
    let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    chunks.map(|(a, b)| sum(a, b)).collect::<Vec<f64>>().iter().sum()
}

/// Root mean square of the center's movement.
fn drift(center: &[f32], before: &[f32]) -> f64 {
    let squares =
        center.iter().zip(before).map(|(&c, &old)| (f64::from(c) - f64::from(old)).powi(2));
    (squares.sum::<f64>() / center.len().max(1) as f64).sqrt()
}

/// Indices of the prototypes that are compared: at most `COMPARED`, evenly spread.
fn compared(k: usize) -> impl ExactSizeIterator<Item = usize> {
    let count = k.min(COMPARED);
    (0..count).map(move |i| i * k / count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::ParamTable;

    use super::*;
    use vit::{Head, HeadShape};

    /// A head of `k` prototypes of width 2 and its weights.
    fn head(k: usize) -> (Head, Params) {
        let mut table = ParamTable::default();
        let shape = HeadShape {
            embed_dim: 1,
            hidden_dim: 1,
            bottleneck_dim: 2,
            prototypes: k,
            patch_prototypes: None,
            precision: engine::matmul::Precision::F32,
        };
        let head = Head::new(&shape, "", &mut table);
        (head, Params::zeros(Arc::new(table)))
    }

    #[test]
    fn a_diagnosis_has_the_values_of_its_formulas() {
        let (head, mut student) = head(5);
        let prototypes = head.prototypes;
        student.view_mut(prototypes.g).host_mut().copy_from_slice(&[1.0, -2.0, 3.0, 0.5, 4.0]);
        let v = [1.0, 0.0, -3.0, 0.0, 2.0, 0.1, 0.0, 1.0, 1.0, 1.0];
        student.view_mut(prototypes.v).host_mut().copy_from_slice(&v);
        let mut teacher = student.clone();
        teacher.view_mut(prototypes.v).host_mut()[9] += 0.5;
        let networks = Networks { prototypes, student: &student, teacher: &teacher };
        let (center, before) = ([1.0, 2.0], [0.0, 2.0]);
        // Two directions, of equal weight.
        let vectors = Matrix::new(vec![1.0, 0.0, 0.0, -1.0, 0.0, 1.0, -1.0, 0.0], 2);
        let mut run = Snapshot {
            step: 7,
            networks,
            teacher_vectors: &vectors,
            student_temp: 0.1,
            center: &center,
            center_before: Some(&before),
        };
        let found = Diagnostics::measure(&run);
        let Quantiles { min, q25, median, q75, max } = found.kappa;
        assert_eq!([min, q25, median, q75, max].map(f64::round), [5.0, 10.0, 20.0, 30.0, 40.0]);
        // −(−3, 0) is (1, 0) again, and (2, 0.1) is near it.
        assert_eq!(found.unique, UniquePrototypes { at_0_9: 3, at_0_95: 3, at_0_975: 3 });
        assert_eq!(found.prototypes_compared, 5);
        let norm = student.whole().host().iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        assert!((found.weight_norm - norm).abs() < 1e-5);
        assert!((found.teacher_distance - 0.5 / norm).abs() < 1e-6);
        assert!((found.rankme - 2.0).abs() < 1e-5 && found.rankme_most == 2, "{}", found.rankme);
        assert!((found.center_drift.unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
        run.center_before = None;
        assert_eq!(Diagnostics::measure(&run).center_drift, None);
        // ln κ of 10, 20, 30, 5, 40
        let effect = found.normalizer.unwrap();
        assert!((effect.log_kappa_sd - 0.7556).abs() < 1e-3 && effect.kl > 0.01, "{effect:?}");
    }

    #[test]
    fn of_many_prototypes_some_are_compared() {
        let rows: Vec<usize> = compared(3 * COMPARED + 1).collect();
        assert_eq!((rows.len(), rows[1], rows[COMPARED - 1]), (COMPARED, 3, 3 * (COMPARED - 1)));
        assert_eq!(compared(3).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
