//! Random streams that are pure functions of a key.
//!
//! A [`Key`] names a stream: a seed, a [`Purpose`] and three coordinates. Every random value of a
//! run depends only on the key of its stream and on its position in that stream. There is no other
//! state. The number of workers, threads or processes does not change what is drawn, nor does
//! resuming in the middle of an epoch. Any draw can be repeated from its key.
//!
//! The generator is ChaCha with 8 rounds, and the key is the cipher's 256-bit key. Nothing is
//! hashed, so two different keys never open the same stream.
//!
//! # Example
//!
//! ```
//! use rand::RngExt;
//! use streams::{Key, Purpose};
//!
//! // crop 2 of image 41 in epoch 3 of the run with seed 7
//! let key = Key::new(7, Purpose::Augment).time(3).index(41).part(2);
//! let (mut a, mut b) = (key.open(), key.open());
//! assert_eq!(a.random::<f64>(), b.random::<f64>());
//! ```

#![forbid(unsafe_code)]

use rand::SeedableRng;
pub use rand_chacha::ChaCha8Rng as Stream;

/// What a stream is used for. It is part of the key, so streams of different purposes are
/// independent.
///
/// | purpose | time | index | part |
/// | --- | --- | --- | --- |
/// | `Init` | | tensor | |
/// | `Order` | epoch | | |
/// | `Augment` | epoch | image | crop |
/// | `DropPath` | step | | residual branch |
/// | `Mask` | epoch | image | global crop |
/// | `Synthetic` | split | image | |
/// | `Bench` | batch | tensor or image | crop |
/// | `Estimate` | | stream | |
/// | `LinearProbe` | epoch, from 1; 0 for weights | | |
/// | `Mix` | step | | |
///
/// Never renumber the variants: a changed discriminant changes every draw of that purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Purpose {
    /// Initial weights.
    Init = 1,
    /// The order of the images in an epoch.
    Order = 2,
    /// Crop box, flip, color jitter and blur of a crop.
    Augment = 3,
    /// The token sequences that a residual branch drops.
    DropPath = 4,
    /// Masks of patches, for iBOT.
    Mask = 5,
    /// Images of procedural data sets.
    Synthetic = 6,
    /// Inputs and weights of benches and tests.
    Bench = 7,
    /// Initial values of estimators such as EM, and random subsets for evaluation.
    Estimate = 8,
    /// First weights and order of the rows of linear probes, and first weights of classifiers.
    LinearProbe = 9,
    /// Which images of a batch are mixed, and how much.
    Mix = 10,
}

/// The key of a stream: seed, purpose and three coordinates, which are 0 unless set.
///
/// What a coordinate counts depends on the purpose; see the table at [`Purpose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    seed: u64,
    purpose: Purpose,
    time: u64,
    index: u64,
    part: u32,
}

impl Key {
    /// The key with this seed and purpose, and all coordinates 0.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, purpose, time: 0, index: 0, part: 0 }
    }

    /// Sets when the stream is used: an epoch or a step.
    pub fn time(self, time: u64) -> Self {
        Self { time, ..self }
    }

    /// Sets what the stream is used for at that time: an image or a tensor.
    pub fn index(self, index: u64) -> Self {
        Self { index, ..self }
    }

    /// Sets which part of it the stream is used for: a crop of the image or a branch of the network.
    pub fn part(self, part: u32) -> Self {
        Self { part, ..self }
    }

    /// Opens the stream at its first value.
    pub fn open(self) -> Stream {
        let mut bytes = [0; 32];
        bytes[0..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.time.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.index.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.part.to_le_bytes());
        bytes[28..30].copy_from_slice(&(self.purpose as u16).to_le_bytes());
        Stream::from_seed(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn first(key: Key) -> u64 {
        key.open().next_u64()
    }

    #[test]
    fn equal_keys_open_equal_streams_and_each_field_changes_the_stream() {
        let key = Key::new(1, Purpose::Augment).time(2).index(3).part(4);
        assert_eq!(first(key), first(key));
        let others = [
            Key::new(2, Purpose::Augment).time(2).index(3).part(4),
            Key::new(1, Purpose::Mask).time(2).index(3).part(4),
            key.time(3),
            key.index(4),
            key.part(5),
        ];
        for other in others {
            assert_ne!(first(key), first(other), "{other:?}");
        }
    }

    /// Checkpoints, tests and papers depend on these values. They are a snapshot of this
    /// implementation; `rand_chacha` tests the generator itself against the vectors of RFC 7539.
    #[test]
    fn streams_never_change_between_versions() {
        assert_eq!(first(Key::new(0, Purpose::Order)), 3986752354481882544);
        let all_fields = Key::new(1, Purpose::Augment).time(2).index(3).part(4);
        assert_eq!(first(all_fields), 6090011481193154395);
    }
}
