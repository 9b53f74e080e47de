//! [`LoaderStats`]: counts and times of a loader.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// Counts and times of a loader since its start. All times but the last two are sums over the
/// workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoaderStats {
    /// Number of images whose crops were made.
    pub images: u64,
    /// Bytes that were read for them: of encoded files, or of pixels if the source has no files.
    pub bytes: u64,
    /// Time to read bytes from the source.
    pub read: Duration,
    /// Time to decode bytes to pixels.
    pub decode: Duration,
    /// Time to make all crops and write them to the batch.
    pub augment: Duration,
    /// Time that workers waited because enough batches were ready: the training step is slower.
    pub idle: Duration,
    /// Time that [`next`](super::Loader::next) waited: the workers are slower.
    pub data_wait: Duration,
    /// Time since the start.
    pub elapsed: Duration,
}

impl LoaderStats {
    /// Time that the workers spent on images.
    pub fn busy(&self) -> Duration {
        self.read + self.decode + self.augment
    }

    /// Share of the time that [`next`](super::Loader::next) waited, in [0, 1].
    pub fn data_wait_share(&self) -> f64 {
        self.data_wait.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl AddAssign for LoaderStats {
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.bytes += other.bytes;
        self.read += other.read;
        self.decode += other.decode;
        self.augment += other.augment;
        self.idle += other.idle;
        self.data_wait += other.data_wait;
        self.elapsed += other.elapsed;
    }
}

/// The counts and times between two moments: later minus earlier.
impl Sub for LoaderStats {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            images: self.images.saturating_sub(earlier.images),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            read: self.read.saturating_sub(earlier.read),
            decode: self.decode.saturating_sub(earlier.decode),
            augment: self.augment.saturating_sub(earlier.augment),
            idle: self.idle.saturating_sub(earlier.idle),
            data_wait: self.data_wait.saturating_sub(earlier.data_wait),
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
        }
    }
}
