//! A [`Split`] says which rows are fitted and which validate.

use rand::seq::SliceRandom;
use streams::{Key, Purpose};

/// Share of the validation split.
const SHARE: f64 = 0.2;

/// Places of the rows that are fitted and of those that validate, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows that are fitted.
    pub fitted: Vec<usize>,
    /// Rows that validate.
    pub validation: Vec<usize>,
}

impl Split {
    /// Each class gives a fifth of its rows to the validation split, one at least if it has two.
    pub fn by_class(labels: &[u32], seed: u64) -> Self {
        let mut order = shuffled(labels.len(), seed);
        order.sort_by_key(|&i| labels[i]);
        let (mut fitted, mut validation) = (Vec::new(), Vec::new());
        for class in order.chunk_by(|&a, &b| labels[a] == labels[b]) {
            let share = (SHARE * class.len() as f64).round() as usize;
            let share = share.max(usize::from(class.len() > 1));
            validation.extend_from_slice(&class[..share]);
            fitted.extend_from_slice(&class[share..]);
        }
        Self { fitted, validation }.ascending()
    }

    /// A fifth of all rows, whatever their classes.
    pub fn at_random(rows: usize, seed: u64) -> Self {
        let order = shuffled(rows, seed);
        let (validation, fitted) = order.split_at((SHARE * rows as f64) as usize);
        Self { fitted: fitted.to_vec(), validation: validation.to_vec() }.ascending()
    }

    /// The first `fitted` of `all` rows are fitted, the others validate.
    pub fn after(fitted: usize, all: usize) -> Self {
        Self { fitted: (0..fitted).collect(), validation: (fitted..all).collect() }
    }

    fn ascending(mut self) -> Self {
        self.fitted.sort_unstable();
        self.validation.sort_unstable();
        self
    }
}

fn shuffled(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut Key::new(seed, Purpose::Estimate).index(2).open());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_complete(split: Split, rows: usize) {
        let mut all = [split.fitted, split.validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
    }

    #[test]
    fn every_class_with_two_rows_is_on_both_sides() {
        let labels = [0, 1, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0];
        let split = Split::by_class(&labels, 7);
        let count = |of: &[usize], class: u32| of.iter().filter(|&&i| labels[i] == class).count();
        let Split { fitted, validation } = &split;
        let sizes = [0, 1, 2, 3].map(|class| (count(fitted, class), count(validation, class)));
        assert_eq!(sizes, [(8, 2), (1, 1), (1, 0), (1, 0)]);
        is_complete(split, labels.len());
    }

    #[test]
    fn a_fifth_is_drawn_at_random_and_depends_on_the_seed() {
        let split = Split::at_random(52, 1);
        assert_eq!((split.fitted.len(), split.validation.len()), (42, 10));
        assert_eq!(split, Split::at_random(52, 1));
        assert_ne!(split, Split::at_random(52, 2));
        is_complete(split, 52);
        is_complete(Split::after(3, 7), 7);
    }
}
