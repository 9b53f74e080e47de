//! [`LruCache`] keeps the most recently used shards of a source loaded.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::SampleError;

type Entry<T> = Arc<OnceLock<Result<T, SampleError>>>;

/// A cache with a fixed number of entries that evicts the least recently used one.
///
/// An evicted shard that is in use lives on until its last user is done. A shard that failed to
/// load keeps its error until it is evicted, so that each of its samples fails at once. A temporary
/// failure is not kept: the next use tries again.
pub(super) struct LruCache<T> {
    capacity: usize,
    /// Shard numbers and shards, the most recently used last.
    entries: Mutex<Vec<(usize, Entry<T>)>>,
}

impl<T> LruCache<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: Mutex::new(Vec::new()) }
    }

    /// Applies `read` to shard `number`, calling `load` first if it is not cached. Other threads
    /// that need the same shard wait for it; threads that need another shard do not.
    pub(super) fn with<R>(
        &self,
        number: usize,
        load: impl FnOnce() -> Result<T, SampleError>,
        read: impl FnOnce(&T) -> Result<R, SampleError>,
    ) -> Result<R, SampleError> {
        let entry = self.entry(number);
        match entry.get_or_init(load) {
            Ok(shard) => read(shard),
            Err(error) => {
                if matches!(error, SampleError::Unavailable { .. }) {
                    self.forget(&entry);
                }
                Err(error.clone())
            }
        }
    }

    fn forget(&self, entry: &Entry<T>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(_, known)| !Arc::ptr_eq(known, entry));
    }

    fn entry(&self, number: usize) -> Entry<T> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match entries.iter().position(|(known, _)| *known == number) {
            Some(place) => entries.remove(place).1,
            None => Entry::default(),
        };
        if entries.len() == self.capacity {
            entries.remove(0);
        }
        entries.push((number, Arc::clone(&entry)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_shard_is_evicted() {
        let cache = LruCache::new(2);
        let loads = std::cell::RefCell::new(Vec::new());
        let get = |number: usize| {
            let load = || {
                loads.borrow_mut().push(number);
                if number == 9 { Err(SampleError::Empty) } else { Ok(number) }
            };
            cache.with(number, load, |&shard| Ok(shard))
        };
        for number in [1, 2, 1, 3, 1, 2] {
            assert_eq!(get(number), Ok(number));
        }
        assert_eq!(*loads.borrow(), [1, 2, 3, 2]);
        assert_eq!((get(9), get(9)), (Err(SampleError::Empty), Err(SampleError::Empty)));
        assert_eq!(loads.borrow().len(), 5);
    }

    #[test]
    fn a_temporary_failure_is_tried_again() {
        let cache = LruCache::new(2);
        let away = || Err(SampleError::Unavailable { reason: "the share is away".into() });
        assert!(cache.with(1, away, |shard: &usize| Ok(*shard)).is_err());
        assert_eq!(cache.with(1, || Ok(7), |shard| Ok(*shard)), Ok(7));
    }
}
