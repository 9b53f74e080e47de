//! Device memory and kernel launches, behind a [`Driver`].
//!
//! Two kinds of driver fit: the CUDA driver of a GPU, and [`emulated`], which runs the same kernels on the
//! CPU in tests. Operations use [`Buffer`] and [`Device::launch`] only, so they run on both.
//!
//! Operations return values, not `Result`s. A driver call that fails, such as an allocation on a full
//! GPU, therefore panics with the driver's message.

pub mod emulated;

use std::fmt;
use std::sync::Arc;

use bytemuck::{AnyBitPattern, NoUninit};

/// An address in device memory. The host cannot dereference it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(u64);

impl Pointer {
    /// The address `bytes` further on.
    pub fn offset(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}

/// What went wrong in a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// The source text of a `.cu` file, which a driver compiles at its first launch.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// The file's name without its extension.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
}

/// A function `extern "C" __global__ void name(...)` of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// The file it is in.
    pub module: &'static Module,
    /// The function's name.
    pub name: &'static str,
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument {
    /// Any pointer.
    Pointer(Pointer),
    /// `unsigned`.
    U32(u32),
    /// `size_t`.
    U64(u64),
    /// `float`.
    F32(f32),
}

impl From<Pointer> for Argument {
    fn from(pointer: Pointer) -> Self {
        Self::Pointer(pointer)
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::U64(value as u64)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

/// The size of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Blocks in x, y and z. Where one of these is 0 the launch does nothing.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z: whole warps of 32, up to 1024 threads.
    pub block: [u32; 3],
    /// Shared memory of a block, in bytes.
    pub shared: u32,
}

impl Launch {
    /// Blocks in a row for `work` items, of which each block does `per_block`.
    ///
    /// # Panics
    /// If that takes more blocks than CUDA allows, 2³¹ − 1.
    pub fn new(work: usize, per_block: usize, threads: u32) -> Self {
        let blocks = work.div_ceil(per_block);
        assert!(blocks <= i32::MAX as usize, "{blocks} blocks in a launch, but at most 2³¹ − 1");
        Self { grid: [blocks as u32, 1, 1], block: [threads, 1, 1], shared: 0 }
    }

    /// The same with `bytes` of shared memory for each block.
    pub fn with_shared(self, bytes: u32) -> Self {
        Self { shared: bytes, ..self }
    }
}

/// What a GPU's driver does. Launches and copies run in the order in which they are called.
pub trait Driver: Send + Sync {
    /// The device's name, for messages: `cuda:0`.
    fn name(&self) -> &str;

    /// Memory of unspecified contents, at a multiple of 256 bytes.
    ///
    /// # Errors
    /// If there is not enough memory.
    fn alloc(&self, bytes: usize) -> Result<Pointer, Error>;

    /// Gives back memory that [`Self::alloc`] returned.
    fn free(&self, pointer: Pointer);

    /// Copies from the host.
    ///
    /// # Errors
    /// If the memory at `to` is not allocated or too short.
    fn upload(&self, from: &[u8], to: Pointer) -> Result<(), Error>;

    /// Copies to the host, after all launches before it.
    ///
    /// # Errors
    /// If the memory at `from` is not allocated or too short, or a launch before it failed.
    fn download(&self, from: Pointer, to: &mut [u8]) -> Result<(), Error>;

    /// Copies inside the device. The two ranges must not overlap.
    ///
    /// # Errors
    /// If one of the ranges is not allocated.
    fn copy(&self, from: Pointer, to: Pointer, bytes: usize) -> Result<(), Error>;

    /// Runs a kernel.
    ///
    /// # Safety
    /// With these arguments and this launch, the kernel must access device memory only inside
    /// allocations of this driver, and the arguments must be those of its parameter list.
    ///
    /// # Errors
    /// If the kernel does not compile or the launch is refused.
    unsafe fn launch(
        &self,
        kernel: Kernel,
        launch: Launch,
        arguments: &[Argument],
    ) -> Result<(), Error>;
}

/// A shared handle of a driver. Two handles are equal if they are of the same driver.
#[derive(Clone)]
pub struct Device(Arc<dyn Driver>);

impl Device {
    /// The first handle of a driver.
    pub fn new(driver: impl Driver + 'static) -> Self {
        Self(Arc::new(driver))
    }

    /// The device's name, for messages.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Runs a kernel; with an empty grid, does nothing.
    ///
    /// # Safety
    /// As for [`Driver::launch`].
    ///
    /// # Panics
    /// If the driver fails.
    pub unsafe fn launch(&self, kernel: Kernel, launch: Launch, arguments: &[Argument]) {
        if !launch.grid.contains(&0) {
            // SAFETY: the caller's promise is the driver's.
            let result = unsafe { self.0.launch(kernel, launch, arguments) };
            self.expect(result);
        }
    }

    fn expect<T>(&self, result: Result<T, Error>) -> T {
        result.unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Device({})", self.name())
    }
}

/// Device memory, freed on drop. Its methods panic if the driver fails.
pub struct Buffer {
    device: Device,
    pointer: Pointer,
    bytes: usize,
}

impl Buffer {
    /// Memory of unspecified contents.
    pub fn uninit(device: &Device, bytes: usize) -> Self {
        // CUDA refuses allocations of no bytes.
        let pointer = if bytes == 0 { Pointer(0) } else { device.expect(device.0.alloc(bytes)) };
        Self { device: device.clone(), pointer, bytes }
    }

    /// A copy of host memory.
    pub fn from_slice<T: NoUninit>(device: &Device, values: &[T]) -> Self {
        let mut buffer = Self::uninit(device, size_of_val(values));
        buffer.upload(0, values);
        buffer
    }

    /// The device whose memory this is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its start, for kernels that read.
    pub fn pointer(&self) -> Pointer {
        self.pointer
    }

    /// Its start, for kernels that write.
    pub fn pointer_mut(&mut self) -> Pointer {
        self.pointer
    }

    /// Overwrites the bytes from `first` on with host memory.
    ///
    /// # Panics
    /// If the buffer is too short.
    pub fn upload<T: NoUninit>(&mut self, first: usize, values: &[T]) {
        let from: &[u8] = bytemuck::cast_slice(values);
        self.check(first, from.len());
        if !from.is_empty() {
            self.device.expect(self.device.0.upload(from, self.pointer.offset(first)));
        }
    }

    /// Fills host memory with the bytes from `first` on.
    ///
    /// # Panics
    /// If the buffer is too short.
    pub fn download<T: NoUninit + AnyBitPattern>(&self, first: usize, values: &mut [T]) {
        let to: &mut [u8] = bytemuck::cast_slice_mut(values);
        self.check(first, to.len());
        if !to.is_empty() {
            self.device.expect(self.device.0.download(self.pointer.offset(first), to));
        }
    }

    fn check(&self, first: usize, bytes: usize) {
        let fits = first.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(fits, "bytes {first}.. ({bytes}) of a device buffer of {} bytes", self.bytes);
    }
}

impl Clone for Buffer {
    /// Copies inside the device.
    fn clone(&self) -> Self {
        let copy = Self::uninit(&self.device, self.bytes);
        if self.bytes > 0 {
            self.device.expect(self.device.0.copy(self.pointer, copy.pointer, self.bytes));
        }
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.device.0.free(self.pointer);
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes on {}", self.bytes, self.device.name())
    }
}
