//! The memory of an emulated device: a table of allocations under addresses that the host does not have.

use std::collections::BTreeMap;

use crate::cuda::{Error, Pointer};

/// The first address. No 64-bit CPU maps it, so a device pointer used on the host faults.
const FIRST: u64 = 1 << 60;
/// Addresses are multiples of this, as CUDA's are.
const ALIGNMENT: u64 = 256;
/// Bytes before and after each allocation that kernels must not change.
const GUARD: usize = 64;
/// What guards and fresh allocations are filled with: NaN as f32 and as bf16.
const FILL: u8 = 0xff;

/// All allocations by their address.
pub(super) struct Memory {
    allocations: BTreeMap<u64, Allocation>,
    next: u64,
}

/// Guard, contents, guard; 16-byte aligned.
struct Allocation {
    blocks: Box<[u128]>,
    len: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { allocations: BTreeMap::new(), next: FIRST }
    }
}

impl Memory {
    pub(super) fn alloc(&mut self, bytes: usize) -> Pointer {
        let blocks = (bytes + 2 * GUARD).div_ceil(size_of::<u128>());
        let blocks = vec![u128::MAX; blocks].into_boxed_slice();
        let address = self.next;
        self.allocations.insert(address, Allocation { blocks, len: bytes });
        // Addresses are never used twice and have gaps between them, so that a pointer to freed memory
        // or past an end is in no allocation.
        self.next += (bytes as u64).next_multiple_of(ALIGNMENT) + ALIGNMENT;
        Pointer(address)
    }

    pub(super) fn free(&mut self, pointer: Pointer) {
        self.allocations.remove(&pointer.0);
    }

    /// The memory from `pointer` on.
    pub(super) fn bytes(&self, pointer: Pointer, len: usize) -> Result<&[u8], Error> {
        let (allocation, first) = self.find(pointer)?;
        let contents = allocation.contents();
        contents.get(first..first + len).ok_or_else(|| too_short(first, len, contents.len()))
    }

    /// The memory from `pointer` on, to change.
    pub(super) fn bytes_mut(&mut self, pointer: Pointer, len: usize) -> Result<&mut [u8], Error> {
        let (address, first) = self.locate(pointer)?;
        let allocation = self.allocations.get_mut(&address).ok_or_else(|| unknown(pointer))?;
        let available = allocation.len;
        let contents = &mut bytemuck::cast_slice_mut(&mut allocation.blocks)[GUARD..][..available];
        contents.get_mut(first..first + len).ok_or_else(|| too_short(first, len, available))
    }

    /// Where a kernel finds the memory; valid until the allocation is freed. The null pointer of empty
    /// buffers stays null.
    pub(super) fn host_address(&mut self, pointer: Pointer) -> Result<*mut u8, Error> {
        if pointer == Pointer(0) {
            return Ok(std::ptr::null_mut());
        }
        let (address, first) = self.locate(pointer)?;
        let allocation = self.allocations.get_mut(&address).ok_or_else(|| unknown(pointer))?;
        let start: *mut u8 = allocation.blocks.as_mut_ptr().cast();
        Ok(start.wrapping_add(GUARD + first))
    }

    /// Fails if a kernel has changed a guard.
    pub(super) fn check(&self, kernel: &str) -> Result<(), Error> {
        match self.allocations.values().find(|allocation| !allocation.is_intact()) {
            Some(allocation) => Err(Error(format!(
                "kernel `{kernel}` wrote outside an allocation of {} bytes",
                allocation.len
            ))),
            None => Ok(()),
        }
    }

    fn find(&self, pointer: Pointer) -> Result<(&Allocation, usize), Error> {
        let (address, first) = self.locate(pointer)?;
        Ok((&self.allocations[&address], first))
    }

    /// The allocation's address and the offset into it.
    fn locate(&self, pointer: Pointer) -> Result<(u64, usize), Error> {
        let below = self.allocations.range(..=pointer.0).next_back();
        let (&address, allocation) = below.ok_or_else(|| unknown(pointer))?;
        let first = (pointer.0 - address) as usize;
        if first > allocation.len { Err(unknown(pointer)) } else { Ok((address, first)) }
    }
}

impl Allocation {
    fn contents(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[GUARD..][..self.len]
    }

    fn is_intact(&self) -> bool {
        let bytes: &[u8] = bytemuck::cast_slice(&self.blocks);
        let guards = bytes[..GUARD].iter().chain(&bytes[GUARD + self.len..]);
        guards.into_iter().all(|&byte| byte == FILL)
    }
}

fn unknown(pointer: Pointer) -> Error {
    Error(format!("no allocation at {:#x}: freed, or of another device", pointer.0))
}

fn too_short(first: usize, len: usize, available: usize) -> Error {
    Error(format!("bytes {first}..{} of an allocation of {available} bytes", first + len))
}
