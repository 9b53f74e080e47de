//! The order of the samples in an epoch.

use rand::Rng;
use streams::{Key, Purpose};

/// A permutation of `0..len`: the order in which epoch `epoch` visits the samples.
///
/// A pure function of its arguments (Fisher–Yates from the last place to the first, one 64-bit
/// number for each place), so a run resumes anywhere without having gone there.
///
/// ```
/// let order = multicrop::order::epoch_order(7, 3, 5);
/// assert_eq!(order, multicrop::order::epoch_order(7, 3, 5));
/// ```
///
/// # Accuracy
/// A place's choice among `n` samples is biased by less than `n / 2^64`.
///
/// # Panics
/// If `len` exceeds `u32::MAX`: indices are kept in 32 bits.
pub fn epoch_order(seed: u64, epoch: u64, len: usize) -> Vec<u32> {
    let len = u32::try_from(len).expect("a data set has fewer than 2^32 samples");
    let mut rng = Key::new(seed, Purpose::Order).epoch(epoch).open();
    let mut order: Vec<u32> = (0..len).collect();
    for last in (1..order.len()).rev() {
        let choices = last as u128 + 1;
        let choice = (u128::from(rng.next_u64()) * choices) >> 64;
        order.swap(last, choice as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_comes_once_in_an_epoch(seed: u64, epoch in 0_u64..1000, len in 0_usize..500) {
            let mut order = epoch_order(seed, epoch, len);
            prop_assert_eq!(&order, &epoch_order(seed, epoch, len));
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..len as u32));
        }
    }

    #[test]
    fn epochs_and_seeds_have_different_orders() {
        assert_ne!(epoch_order(1, 0, 100), epoch_order(1, 1, 100));
        assert_ne!(epoch_order(1, 0, 100), epoch_order(2, 0, 100));
    }

    #[test]
    fn all_orders_of_three_samples_are_about_equally_frequent() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(epoch_order(5, epoch, 3)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
