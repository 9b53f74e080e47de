//! `Mixture` is the report on a mixture: its components, the images assigned to them, and how both agree
//! with labels.

use std::collections::BTreeMap;

use serde::Serialize;

use super::accuracy_by_kappa::{Group, groups, spearman};
use super::agreement::Contingency;
use super::assignment::{Assignments, Components};
use super::distribution::{Histogram, Summary, entropy, gini, top_percent_share};
use crate::geometry::unique::unique_prototypes;

/// Cosines at which two prototypes count as one.
const COSINES: [f32; 3] = [0.9, 0.95, 0.975];

/// Labels of the images, and whether k-NN finds them.
#[derive(Debug, Clone)]
pub struct Labels {
    /// A label for each image.
    pub labels: Vec<u32>,
    /// For each image, whether k-NN classifies it correctly; `None` if k-NN was not run.
    pub correct: Option<Vec<bool>>,
}

/// The report on a mixture, from images or from patches of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mixture {
    /// Images (or patches) that were assigned.
    pub images: usize,
    /// Number of components.
    pub prototypes: usize,
    /// Number of components with at least one image.
    pub in_use: usize,
    /// Prototypes that are not near-duplicates of others, at several cosines.
    pub unique: Vec<UniqueCount>,
    /// Entropies of assignments.
    pub entropy: Entropy,
    /// How probability is distributed over components.
    pub mass: Mass,
    /// Concentrations.
    pub kappa: Kappa,
    /// Agreement with labels, if there are any.
    pub labels: Option<Agreement>,
    /// Accuracy of k-NN by κ, if k-NN was run.
    #[serde(rename = "ease")]
    pub accuracy_by_kappa: Option<AccuracyByKappa>,
    /// The components in use, those with the largest mass first.
    pub components: Vec<Component>,
}

/// Number of unique prototypes at one cosine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UniqueCount {
    /// Two prototypes with a larger cosine count as one.
    pub cosine: f32,
    /// Among all prototypes.
    pub all: usize,
    /// Among those in use.
    pub in_use: usize,
}

/// Entropies of assignments, in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entropy {
    /// Of the mean assignment, `H(E p)`: how evenly components are used; at most `log k`.
    pub marginal: f64,
    /// Mean over images, `E H(p)`: how uncertain a single assignment is.
    pub conditional: f64,
    /// Their difference: the information that the component has about the image.
    pub mutual_information: f64,
    /// `exp(marginal)`: the number of equally used components with the same entropy.
    pub perplexity: f64,
    /// `log k`.
    pub largest: f64,
    /// Histogram of the entropies of single assignments.
    pub histogram: Histogram,
}

/// How the probability of the images is distributed over components.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mass {
    /// The largest share of one component.
    pub largest: f64,
    /// Share of the largest 1 % of the components.
    pub top_percent: f64,
    /// Gini coefficient.
    pub gini: f64,
    /// Share of the components without an image.
    pub unused: f64,
    /// Share of each component.
    pub shares: Vec<f64>,
}

/// Concentrations κ = ‖w‖ / τ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kappa {
    /// True if all are equal, as with fixed norms. Images cannot be ordered by κ then.
    pub fixed: bool,
    /// All components.
    pub all: Summary,
    /// Components in use.
    pub in_use: Summary,
    /// Histogram of all components.
    pub histogram: Histogram,
    /// Histogram of those in use, in the same bins.
    pub histogram_in_use: Histogram,
    /// κ of each component.
    pub values: Vec<f64>,
}

/// Agreement of components with labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of labels that occur.
    pub classes: usize,
    /// Normalized mutual information.
    pub nmi: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Share of images with the most frequent label of their component.
    pub purity: f64,
}

/// Accuracy of k-NN, and how it depends on the κ of an image's component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyByKappa {
    /// Percent of all images that k-NN classifies correctly.
    pub accuracy: f64,
    /// Rank correlation of κ and correctness, over images.
    pub spearman: Option<f64>,
    /// Fifths of images by κ.
    pub groups: Vec<Group>,
}

/// A component in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its number.
    pub prototype: u32,
    /// Its share of the images' probability.
    pub mass: f64,
    /// Its concentration.
    pub kappa: f64,
    /// Images assigned to it.
    pub images: usize,
    /// Their most frequent label.
    pub label: Option<u32>,
    /// Share of them that have it.
    pub purity: Option<f64>,
    /// Percent of them that k-NN classifies correctly.
    pub accuracy: Option<f64>,
    /// Places in the source of the images nearest to its direction.
    pub nearest: Vec<u32>,
    /// For a mixture of patches: which patch of each of these images, counted from 0, row by row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest_patches: Vec<u32>,
}

impl Mixture {
    /// Makes the report; `labels` has one entry for each assigned image.
    pub fn new(
        components: &Components,
        assignments: &Assignments,
        labels: Option<&Labels>,
    ) -> Self {
        let table = table(components, assignments, labels);
        let in_use: Vec<u32> = table.iter().map(|component| component.prototype).collect();
        let unused = 1.0 - table.iter().map(|component| component.mass).sum::<f64>();
        let shares = assignments.mass.clone();
        Self {
            images: assignments.assigned.len(),
            prototypes: components.len(),
            in_use: in_use.len(),
            unique: count_unique(components, &in_use),
            entropy: Entropy::new(assignments),
            mass: Mass {
                largest: shares.iter().copied().fold(0.0, f64::max),
                top_percent: top_percent_share(&shares),
                gini: gini(&shares),
                unused: unused.max(0.0),
                shares,
            },
            kappa: Kappa::new(components, &in_use),
            labels: labels.map(|labels| Agreement::new(assignments, labels)),
            accuracy_by_kappa: labels.and_then(|labels| {
                let correct = labels.correct.as_ref()?;
                Some(AccuracyByKappa::new(components, assignments, correct))
            }),
            components: table,
        }
    }

    /// Replaces the numbers of the nearest rows by places of images in their source: row `i` belongs to
    /// `images[i]`. With `patches` rows for each image, row `i` is patch `i % patches` of image
    /// `images[i / patches]`.
    ///
    /// # Panics
    /// If `images` is too short.
    pub fn locate(&mut self, images: &[usize], patches: Option<usize>) {
        let of_image = patches.unwrap_or(1);
        for Component { nearest, nearest_patches, .. } in &mut self.components {
            for row in nearest.iter_mut() {
                let (image, patch) = (*row as usize / of_image, *row as usize % of_image);
                *row = images[image] as u32;
                nearest_patches.extend(patches.map(|_| patch as u32));
            }
        }
    }
}

/// Components in use, the largest mass first.
fn table(
    components: &Components,
    assignments: &Assignments,
    labels: Option<&Labels>,
) -> Vec<Component> {
    let majorities =
        labels.map(|labels| Contingency::new(&assignments.assigned, &labels.labels).majorities());
    let correct = labels.and_then(|labels| labels.correct.as_ref());
    let mut members: BTreeMap<u32, (usize, usize)> = BTreeMap::new(); // images, correct ones
    for (image, &prototype) in assignments.assigned.iter().enumerate() {
        let (images, hits) = members.entry(prototype).or_default();
        *images += 1;
        *hits += usize::from(correct.is_some_and(|correct| correct[image]));
    }
    let component = |(prototype, (images, hits)): (u32, (usize, usize))| {
        let majority = majorities.as_ref().and_then(|majorities| majorities.get(&prototype));
        Component {
            prototype,
            mass: assignments.mass[prototype as usize],
            kappa: components.kappas[prototype as usize],
            images,
            label: majority.map(|(label, _)| *label),
            purity: majority.map(|(_, count)| *count as f64 / images as f64),
            accuracy: correct.map(|_| 100.0 * hits as f64 / images as f64),
            nearest: assignments.nearest[prototype as usize].clone(),
            nearest_patches: Vec::new(),
        }
    };
    let mut table: Vec<Component> = members.into_iter().map(component).collect();
    table.sort_by(|a, b| b.mass.total_cmp(&a.mass)); // stable: of equal masses, the lower number first
    table
}

fn count_unique(components: &Components, in_use: &[u32]) -> Vec<UniqueCount> {
    let width = components.directions.width;
    let mut in_use = in_use.to_vec();
    in_use.sort_unstable();
    let row =
        |&prototype: &u32| &components.directions.values[prototype as usize * width..][..width];
    let used: Vec<f32> = in_use.iter().flat_map(row).copied().collect();
    let count = |cosine| UniqueCount {
        cosine,
        all: unique_prototypes(&components.directions.values, width, cosine).len(),
        in_use: unique_prototypes(&used, width, cosine).len(),
    };
    COSINES.map(count).to_vec()
}

impl Entropy {
    fn new(assignments: &Assignments) -> Self {
        let marginal = entropy(&assignments.mass);
        let Summary { mean: conditional, max, .. } = Summary::of(&assignments.entropies);
        Self {
            marginal,
            conditional,
            mutual_information: (marginal - conditional).max(0.0),
            perplexity: marginal.exp(),
            largest: (assignments.mass.len() as f64).ln(),
            histogram: Histogram::between(0.0, max, &assignments.entropies),
        }
    }
}

impl Kappa {
    fn new(components: &Components, in_use: &[u32]) -> Self {
        let all = Summary::of(&components.kappas);
        let used: Vec<f64> =
            in_use.iter().map(|&prototype| components.kappas[prototype as usize]).collect();
        Self {
            // fixed norms differ by rounding at most
            fixed: all.max - all.min <= 1e-6 * all.max,
            in_use: Summary::of(&used),
            histogram: Histogram::between(all.min, all.max, &components.kappas),
            histogram_in_use: Histogram::between(all.min, all.max, &used),
            all,
            values: components.kappas.clone(),
        }
    }
}

impl Agreement {
    fn new(assignments: &Assignments, labels: &Labels) -> Self {
        let counts = Contingency::new(&assignments.assigned, &labels.labels);
        let mut classes = labels.labels.clone();
        classes.sort_unstable();
        classes.dedup();
        let (nmi, ari, purity) = (counts.nmi(), counts.ari(), counts.purity());
        Self { classes: classes.len(), nmi, ari, purity }
    }
}

impl AccuracyByKappa {
    fn new(components: &Components, assignments: &Assignments, correct: &[bool]) -> Self {
        let kappa = |&prototype: &u32| components.kappas[prototype as usize];
        let kappas: Vec<f64> = assignments.assigned.iter().map(kappa).collect();
        let hits: Vec<f64> = correct.iter().map(|&hit| f64::from(u8::from(hit))).collect();
        Self {
            accuracy: 100.0 * hits.iter().sum::<f64>() / hits.len().max(1) as f64,
            spearman: spearman(&kappas, &hits),
            groups: groups(&kappas, correct),
        }
    }
}

#[cfg(test)]
mod tests;
