//! The shuffled order of the samples in an epoch.

use rand::Rng;
use streams::{Key, Purpose};

use crate::dataset::{Dataset, Shards};

/// The order in which epoch `epoch` visits the samples of a data set: [`epoch_order`], or
/// [`sharded_order`] if the data set has more shards than it can keep loaded.
///
/// # Panics
/// If the data set has more than `u32::MAX` samples.
pub fn for_dataset(dataset: &dyn Dataset, seed: u64, epoch: u64) -> Vec<u32> {
    match dataset.shards() {
        Some(shards) if shards.ends.len() > shards.window => sharded_order(seed, epoch, &shards),
        _ => epoch_order(seed, epoch, dataset.len()),
    }
}

/// A permutation of `0..len`: the order in which epoch `epoch` visits the samples.
///
/// A pure function of its arguments, so a run can resume at any step without replaying earlier
/// ones. Fisher–Yates from the last position to the first, with one 64-bit number for each
/// position.
///
/// ```
/// let order = multicrop::order::epoch_order(7, 3, 5);
/// assert_eq!(order, multicrop::order::epoch_order(7, 3, 5));
/// ```
///
/// # Accuracy
/// A position's choice among `n` samples is biased by less than `n / 2^64`.
///
/// # Panics
/// If `len` exceeds `u32::MAX`, because indices have 32 bits.
pub fn epoch_order(seed: u64, epoch: u64, len: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..index(len)).collect();
    shuffle(&mut order, &mut Key::new(seed, Purpose::Order).epoch(epoch).open());
    order
}

/// A permutation of all samples that uses few shards at a time.
///
/// ```text
/// step         0      1      2      3      4          one column for each step, window = 3
/// shard a      a₀     a₁     a₂
/// shard b             b₀     b₁     b₂                the samples of a column are shuffled
/// shard c                    c₀     c₁     c₂
/// ```
///
/// Shards come in random order. The samples of each are randomly dealt into `window` parts, which
/// go to `window` consecutive steps; the samples of a step are shuffled. So at most `window` shards
/// are in use at any position, each step adds a new one, and the shuffle buffer, which is a step,
/// is as large as a shard. The first and last steps of an epoch mix fewer shards.
///
/// A pure function of its arguments, which are counts. So nothing has to be read to know the order.
/// A resumed run loads at most `window` shards again, which it can do in parallel.
///
/// # Panics
/// If there are more than `u32::MAX` samples, or the ends of the shards are not sorted.
pub fn sharded_order(seed: u64, epoch: u64, shards: &Shards) -> Vec<u32> {
    let mut rng = Key::new(seed, Purpose::Order).epoch(epoch).open();
    let window = shards.window.max(1);
    let starts = std::iter::once(0).chain(shards.ends.iter().copied());
    let mut visits: Vec<_> = starts.zip(&shards.ends).map(|(start, &end)| start..end).collect();
    visits.retain(|samples| !samples.is_empty());
    shuffle(&mut visits, &mut rng);
    let mut steps = vec![Vec::new(); visits.len() + window - 1];
    for (first, samples) in visits.into_iter().enumerate() {
        let mut samples: Vec<u32> = (index(samples.start)..index(samples.end)).collect();
        shuffle(&mut samples, &mut rng);
        for part in 0..window {
            let (from, to) = (samples.len() * part / window, samples.len() * (part + 1) / window);
            steps[first + part].extend_from_slice(&samples[from..to]);
        }
    }
    steps.iter_mut().for_each(|step| shuffle(step, &mut rng));
    steps.concat()
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("a data set has fewer than 2^32 samples")
}

/// Fisher–Yates from the last position to the first, one number for each position.
fn shuffle<T>(items: &mut [T], rng: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        let choices = last as u128 + 1;
        let choice = (u128::from(rng.next_u64()) * choices) >> 64;
        items.swap(last, choice as usize);
    }
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

    proptest! {
        #[test]
        fn few_shards_are_in_use_at_a_time(
            seed: u64,
            epoch in 0_u64..1000,
            sizes in proptest::collection::vec(0_usize..40, 1..30),
            window in 1_usize..8,
        ) {
            let ends: Vec<usize> =
                sizes.iter().scan(0, |end, size| { *end += size; Some(*end) }).collect();
            let shards = Shards { ends: ends.clone(), window, slow: false };
            let order = sharded_order(seed, epoch, &shards);
            prop_assert_eq!(&order, &sharded_order(seed, epoch, &shards));
            let mut uses = vec![None; sizes.len()];
            for (place, &sample) in order.iter().enumerate() {
                let shard = ends.partition_point(|&end| end <= sample as usize);
                uses[shard].get_or_insert((place, place)).1 = place;
            }
            for place in 0..order.len() {
                let in_use = |use_: &&(usize, usize)| use_.0 <= place && place <= use_.1;
                prop_assert!(uses.iter().flatten().filter(in_use).count() <= window);
            }
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..sizes.iter().sum::<usize>() as u32));
        }
    }

    #[test]
    fn the_orders_of_earlier_versions_are_kept() {
        assert_eq!(epoch_order(7, 3, 8), [0, 7, 4, 1, 6, 5, 2, 3]);
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
