//! Measures of how well an assignment of images to components agrees with their labels.
//!
//! ```text
//! n_cl images of component c with label l; n_c of component c, n_l with label l, N in total
//!
//! MI  = Σ n_cl/N log(N n_cl / (n_c n_l))
//! NMI = MI / ((H(component) + H(label)) / 2)
//! ARI = (Σ C(n_cl) − E) / ((Σ C(n_c) + Σ C(n_l)) / 2 − E),   E = Σ C(n_c) Σ C(n_l) / C(N)
//! ```
//!
//! with `C(n) = n (n − 1) / 2` pairs. NMI is 0 if components say nothing about labels and 1 if both are
//! the same partition; it grows with the number of components. ARI is 0 on average for random components.
//!
//! Source: Vinh, Epps, Bailey, JMLR 11 (2010); Hubert and Arabie, 1985. Equal to scikit-learn's
//! `normalized_mutual_info_score` (arithmetic mean) and `adjusted_rand_score` within 1e-12
//! (`tests/all/golden_analysis.rs`).

use std::collections::BTreeMap;

/// Counts of images by component and label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contingency {
    cells: BTreeMap<(u32, u32), u64>,
    components: BTreeMap<u32, u64>,
    labels: BTreeMap<u32, u64>,
    all: u64,
}

impl Contingency {
    /// Counts the images of each component and label; both slices have one entry for each image.
    pub fn new(components: &[u32], labels: &[u32]) -> Self {
        let mut counts = Self::default();
        for (&component, &label) in components.iter().zip(labels) {
            *counts.cells.entry((component, label)).or_default() += 1;
            *counts.components.entry(component).or_default() += 1;
            *counts.labels.entry(label).or_default() += 1;
            counts.all += 1;
        }
        counts
    }

    /// Normalized mutual information, in \[0, 1\].
    pub fn nmi(&self) -> f64 {
        let entropies = (entropy(&self.components), entropy(&self.labels));
        if self.components.len() == self.labels.len() && self.labels.len() <= 1 {
            return 1.0; // both partitions have a single part
        }
        let all = self.all as f64;
        let term = |(&(component, label), &count): (&(u32, u32), &u64)| {
            let (count, rows) = (count as f64, self.components[&component] as f64);
            count / all * (all * count / (rows * self.labels[&label] as f64)).ln()
        };
        let information: f64 = self.cells.iter().map(term).sum();
        let mean = (entropies.0 + entropies.1) / 2.0;
        (information / mean.max(f64::EPSILON)).clamp(0.0, 1.0)
    }

    /// Adjusted Rand index, at most 1.
    pub fn ari(&self) -> f64 {
        let pairs = |count: &u64| (*count as f64) * (*count as f64 - 1.0) / 2.0;
        let both: f64 = self.cells.values().map(pairs).sum();
        let components: f64 = self.components.values().map(pairs).sum();
        let labels: f64 = self.labels.values().map(pairs).sum();
        if both == components && both == labels {
            return 1.0;
        }
        let chance = components * labels / pairs(&self.all);
        (both - chance) / ((components + labels) / 2.0 - chance)
    }

    /// The most frequent label of each component, and the number of its images with that label. Of
    /// equally frequent labels, the lowest.
    pub fn majorities(&self) -> BTreeMap<u32, (u32, u64)> {
        let mut majorities: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        for (&(component, label), &count) in &self.cells {
            let best = majorities.entry(component).or_insert((label, count));
            if count > best.1 {
                *best = (label, count);
            }
        }
        majorities
    }

    /// Share of images that have the most frequent label of their component, in \[0, 1\].
    pub fn purity(&self) -> f64 {
        let agreeing: u64 = self.majorities().values().map(|(_, count)| count).sum();
        agreeing as f64 / self.all.max(1) as f64
    }
}

/// Entropy of a partition, in nats.
fn entropy(counts: &BTreeMap<u32, u64>) -> f64 {
    let all = counts.values().sum::<u64>() as f64;
    counts.values().map(|&count| count as f64 / all).map(|p| -p * p.ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_partitions_agree_whatever_their_numbers() {
        let counts = Contingency::new(&[7, 7, 3, 3, 9], &[0, 0, 1, 1, 2]);
        assert!((counts.nmi() - 1.0).abs() < 1e-12);
        assert_eq!((counts.ari(), counts.purity()), (1.0, 1.0));
    }

    #[test]
    fn one_component_or_one_class_says_nothing() {
        let one_component = Contingency::new(&[0; 4], &[0, 0, 1, 1]);
        assert_eq!((one_component.nmi(), one_component.ari()), (0.0, 0.0));
        assert_eq!((one_component.purity(), one_component.majorities()[&0]), (0.5, (0, 2)));
        let one_class = Contingency::new(&[0, 0, 1, 1], &[5; 4]);
        assert_eq!((one_class.nmi(), one_class.ari(), one_class.purity()), (0.0, 0.0, 1.0));
        let one_image = Contingency::new(&[3], &[1]);
        assert_eq!((one_image.nmi(), one_image.ari()), (1.0, 1.0));
    }

    #[test]
    fn crossed_partitions_are_worse_than_chance() {
        let crossed = Contingency::new(&[0, 1, 0, 1], &[0, 0, 1, 1]);
        assert!(crossed.nmi() < 1e-12 && (crossed.ari() + 0.5).abs() < 1e-12);
    }
}
