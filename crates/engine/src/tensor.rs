//! A dense, row-major tensor: a shape, a dtype, and values in the memory of a device.
//!
//! A [`Tensor`] does not dereference to its values: they may lie in the memory of another device. Code
//! that needs them on the host asks by name ([`Tensor::host`]). Only the CPU half of an operation,
//! tests, reports and evaluation do so; everything else passes tensors from operation to operation.

use std::borrow::Cow;

use half::bf16;
use matmul::Precision;
use pool::Buffer;

use crate::cuda;
use crate::device::Device;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// The upper 16 bits of an f32: its range, with 8 significant bits.
    Bf16,
}

impl Dtype {
    /// Size of a value in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

impl From<Precision> for Dtype {
    /// The narrowest dtype that holds the operands of a matmul of this precision.
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// Where the values lie.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Pooled host memory. Two values of bf16 share a word of the buffer.
    Cpu(Buffer),
    /// Memory of a CUDA device.
    Cuda(cuda::Buffer),
}

/// A dense, row-major tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    dtype: Dtype,
    storage: Storage,
}

impl Tensor {
    /// An f32 tensor on the host whose values are unspecified (NaN in debug builds): the caller writes
    /// all of them.
    pub fn uninit(shape: &[usize]) -> Self {
        Self::uninit_of(shape, Dtype::F32)
    }

    /// As [`uninit`](Self::uninit), of any dtype.
    pub fn uninit_of(shape: &[usize], dtype: Dtype) -> Self {
        let len: usize = shape.iter().product();
        let words = match dtype {
            Dtype::F32 => len,
            Dtype::Bf16 => len.div_ceil(2),
        };
        Self { shape: shape.to_vec(), dtype, storage: Storage::Cpu(Buffer::take(words)) }
    }

    /// An f32 tensor of zeros on the host.
    pub fn zeros(shape: &[usize]) -> Self {
        let buffer = Buffer::zeros(shape.iter().product());
        Self { shape: shape.to_vec(), dtype: Dtype::F32, storage: Storage::Cpu(buffer) }
    }

    /// An f32 tensor on the host with these values, in row-major order.
    ///
    /// # Panics
    /// If the shape has another number of values.
    pub fn from_slice(shape: &[usize], values: &[f32]) -> Self {
        let mut tensor = Self::uninit(shape);
        assert_eq!(tensor.len(), values.len(), "shape {shape:?} and number of values differ");
        tensor.host_mut().copy_from_slice(values);
        tensor
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of its values.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows: the product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        self.len().checked_div(self.width()).unwrap_or(0)
    }

    /// The last dimension.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The device that holds the values.
    pub fn device(&self) -> Device {
        match &self.storage {
            Storage::Cpu(_) => Device::Cpu,
            Storage::Cuda(buffer) => Device::Cuda(buffer.device().clone()),
        }
    }

    /// The tensor in host memory: itself if it is there, else a copy.
    pub fn on_host(&self) -> Cow<'_, Self> {
        match &self.storage {
            Storage::Cpu(_) => Cow::Borrowed(self),
            Storage::Cuda(buffer) => Cow::Owned(self.downloaded(buffer)),
        }
    }

    /// As [`on_host`](Self::on_host), of a tensor that is given away.
    pub fn into_host(self) -> Self {
        match &self.storage {
            Storage::Cpu(_) => self,
            Storage::Cuda(buffer) => self.downloaded(buffer),
        }
    }

    fn downloaded(&self, buffer: &cuda::Buffer) -> Self {
        let mut host = Self::uninit_of(&self.shape, self.dtype);
        if let Storage::Cpu(words) = &mut host.storage {
            buffer.download(0, &mut bytemuck::cast_slice_mut::<_, u8>(words)[..buffer.bytes()]);
        }
        host
    }

    /// The tensor in the memory of `device`: itself if it is there, else a copy.
    pub fn to(self, device: &Device) -> Self {
        match (device, &self.storage) {
            (Device::Cpu, _) => self.into_host(),
            (Device::Cuda(wanted), Storage::Cuda(buffer)) if buffer.device() == wanted => self,
            (Device::Cuda(wanted), Storage::Cuda(_)) => self.into_host().uploaded(wanted),
            (Device::Cuda(wanted), Storage::Cpu(_)) => self.uploaded(wanted),
        }
    }

    /// A host tensor in the memory of a CUDA device.
    fn uploaded(self, device: &cuda::Device) -> Self {
        let bytes = self.len() * self.dtype.size();
        let Storage::Cpu(words) = &self.storage else { return self };
        let values = &bytemuck::cast_slice::<_, u8>(words)[..bytes];
        let storage = Storage::Cuda(cuda::Buffer::from_slice(device, values));
        Self { storage, ..self }
    }

    /// As [`uninit_of`](Self::uninit_of), in the memory of a CUDA device.
    pub(crate) fn uninit_on(device: &cuda::Device, shape: &[usize], dtype: Dtype) -> Self {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let storage = Storage::Cuda(cuda::Buffer::uninit(device, bytes));
        Self { shape: shape.to_vec(), dtype, storage }
    }

    /// The memory of a tensor on a CUDA device, for launches.
    ///
    /// # Panics
    /// If the tensor lies elsewhere.
    pub(crate) fn cuda(&self) -> &cuda::Buffer {
        match &self.storage {
            Storage::Cuda(buffer) => buffer,
            Storage::Cpu(_) => panic!("a kernel was given a tensor in host memory"),
        }
    }

    /// As [`cuda`](Self::cuda), to change.
    ///
    /// # Panics
    /// As [`cuda`](Self::cuda).
    pub(crate) fn cuda_mut(&mut self) -> &mut cuda::Buffer {
        match &mut self.storage {
            Storage::Cuda(buffer) => buffer,
            Storage::Cpu(_) => panic!("a kernel was given a tensor in host memory"),
        }
    }

    /// Changes the values on the host and moves them back: how an operation without a kernel for the
    /// tensor's device changes it in place.
    pub fn on_host_mut<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        if let Storage::Cpu(_) = &self.storage {
            return change(self);
        }
        let mut host = self.on_host().into_owned();
        let result = change(&mut host);
        *self = host.to(&self.device());
        result
    }

    /// The values of an f32 tensor in host memory.
    ///
    /// # Panics
    /// If the tensor has another dtype or lies on another device.
    pub fn host(&self) -> &[f32] {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is read as f32");
        self.host_buffer()
    }

    /// As [`host`](Self::host), to change.
    ///
    /// # Panics
    /// As [`host`](Self::host).
    pub fn host_mut(&mut self) -> &mut [f32] {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is written as f32");
        self.host_buffer_mut()
    }

    fn host_buffer(&self) -> &Buffer {
        match &self.storage {
            Storage::Cpu(buffer) => buffer,
            Storage::Cuda(buffer) => panic!("the host reads a tensor of {buffer:?}"),
        }
    }

    fn host_buffer_mut(&mut self) -> &mut Buffer {
        match &mut self.storage {
            Storage::Cpu(buffer) => buffer,
            Storage::Cuda(buffer) => panic!("the host writes a tensor of {buffer:?}"),
        }
    }

    /// The values of a bf16 tensor in host memory.
    ///
    /// # Panics
    /// If the tensor has another dtype or lies on another device.
    pub fn host_bf16(&self) -> &[bf16] {
        assert_eq!(self.dtype, Dtype::Bf16, "dtype of a tensor that is read as bf16");
        &bytemuck::cast_slice(self.host_buffer())[..self.len()]
    }

    /// As [`host_bf16`](Self::host_bf16), to change.
    ///
    /// # Panics
    /// As [`host_bf16`](Self::host_bf16).
    pub fn host_bf16_mut(&mut self) -> &mut [bf16] {
        assert_eq!(self.dtype, Dtype::Bf16, "dtype of a tensor that is written as bf16");
        let len = self.len();
        &mut bytemuck::cast_slice_mut(self.host_buffer_mut())[..len]
    }

    /// All values, as an operation takes those of a parameter.
    pub fn view(&self) -> View<'_> {
        View::new(self, 0..self.len(), &self.shape)
    }

    /// As [`view`](Self::view), to change.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is written as f32");
        let values = match &mut self.storage {
            Storage::Cpu(buffer) => ValuesMut::Cpu(buffer),
            Storage::Cuda(buffer) => ValuesMut::Cuda(buffer.pointer_mut()),
        };
        ViewMut { shape: &self.shape, values }
    }
}

/// A part of a tensor's memory with a shape of its own: the weight of a layer, say.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    shape: &'a [usize],
    values: Values<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Cpu(&'a [f32]),
    /// The buffer and the first byte.
    Cuda(&'a cuda::Buffer, usize),
}

impl<'a> View<'a> {
    /// A view of `range` of the values of `tensor`.
    ///
    /// # Panics
    /// If the range and the shape differ in their number of values, or the range ends behind the tensor.
    pub fn new(tensor: &'a Tensor, range: std::ops::Range<usize>, shape: &'a [usize]) -> Self {
        assert_eq!(
            range.len(),
            shape.iter().product::<usize>(),
            "values of a view of shape {shape:?}"
        );
        assert!(range.end <= tensor.len(), "a view ends behind its tensor");
        let values = match &tensor.storage {
            Storage::Cpu(_) => Values::Cpu(&tensor.host()[range]),
            Storage::Cuda(buffer) => Values::Cuda(buffer, range.start * Dtype::F32.size()),
        };
        Self { shape, values }
    }

    /// Its shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in host memory: themselves if they are there, else a copy.
    pub fn on_host(&self) -> Cow<'a, [f32]> {
        match self.values {
            Values::Cpu(values) => Cow::Borrowed(values),
            Values::Cuda(buffer, first) => {
                let mut values = vec![0.0; self.len()];
                buffer.download(first, &mut values);
                Cow::Owned(values)
            }
        }
    }

    /// The values in host memory.
    ///
    /// # Panics
    /// If they lie on another device.
    pub fn host(&self) -> &'a [f32] {
        match self.values {
            Values::Cpu(values) => values,
            Values::Cuda(buffer, _) => panic!("the host reads a view of {buffer:?}"),
        }
    }

    /// The first value in the memory of a CUDA device, for launches.
    ///
    /// # Panics
    /// If the values lie elsewhere.
    pub(crate) fn cuda(&self) -> cuda::Pointer {
        match self.values {
            Values::Cuda(buffer, first) => buffer.pointer().offset(first),
            Values::Cpu(_) => panic!("a kernel was given a view of host memory"),
        }
    }
}

/// A [`View`] whose values may be changed.
#[derive(Debug)]
pub struct ViewMut<'a> {
    shape: &'a [usize],
    values: ValuesMut<'a>,
}

#[derive(Debug)]
enum ValuesMut<'a> {
    Cpu(&'a mut [f32]),
    Cuda(cuda::Pointer),
}

impl<'a> ViewMut<'a> {
    /// A view of the first `len` values of `rest`, which is left with the others.
    pub(crate) fn split_off(rest: &mut &'a mut [f32], shape: &'a [usize]) -> Self {
        let len = shape.iter().product();
        let (part, behind) = std::mem::take(rest).split_at_mut(len);
        *rest = behind;
        Self { shape, values: ValuesMut::Cpu(part) }
    }

    /// A view of values in the memory of a CUDA device, which the caller has borrowed.
    pub(crate) fn on_cuda(pointer: cuda::Pointer, shape: &'a [usize]) -> Self {
        Self { shape, values: ValuesMut::Cuda(pointer) }
    }

    /// Its shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The first value in the memory of a CUDA device, for launches.
    ///
    /// # Panics
    /// If the values lie elsewhere.
    pub(crate) fn cuda(&mut self) -> cuda::Pointer {
        match self.values {
            ValuesMut::Cuda(pointer) => pointer,
            ValuesMut::Cpu(_) => panic!("a kernel was given a view of host memory"),
        }
    }

    /// The values in host memory, to change.
    ///
    /// # Panics
    /// If they lie on another device.
    pub fn host_mut(&mut self) -> &mut [f32] {
        match &mut self.values {
            ValuesMut::Cpu(values) => values,
            ValuesMut::Cuda(_) => panic!("the host writes a view of device memory"),
        }
    }

    /// As [`host_mut`](Self::host_mut), for as long as the tensor is borrowed.
    ///
    /// # Panics
    /// As [`host_mut`](Self::host_mut).
    pub fn into_host_mut(self) -> &'a mut [f32] {
        match self.values {
            ValuesMut::Cpu(values) => values,
            ValuesMut::Cuda(_) => panic!("the host writes a view of device memory"),
        }
    }
}
