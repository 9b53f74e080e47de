//! Makes shards ready before their images are wanted.
//!
//! A gzipped archive has to be unpacked before its first image can be read, which takes seconds.
//! Workers that came upon one would all wait for it, and a run that resumes, for one after the
//! other of the few that are mixed at its place. So threads of their own unpack the shards of the
//! batch that is begun, all at the same time, and the one that comes next.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::dataset::{Dataset, Shards};

/// The shards of an epoch that are still to be made ready, and when.
#[derive(Default)]
pub(super) struct Ahead {
    /// In the order of their first places.
    visits: Vec<Visit>,
    /// The first of `visits` that was not looked at.
    next: usize,
    /// Shards that are begun at a time, at most; a batch may need more of them if they are small.
    most: usize,
}

/// The places of an epoch's order at which a shard's images come first and last.
struct Visit {
    shard: usize,
    first: usize,
    last: usize,
}

impl Ahead {
    /// Of an epoch that visits its samples in `order`; of nothing, if its shards are not slow.
    pub(super) fn new(order: &[u32], shards: Option<&Shards>) -> Self {
        let Some(shards) = shards.filter(|shards| shards.slow) else { return Self::default() };
        let mut visits: Vec<Option<Visit>> = shards.ends.iter().map(|_| None).collect();
        for (place, &sample) in order.iter().enumerate() {
            let shard = shards.ends.partition_point(|&end| end <= sample as usize);
            let visit = visits[shard].get_or_insert(Visit { shard, first: place, last: place });
            visit.last = place;
        }
        let mut visits: Vec<Visit> = visits.into_iter().flatten().collect();
        visits.sort_unstable_by_key(|visit| visit.first);
        Self { visits, next: 0, most: shards.window + 1 }
    }

    /// Starts to make ready what a batch at `places` of the order needs, and the shard after it.
    pub(super) fn prepare(&mut self, dataset: &Arc<dyn Dataset>, places: Range<usize>) {
        for shard in self.due(&places) {
            let dataset = Arc::clone(dataset);
            let thread = thread::Builder::new().name(format!("shard {shard}"));
            // without a thread the worker that reads the shard's first image unpacks it
            drop(thread.spawn(move || dataset.prepare(shard)));
        }
    }

    /// The shards that the places need, and the one after them, but none twice.
    fn due(&mut self, places: &Range<usize>) -> Vec<usize> {
        let needed = self.visits.partition_point(|visit| visit.first < places.end);
        let until = self.visits.len().min(needed + 1).max(self.next);
        let new = &self.visits[self.next..until];
        self.next = until;
        let live = new.iter().filter(|visit| visit.last >= places.start).map(|visit| visit.shard);
        live.take(self.most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four shards of four images; at any place of this order at most two are in use.
    const ORDER: [u32; 16] = [0, 1, 2, 4, 3, 5, 6, 8, 7, 9, 10, 12, 11, 13, 14, 15];

    fn ahead(slow: bool) -> Ahead {
        Ahead::new(&ORDER, Some(&Shards { ends: vec![4, 8, 12, 16], window: 2, slow }))
    }

    #[test]
    fn a_run_from_the_start_is_one_shard_ahead() {
        let mut ahead = ahead(true);
        let due: Vec<_> = (0..4).map(|batch| ahead.due(&(4 * batch..4 * batch + 4))).collect();
        assert_eq!(due, [vec![0, 1, 2], vec![3], vec![], vec![]]);
    }

    #[test]
    fn a_batch_of_many_small_shards_has_no_more_begun_than_the_source_holds() {
        assert_eq!(ahead(true).due(&(0..16)), [0, 1, 2]);
    }

    #[test]
    fn a_run_that_resumes_needs_only_the_shards_at_its_place() {
        assert_eq!(ahead(true).due(&(5..7)), [1, 2]);
        assert_eq!(ahead(true).due(&(14..16)), [3]);
        assert!(ahead(false).due(&(0..4)).is_empty());
    }
}
