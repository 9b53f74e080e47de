//! Memory from the system: small blocks from the allocator, large ones as mappings of their own.
//!
//! A mapping returns to the system when it is dropped, which an allocator does not promise. It also asks
//! for huge pages: a matrix of 30 MB then has 15 pages instead of 7,500, and matmuls have fewer TLB misses.

use std::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign};
use memmap2::MmapMut;

/// Least bytes of a mapping. A smaller one would waste a good part of its last huge page.
const MAPPED: usize = 8 << 20;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// Values at a multiple of 64 bytes; zero when new.
pub(super) enum Memory {
    Allocated(AVec<f32, ConstAlign<64>>),
    Mapped(Mapped),
}

/// A mapping whose values start at a huge page.
pub(super) struct Mapped {
    map: MmapMut,
    start: usize, // in bytes
    len: usize,   // in values
}

impl Memory {
    /// `len` zeros.
    pub(super) fn new(len: usize) -> Self {
        // If the system refuses a mapping, the allocator decides what happens.
        let mapped = (len * size_of::<f32>() >= MAPPED).then(|| Mapped::new(len)).flatten();
        mapped.map_or_else(|| Self::Allocated(aligned_vec::avec!([64]| 0.0; len)), Self::Mapped)
    }

    /// No memory, to replace a block that moved.
    pub(super) fn none() -> Self {
        Self::Allocated(AVec::new(64))
    }
}

impl Mapped {
    fn new(len: usize) -> Option<Self> {
        let mut map = MmapMut::map_anon(len * size_of::<f32>() + HUGE_PAGE).ok()?;
        let start = map.as_mut_ptr().align_offset(HUGE_PAGE);
        #[cfg(target_os = "linux")]
        {
            // A hint: without huge pages the memory comes in small ones. Not for the end, a part of which
            // would take a whole page.
            let whole = len * size_of::<f32>() / HUGE_PAGE * HUGE_PAGE;
            let _ = map.advise_range(memmap2::Advice::HugePage, start, whole);
        }
        Some(Self { map, start, len })
    }
}

impl Deref for Memory {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Allocated(memory) => memory,
            Self::Mapped(Mapped { map, start, len }) => {
                bytemuck::cast_slice(&map[*start..][..len * size_of::<f32>()])
            }
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Allocated(memory) => memory,
            Self::Mapped(Mapped { map, start, len }) => {
                bytemuck::cast_slice_mut(&mut map[*start..][..*len * size_of::<f32>()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_every_size_is_aligned_zero_and_writable_to_its_end() {
        for len in [0, 16, 1 << 12, MAPPED / 4 - 16, MAPPED / 4, MAPPED / 4 + 16] {
            let mut memory = Memory::new(len);
            assert_eq!(memory.len(), len);
            assert_eq!(memory.as_ptr().align_offset(64), 0, "{len} values");
            assert!(memory.iter().all(|&x| x == 0.0));
            memory.fill(1.0);
            assert!(memory.iter().all(|&x| x == 1.0));
        }
    }
}
