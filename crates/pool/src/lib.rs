//! A [`Buffer`] is 64-byte aligned memory for a tensor. Dropped buffers are kept by size class and reused.
//!
//! A steady training step asks for the same sizes again and again. From the second step on it allocates
//! nothing from the system and touches no fresh page. Buffers keep their old contents. Debug builds fill
//! them with NaN, so that an output that was never written shows.
//!
//! Drop path makes sizes vary. Before it allocates, the pool frees the nearest smaller block, so that its
//! memory stays within 1/32 of the peak demand.
//!
//! ```
//! let mut buffer = pool::Buffer::zeros(1000);
//! buffer[0] = 1.0;
//! drop(buffer);
//! let again = pool::Buffer::take(1000); // the same memory, values unspecified
//! assert_eq!(again.len(), 1000);
//! ```

mod memory;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use memory::Memory;

#[derive(Default)]
struct Pool {
    free: BTreeMap<usize, Vec<Memory>>,
    usage: Usage,
    /// Bytes requested by the buffers in use. Less than their memory if only larger blocks were free.
    asked: usize,
    /// Largest `asked` so far.
    most: usize,
}

/// Memory of the pool, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// In buffers.
    pub in_use: usize,
    /// Largest `in_use` since the last [`reset_peak`].
    pub peak: usize,
    /// Most bytes requested at once since then. Less than `peak` if only larger blocks were free.
    pub asked: usize,
    /// Allocated from the system: in buffers or kept for reuse.
    pub reserved: usize,
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

fn pool() -> MutexGuard<'static, Pool> {
    // A panic elsewhere leaves the free lists whole: every change of them is a single push or pop.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A free block for a class. It may be a quarter larger, or twice as large if a new block would exceed
    /// the limit.
    fn reuse(&mut self, class: usize) -> Option<Memory> {
        let full = self.usage.reserved + class * size_of::<f32>() > self.limit();
        let most = if full { 2 * class } else { class + class / 4 };
        self.free.range_mut(class..=most).find_map(|(_, memories)| memories.pop())
    }

    /// Counts a buffer.
    fn count(&mut self, bytes: usize, asked: usize) {
        self.usage.in_use += bytes;
        self.usage.peak = self.usage.peak.max(self.usage.in_use);
        self.asked += asked;
        self.most = self.most.max(self.asked);
        self.usage.asked = self.usage.asked.max(self.asked);
    }

    /// Counts a new block of a class, and returns the free blocks that must be freed for it: first the
    /// nearest smaller ones, which the new block can replace.
    fn make_room(&mut self, class: usize) -> Vec<Memory> {
        self.usage.reserved += class * size_of::<f32>();
        let mut gone = Vec::new();
        while self.usage.reserved > self.limit() {
            let smaller = self.free.range_mut(..class).rev();
            let nearest = smaller.map(|(_, memories)| memories).find_map(Vec::pop);
            let other = || self.free.values_mut().find_map(Vec::pop);
            let Some(memory) = nearest.or_else(other) else { break };
            self.usage.reserved -= memory.len() * size_of::<f32>();
            gone.push(memory);
        }
        gone
    }

    /// Bytes that the pool may hold.
    fn limit(&self) -> usize {
        self.most + self.most / SPARE
    }
}

/// The pool may hold 1/32 more than was ever requested at once.
const SPARE: usize = 32;

/// The memory of the pool now.
pub fn usage() -> Usage {
    pool().usage
}

/// Starts new high-water marks at the present values.
pub fn reset_peak() {
    let mut pool = pool();
    pool.usage.peak = pool.usage.in_use;
    pool.usage.asked = pool.asked;
}

/// A buffer of the pool, returned to it on drop.
pub struct Buffer {
    memory: Memory,
    len: usize,
}

impl Buffer {
    /// A buffer of `len` unspecified values (NaN in debug builds).
    pub fn take(len: usize) -> Self {
        let class = size_class(len);
        let (reused, gone) = {
            let mut pool = pool();
            let reused = pool.reuse(class);
            let lent = reused.as_ref().map_or(class, |memory| memory.len());
            pool.count(lent * size_of::<f32>(), class * size_of::<f32>());
            let gone = if reused.is_none() { pool.make_room(class) } else { Vec::new() };
            (reused, gone)
        };
        drop(gone); // after the lock is released: freeing takes time
        let memory = reused.unwrap_or_else(|| Memory::new(class));
        let mut buffer = Self { memory, len };
        if cfg!(debug_assertions) {
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// A buffer of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::replace(&mut self.memory, Memory::none());
        let class = memory.len();
        let mut pool = pool();
        pool.usage.in_use -= class * size_of::<f32>();
        pool.asked -= size_class(self.len) * size_of::<f32>();
        pool.free.entry(class).or_default().push(memory);
    }
}

impl Deref for Buffer {
    type Target = [f32];
    #[inline]
    fn deref(&self) -> &[f32] {
        &self.memory[..self.len]
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.len]
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::take(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} values)", self.len)
    }
}

/// The next of eight steps between powers of two. At most 12.5 % is wasted, and the slightly different sizes
/// of drop path fall into few classes.
fn size_class(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(16);
    len.div_ceil(step).max(1) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_length_and_wastes_little() {
        for len in [0, 1, 15, 16, 17, 1000, 4097, 1 << 20, (1 << 20) + 1] {
            let class = size_class(len);
            assert!(class >= len && class.is_multiple_of(16));
            assert!(len < 256 || class - len <= len / 7, "{len} → {class}");
        }
    }

    #[test]
    fn memory_that_fits_nothing_is_given_back() {
        // Sizes that no other test asks for; other tests hold little beside them.
        let mut held = 0;
        for len in (0..24).map(|i| (40 << 20) + i * (6 << 20)) {
            drop(Buffer::take(len));
            held += size_class(len) * size_of::<f32>();
        }
        let Usage { in_use, reserved, .. } = usage();
        let largest = size_class((40 << 20) + 23 * (6 << 20)) * size_of::<f32>();
        assert!(reserved < in_use + 2 * largest && reserved < held / 4, "{reserved} bytes held");
    }

    #[test]
    fn zeros_are_zero_also_in_reused_memory() {
        let mut first = Buffer::take(12_345);
        first.fill(7.0);
        drop(first);
        assert!(Buffer::zeros(12_345).iter().all(|&x| x == 0.0));
    }
}
