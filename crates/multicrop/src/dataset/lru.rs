//! The few parts of a source that are held ready at a time.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::SampleError;

type Entry<T> = Arc<OnceLock<Result<T, SampleError>>>;

/// At most so many loaded parts; the one that was not used for longest makes room.
///
/// A part that is in use when it is dropped here lives on until its last user is done. A part that
/// cannot be loaded is not tried again while its slot lasts, so that each of its samples fails at once.
/// What is only unavailable for now is tried again at the next use.
pub(super) struct Slots<T> {
    capacity: usize,
    /// Numbers of the parts, the one used last at the end.
    entries: Mutex<Vec<(usize, Entry<T>)>>,
}

impl<T> Slots<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: Mutex::new(Vec::new()) }
    }

    /// Applies `read` to part `number`, which `load` makes if no slot has it. Other threads that
    /// want the same part wait for it, those that want another one do not.
    pub(super) fn with<R>(
        &self,
        number: usize,
        load: impl FnOnce() -> Result<T, SampleError>,
        read: impl FnOnce(&T) -> Result<R, SampleError>,
    ) -> Result<R, SampleError> {
        let entry = self.entry(number);
        match entry.get_or_init(load) {
            Ok(part) => read(part),
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
    fn the_part_that_was_not_used_for_longest_makes_room() {
        let slots = Slots::new(2);
        let loads = std::cell::RefCell::new(Vec::new());
        let get = |number: usize| {
            let load = || {
                loads.borrow_mut().push(number);
                if number == 9 { Err(SampleError::Empty) } else { Ok(number) }
            };
            slots.with(number, load, |&part| Ok(part))
        };
        for number in [1, 2, 1, 3, 1, 2] {
            assert_eq!(get(number), Ok(number));
        }
        assert_eq!(*loads.borrow(), [1, 2, 3, 2]);
        assert_eq!((get(9), get(9)), (Err(SampleError::Empty), Err(SampleError::Empty)));
        assert_eq!(loads.borrow().len(), 5);
    }

    #[test]
    fn what_is_unavailable_for_now_is_tried_again() {
        let slots = Slots::new(2);
        let away = || Err(SampleError::Unavailable { reason: "the share is away".into() });
        assert!(slots.with(1, away, |part: &usize| Ok(*part)).is_err());
        assert_eq!(slots.with(1, || Ok(7), |part| Ok(*part)), Ok(7));
    }
}
