//! Where the time of a loader went.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// What a loader has done since it was started. Times but the last two are sums over the workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoaderStats {
    /// Images whose crops were made.
    pub images: u64,
    /// Bytes that were read for them: of files as they are stored, of pixels where there is no file.
    pub bytes: u64,
    /// Getting the bytes from the source.
    pub read: Duration,
    /// Bytes to pixels.
    pub decode: Duration,
    /// Pixels to all crops of the image, written to the batch.
    pub augment: Duration,
    /// Waiting for batches to be taken: workers are faster than whoever uses the batches.
    pub idle: Duration,
    /// Time that [`next`](super::Loader::next) waited: workers are slower.
    pub data_wait: Duration,
    /// Time since the start.
    pub elapsed: Duration,
}

impl LoaderStats {
    /// Time that workers spent on images.
    pub fn busy(&self) -> Duration {
        self.read + self.decode + self.augment
    }

    /// Part of the time that [`next`](super::Loader::next) waited, in [0, 1].
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

/// What was done between two moments: later minus earlier.
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
