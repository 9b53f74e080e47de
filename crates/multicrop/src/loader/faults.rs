//! [`Faults`] remembers bad images for all workers, and retries reads that may succeed later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::error::SampleError;

/// Pauses before further attempts to read an image that is temporarily unavailable.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1500)];
/// After this number of consecutive images that stayed unavailable, there are no further pauses.
const MAX_GIVEN_UP: u32 = 4;

/// The faults of images so far; shared by all workers.
#[derive(Default)]
pub(super) struct Faults {
    /// Images with permanent faults, which are not read again in every epoch.
    bad: RwLock<HashMap<usize, SampleError>>,
    /// Number of consecutive images that stayed unavailable after all pauses.
    given_up: AtomicU32,
}

impl Faults {
    /// The permanent fault of an image, if one is known.
    pub(super) fn known(&self, index: usize) -> Option<SampleError> {
        self.bad.read().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
    }

    /// Remembers that the contents of an image are bad. Read errors are not remembered, because the
    /// next read may succeed.
    pub(super) fn remember(&self, index: usize, fault: &SampleError) {
        if !matches!(fault, SampleError::Unavailable { .. } | SampleError::Unreadable { .. }) {
            let mut bad = self.bad.write().unwrap_or_else(PoisonError::into_inner);
            bad.insert(index, fault.clone());
        }
    }

    /// Reads an image, and retries after pauses while it is unavailable.
    pub(super) fn retry<T>(
        &self,
        read: impl Fn() -> Result<T, SampleError>,
    ) -> Result<T, SampleError> {
        let unavailable =
            |read: &Result<T, SampleError>| matches!(read, Err(SampleError::Unavailable { .. }));
        let mut result = read();
        if !unavailable(&result) {
            // written only if it changes, because all workers read it for every image
            if self.given_up.load(Ordering::Relaxed) > 0 {
                self.given_up.store(0, Ordering::Relaxed);
            }
            return result;
        }
        for pause in PAUSES {
            if self.given_up.load(Ordering::Relaxed) >= MAX_GIVEN_UP {
                return result;
            }
            thread::sleep(pause);
            result = read();
            if !unavailable(&result) {
                return result;
            }
        }
        self.given_up.fetch_add(1, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    fn unavailable() -> SampleError {
        SampleError::Unavailable { reason: "gone".to_owned() }
    }

    #[test]
    fn a_read_that_fails_for_a_moment_is_tried_again() {
        let (faults, reads) = (Faults::default(), Cell::new(0));
        let read = || {
            reads.set(reads.get() + 1);
            if reads.get() < 3 { Err(unavailable()) } else { Ok(reads.get()) }
        };
        assert_eq!(faults.retry(read), Ok(3));
    }

    #[test]
    fn damage_is_not_tried_again_and_is_remembered() {
        let (faults, reads) = (Faults::default(), Cell::new(0));
        let damaged = SampleError::Damaged { reason: "cut".to_owned() };
        let read = || {
            reads.set(reads.get() + 1);
            Err::<(), _>(damaged.clone())
        };
        assert_eq!((faults.retry(read), reads.get()), (Err(damaged.clone()), 1));
        faults.remember(4, &damaged);
        faults.remember(5, &unavailable());
        assert_eq!((faults.known(4), faults.known(5)), (Some(damaged), None));
    }

    #[test]
    fn there_are_no_pauses_for_a_source_that_stays_away() {
        let faults = Faults { given_up: AtomicU32::new(MAX_GIVEN_UP), ..Faults::default() };
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(faults.retry(|| Err::<(), _>(unavailable())), Err(unavailable()));
        }
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(faults.retry(|| Ok(1)), Ok(1));
        assert_eq!(faults.given_up.load(Ordering::Relaxed), 0);
    }
}
