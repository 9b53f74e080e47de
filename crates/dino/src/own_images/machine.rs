//! A [`Machine`] says how much a computer can train in a night.

use std::fmt;

use engine::matmul;

use report::number::counted;

use crate::config::Precision;
use crate::forecast::cores;
use crate::memory::{self, Bytes};

/// Floating-point operations per second and core that training reaches, in f32. Measured on idle cores:
/// 55e9 (AMD Zen 4) and 75e9 (Intel Sapphire Rapids), both with AVX-512 (the times of `shapes-tiny` and
/// `cifar10-tiny` in `docs/results.md`). Laptops have slower cores and other work.
const PER_CORE: f64 = 30e9;
/// The same in bf16, on processors that multiply it natively.
const PER_CORE_BF16: f64 = 60e9;

/// What the rules know about the computer.
///
/// The number of threads is no part of it: a run's results must not depend on threads, so its recipe must
/// not either.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in bytes, whether it is free or not; `None` if unknown.
    pub memory: Option<u64>,
    /// Precision in which it is fastest.
    pub precision: Precision,
}

impl Machine {
    /// This computer, or the part of it that this process may use.
    pub fn here() -> Self {
        let native = matmul::is_native(Precision::Bf16.of_products());
        Self {
            cores: cores(),
            memory: memory::total(),
            precision: if native { Precision::Bf16 } else { Precision::F32 },
        }
    }

    /// Floating-point operations per second, estimated.
    pub(super) fn flops(&self) -> f64 {
        let per_core = match self.precision {
            Precision::F32 => PER_CORE,
            Precision::Bf16 => PER_CORE_BF16,
        };
        self.cores as f64 * per_core
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&counted(self.cores, "core"))?;
        match self.memory {
            Some(memory) => write!(f, " with {}", Bytes(memory as f64)),
            None => Ok(()),
        }
    }
}
