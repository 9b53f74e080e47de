//! `Dtype` is the type of a tensor's values, with its size and its conversion to f32.

use std::fmt;

use half::{bf16, f16};

/// The type of a tensor's values, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Eight bits: four of exponent, three of mantissa.
    F8E4M3,
    /// Eight bits: five of exponent, two of mantissa.
    F8E5M2,
    /// Two f32: real and imaginary part.
    C64,
    /// Two f64: real and imaginary part.
    C128,
}

impl Dtype {
    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 8,
            Self::C128 => 16,
        }
    }

    /// Converts values to f32; `None` for types that weights do not have. f64 is rounded to the nearest.
    ///
    /// # Panics
    /// If the number of bytes is no multiple of the size.
    pub fn to_f32(self, bytes: &[u8]) -> Option<Vec<f32>> {
        assert!(bytes.len().is_multiple_of(self.size()), "whole values of {self}");
        let values = match self {
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Self::BF16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Self::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            _ => return None,
        };
        Some(values)
    }
}

/// A type that weights are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatType {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
}

impl FloatType {
    /// The type of the values in a file.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
        }
    }

    /// The bytes of values, each rounded to the nearest of this type. Values that are too large become infinite.
    pub fn to_bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16 => {
                values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
            }
            Self::BF16 => {
                values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect()
            }
        }
    }

    /// Whether a finite value stays finite.
    pub fn holds(self, value: f32) -> bool {
        match self {
            Self::F32 => true,
            Self::F16 => f16::from_f32(value).is_finite(),
            Self::BF16 => bf16::from_f32(value).is_finite(),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| convert(*bytes)).collect()
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("BOOL"), // as safetensors writes it
            other => fmt::Debug::fmt(other, f),
        }
    }
}

impl Dtype {
    /// The type that a safetensors header names, if this crate knows it.
    pub(crate) fn of_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype as Stored;
        Some(match dtype {
            Stored::BOOL => Self::Bool,
            Stored::U8 => Self::U8,
            Stored::I8 => Self::I8,
            Stored::U16 => Self::U16,
            Stored::I16 => Self::I16,
            Stored::U32 => Self::U32,
            Stored::I32 => Self::I32,
            Stored::U64 => Self::U64,
            Stored::I64 => Self::I64,
            Stored::F16 => Self::F16,
            Stored::BF16 => Self::BF16,
            Stored::F32 => Self::F32,
            Stored::F64 => Self::F64,
            Stored::F8_E4M3 => Self::F8E4M3,
            Stored::F8_E5M2 => Self::F8E5M2,
            Stored::C64 => Self::C64,
            _ => return None,
        })
    }

    /// The type of a class of storages, such as `FloatStorage`.
    pub(crate) fn of_storage_class(name: &str) -> Option<Self> {
        Some(match name {
            "BoolStorage" => Self::Bool,
            "ByteStorage" => Self::U8,
            "CharStorage" => Self::I8,
            "ShortStorage" => Self::I16,
            "IntStorage" => Self::I32,
            "LongStorage" => Self::I64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "ComplexFloatStorage" => Self::C64,
            "ComplexDoubleStorage" => Self::C128,
            _ => return None,
        })
    }

    /// The class of storages of a type of [`FloatType`], or of f32.
    pub(crate) fn storage_class(self) -> &'static str {
        match self {
            Self::F16 => "HalfStorage",
            Self::BF16 => "BFloat16Storage",
            Self::I64 => "LongStorage",
            _ => "FloatStorage",
        }
    }

    /// The type of `torch.float32` and so on.
    pub(crate) fn of_torch(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" => Self::U8,
            "int8" => Self::I8,
            "uint16" => Self::U16,
            "int16" => Self::I16,
            "uint32" => Self::U32,
            "int32" => Self::I32,
            "uint64" => Self::U64,
            "int64" => Self::I64,
            "float16" => Self::F16,
            "bfloat16" => Self::BF16,
            "float32" => Self::F32,
            "float64" => Self::F64,
            "float8_e4m3fn" => Self::F8E4M3,
            "float8_e5m2" => Self::F8E5M2,
            "complex64" => Self::C64,
            "complex128" => Self::C128,
            _ => return None,
        })
    }
}
