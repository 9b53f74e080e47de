//! A [`Driver`] that runs kernels on the CPU, so that they are tested where there is no GPU.
//!
//! The host's C++ compiler compiles the `.cu` file that NVRTC compiles for GPUs; `simt.h` provides
//! threads, barriers, shuffles and shared memory. Mistakes show up as they would not on a GPU:
//!
//! * Fresh memory and shared memory hold NaN, so a value read too early reaches the result.
//! * A write past the end of an allocation or of shared memory fails the launch.
//! * Device pointers are not addresses of the host. Only copies and kernels reach the memory, and a
//!   pointer to freed memory is refused.
//! * With a seed other than zero, warps and lanes run in random order.
//!
//! It says nothing about speed, and one launch runs on one thread.
//!
//! The program never calls it, so the linker leaves it out there. It is no feature of the crate, because
//! tests and program would then not share one build.

mod library;
mod memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::library::{Library, RawArgument};
use self::memory::Memory;
use super::{Argument, Device, Driver, Error, Kernel, Launch, Pointer};

/// An emulated GPU with memory of its own.
struct Emulated {
    seed: u64,
    memory: Mutex<Memory>,
}

/// A new emulated device. `seed` orders warps and lanes; 0 runs them in their order.
pub fn device(seed: u64) -> Device {
    Device::new(Emulated { seed, memory: Mutex::default() })
}

/// Whether this machine can compile kernels: `$CXX`, or else `c++`, is there.
pub fn is_available() -> bool {
    library::has_compiler()
}

impl Emulated {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere leaves the table whole: allocations are added and removed in one call.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Emulated {
    fn name(&self) -> &str {
        "emulated cuda"
    }

    fn alloc(&self, bytes: usize) -> Result<Pointer, Error> {
        Ok(self.memory().alloc(bytes))
    }

    fn free(&self, pointer: Pointer) {
        self.memory().free(pointer);
    }

    fn upload(&self, from: &[u8], to: Pointer) -> Result<(), Error> {
        self.memory().bytes_mut(to, from.len())?.copy_from_slice(from);
        Ok(())
    }

    fn download(&self, from: Pointer, to: &mut [u8]) -> Result<(), Error> {
        to.copy_from_slice(self.memory().bytes(from, to.len())?);
        Ok(())
    }

    fn copy(&self, from: Pointer, to: Pointer, bytes: usize) -> Result<(), Error> {
        let mut memory = self.memory();
        let copied = memory.bytes(from, bytes)?.to_vec();
        memory.bytes_mut(to, bytes)?.copy_from_slice(&copied);
        Ok(())
    }

    unsafe fn launch(
        &self,
        kernel: Kernel,
        launch: Launch,
        arguments: &[Argument],
    ) -> Result<(), Error> {
        let library = Library::of(kernel.module)?;
        // Locked until the kernel has ended: nothing else touches the memory meanwhile.
        let mut memory = self.memory();
        let arguments = arguments
            .iter()
            .map(|argument| match *argument {
                Argument::Pointer(pointer) => {
                    memory.host_address(pointer).map(RawArgument::pointer)
                }
                Argument::U32(value) => Ok(RawArgument::u32(value)),
                Argument::U64(value) => Ok(RawArgument::u64(value)),
                Argument::F32(value) => Ok(RawArgument::f32(value)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        // SAFETY: the pointers are those of allocations that stay where they are while `memory` is
        // locked; that the kernel accesses these alone is the caller's promise.
        unsafe { library.launch(kernel.name, launch, self.seed, &arguments) }?;
        memory.check(kernel.name)
    }
}

#[cfg(test)]
mod tests;
