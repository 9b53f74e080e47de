//! A dense, row-major tensor: a shape, a dtype, and values in the memory of a device.
//!
//! A [`Tensor`] does not dereference to its values: they may lie in the memory of another device. Code
//! that needs them on the host asks by name ([`Tensor::host`]). Only the CPU half of an operation,
//! tests, reports and evaluation do so; everything else passes tensors from operation to operation.

use std::borrow::Cow;

use half::bf16;
use matmul::Precision;
use pool::Buffer;

use crate::device::Device;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// The upper 16 bits of an f32: its range, with 8 significant bits.
    Bf16,
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
        }
    }

    /// The tensor in host memory: itself if it is there, else a copy.
    pub fn on_host(&self) -> Cow<'_, Self> {
        match &self.storage {
            Storage::Cpu(_) => Cow::Borrowed(self),
        }
    }

    /// As [`on_host`](Self::on_host), of a tensor that is given away.
    pub fn into_host(self) -> Self {
        match self.storage {
            Storage::Cpu(_) => self,
        }
    }

    /// The tensor in the memory of `device`: itself if it is there, else a copy.
    pub fn to(self, device: &Device) -> Self {
        match device {
            Device::Cpu => self.into_host(),
        }
    }

    /// Changes the values on the host and moves them back: how an operation without a kernel for the
    /// tensor's device changes it in place.
    pub fn on_host_mut<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        match &self.storage {
            Storage::Cpu(_) => change(self),
        }
    }

    /// The values of an f32 tensor in host memory.
    ///
    /// # Panics
    /// If the tensor has another dtype or lies on another device.
    pub fn host(&self) -> &[f32] {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is read as f32");
        let Storage::Cpu(buffer) = &self.storage;
        buffer
    }

    /// As [`host`](Self::host), to change.
    ///
    /// # Panics
    /// As [`host`](Self::host).
    pub fn host_mut(&mut self) -> &mut [f32] {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is written as f32");
        let Storage::Cpu(buffer) = &mut self.storage;
        buffer
    }

    /// The values of a bf16 tensor in host memory.
    ///
    /// # Panics
    /// If the tensor has another dtype or lies on another device.
    pub fn host_bf16(&self) -> &[bf16] {
        assert_eq!(self.dtype, Dtype::Bf16, "dtype of a tensor that is read as bf16");
        let (len, Storage::Cpu(buffer)) = (self.len(), &self.storage);
        &bytemuck::cast_slice(buffer)[..len]
    }

    /// As [`host_bf16`](Self::host_bf16), to change.
    ///
    /// # Panics
    /// As [`host_bf16`](Self::host_bf16).
    pub fn host_bf16_mut(&mut self) -> &mut [bf16] {
        assert_eq!(self.dtype, Dtype::Bf16, "dtype of a tensor that is written as bf16");
        let (len, Storage::Cpu(buffer)) = (self.len(), &mut self.storage);
        &mut bytemuck::cast_slice_mut(buffer)[..len]
    }

    /// All values, as an operation takes those of a parameter.
    pub fn view(&self) -> View<'_> {
        View { shape: &self.shape, values: Values::Cpu(self.host()) }
    }

    /// As [`view`](Self::view), to change.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        assert_eq!(self.dtype, Dtype::F32, "dtype of a tensor that is written as f32");
        let Storage::Cpu(buffer) = &mut self.storage;
        ViewMut { shape: &self.shape, values: ValuesMut::Cpu(buffer) }
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
        Self { shape, values: Values::Cpu(&tensor.host()[range]) }
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
        let Values::Cpu(values) = self.values;
        Cow::Borrowed(values)
    }

    /// The values in host memory.
    ///
    /// # Panics
    /// If they lie on another device.
    pub fn host(&self) -> &'a [f32] {
        let Values::Cpu(values) = self.values;
        values
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
}

impl<'a> ViewMut<'a> {
    /// A view of the first `len` values of `rest`, which is left with the others.
    pub(crate) fn split_off(rest: &mut &'a mut [f32], shape: &'a [usize]) -> Self {
        let len = shape.iter().product();
        let (part, behind) = std::mem::take(rest).split_at_mut(len);
        *rest = behind;
        Self { shape, values: ValuesMut::Cpu(part) }
    }

    /// Its shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The values in host memory, to change.
    ///
    /// # Panics
    /// If they lie on another device.
    pub fn host_mut(&mut self) -> &mut [f32] {
        let ValuesMut::Cpu(values) = &mut self.values;
        values
    }

    /// As [`host_mut`](Self::host_mut), for as long as the tensor is borrowed.
    ///
    /// # Panics
    /// As [`host_mut`](Self::host_mut).
    pub fn into_host_mut(self) -> &'a mut [f32] {
        let ValuesMut::Cpu(values) = self.values;
        values
    }
}
