//! [`ShardPrefetch`] loads slow shards before their images are needed.
//!
//! A gzipped archive has to be unpacked before its first image can be read, which takes seconds.
//! Without prefetching, all workers would wait when they reach a new archive, and a resumed run
//! would wait for several, one after the other. So separate threads load all shards of the batch
//! that starts, in parallel, and the next shard after them.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::dataset::{Dataset, Shards};

/// The shards of an epoch that have to be loaded, in order.
#[derive(Default)]
pub(super) struct ShardPrefetch {
    /// Ordered by first position.
    visits: Vec<Visit>,
    /// Index of the first of `visits` that was not started.
    next: usize,
    /// Limit on the shards that are started at a time; a batch of many small shards may need more.
    limit: usize,
}

/// The first and last position of a shard's images in an epoch's order.
struct Visit {
    shard: usize,
    first: usize,
    last: usize,
}

impl ShardPrefetch {
    /// Plans an epoch that visits its samples in `order`; does nothing if its shards are not slow.
    pub(super) fn new(order: &[u32], shards: Option<&Shards>) -> Self {
        let Some(shards) = shards.filter(|shards| shards.slow) else { return Self::default() };
        let mut visits: Vec<Option<Visit>> = shards.ends.iter().map(|_| None).collect();
        for (position, &sample) in order.iter().enumerate() {
            let shard = shards.ends.partition_point(|&end| end <= sample as usize);
            let new = Visit { shard, first: position, last: position };
            visits[shard].get_or_insert(new).last = position;
        }
        let mut visits: Vec<Visit> = visits.into_iter().flatten().collect();
        visits.sort_unstable_by_key(|visit| visit.first);
        Self { visits, next: 0, limit: shards.window + 1 }
    }

    /// Starts to load the shards of a batch at these positions of the order, and the shard after
    /// them.
    pub(super) fn start(&mut self, dataset: &Arc<dyn Dataset>, positions: Range<usize>) {
        for shard in self.due(&positions) {
            let dataset = Arc::clone(dataset);
            let thread = thread::Builder::new().name(format!("shard {shard}"));
            // if no thread can be started, the worker that reads the first image loads the shard
            drop(thread.spawn(move || dataset.prepare(shard)));
        }
    }

    /// The shards for these positions, and the one after them; no shard is returned twice.
    fn due(&mut self, positions: &Range<usize>) -> Vec<usize> {
        let needed = self.visits.partition_point(|visit| visit.first < positions.end);
        let until = self.visits.len().min(needed + 1).max(self.next);
        let new = &self.visits[self.next..until];
        self.next = until;
        let live = new.iter().filter(|visit| visit.last >= positions.start);
        live.map(|visit| visit.shard).take(self.limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four shards of four images; at any position of this order at most two are in use.
    const ORDER: [u32; 16] = [0, 1, 2, 4, 3, 5, 6, 8, 7, 9, 10, 12, 11, 13, 14, 15];

    fn prefetch(slow: bool) -> ShardPrefetch {
        ShardPrefetch::new(&ORDER, Some(&Shards { ends: vec![4, 8, 12, 16], window: 2, slow }))
    }

    #[test]
    fn a_run_from_the_start_is_one_shard_ahead() {
        let mut prefetch = prefetch(true);
        let due: Vec<_> = (0..4).map(|batch| prefetch.due(&(4 * batch..4 * batch + 4))).collect();
        assert_eq!(due, [vec![0, 1, 2], vec![3], vec![], vec![]]);
    }

    #[test]
    fn a_batch_of_many_small_shards_starts_no_more_than_the_source_can_keep() {
        assert_eq!(prefetch(true).due(&(0..16)), [0, 1, 2]);
    }

    #[test]
    fn a_run_that_resumes_needs_only_the_shards_at_its_place() {
        assert_eq!(prefetch(true).due(&(5..7)), [1, 2]);
        assert_eq!(prefetch(true).due(&(14..16)), [3]);
        assert!(prefetch(false).due(&(0..4)).is_empty());
    }
}
