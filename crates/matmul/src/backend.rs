//! `Backend::choose` picks the code that computes a matmul, by the table in the crate documentation.
//!
//! All sizes that decide between backends are in this file, with the relations that the promises of
//! equal bits rest on.

use crate::product::{Precision, Product};
#[cfg(target_arch = "x86_64")]
use crate::{packed::Microkernel, product::Threads};
#[cfg(target_arch = "x86_64")]
use dispatch::Level;

/// Least k and least n of a packed backend. Below, the panels of 32 lines are mostly padding.
#[cfg(target_arch = "x86_64")]
const PACKED_MIN_K_AND_N: usize = 16;

/// Least k for which splitting f32 operands into three parts pays on AMX.
#[cfg(target_arch = "x86_64")]
const SPLIT_MIN_K: usize = 96;

/// Least n for which splitting f32 operands pays on AMX.
#[cfg(target_arch = "x86_64")]
const SPLIT_MIN_N: usize = 128;

/// Least m for which splitting f32 operands pays on AMX inside a parallel loop.
#[cfg(target_arch = "x86_64")]
const SPLIT_MIN_M_IN_LOOP: usize = 128;

/// Largest k and largest n for which an f32 matmul inside a parallel loop is faster without packing.
#[cfg(target_arch = "x86_64")]
const DIRECT_MAX_K_AND_N: usize = 128;

/// With m ≥ `THREADS_AGREE_FROM` and k > `THREADS_AGREE_FROM`, [`Threads::One`](crate::Threads::One)
/// and [`Threads::All`](crate::Threads::All) give the same bits, for every n and both precisions.
///
/// A caller that chooses between them by the number of threads needs this. Otherwise its results would
/// depend on that number.
pub const THREADS_AGREE_FROM: usize = 128;

// From there on, the two conditions that depend on `Threads` decide alike for both.
#[cfg(target_arch = "x86_64")]
const _: () =
    assert!(SPLIT_MIN_M_IN_LOOP <= THREADS_AGREE_FROM && DIRECT_MAX_K_AND_N <= THREADS_AGREE_FROM);

/// The code that computes a matmul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Panels of packed bf16, multiplied by a microkernel.
    #[cfg(target_arch = "x86_64")]
    Packed(Microkernel),
    /// AVX-512 without packing.
    #[cfg(target_arch = "x86_64")]
    Direct,
    /// The crate `gemm-f32`.
    Gemm,
}

impl Backend {
    /// The backend of an `[m, k]` by `[k, n]` matmul. This CPU can run it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn choose([m, k, n]: [usize; 3], product: &Product<'_>) -> Self {
        let in_loop = product.threads == Threads::One;
        match microkernel(k, n, product.precision) {
            Some(Microkernel::AmxSplitF32) if in_loop && m < SPLIT_MIN_M_IN_LOOP => {}
            Some(microkernel) => return Self::Packed(microkernel),
            None => {}
        }
        let has_avx512 = matches!(dispatch::level(), Level::Avx512 | Level::Amx);
        let is_small = k <= DIRECT_MAX_K_AND_N && n <= DIRECT_MAX_K_AND_N;
        if has_avx512 && in_loop && is_small && product.precision == Precision::F32 {
            Self::Direct
        } else {
            Self::Gemm
        }
    }

    /// The backend of a matmul: without x86-64 instructions there is one.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn choose(_: [usize; 3], _: &Product<'_>) -> Self {
        Self::Gemm
    }
}

/// The microkernel for a right operand `[k, n]`, if packing it pays and this CPU has one.
#[cfg(target_arch = "x86_64")]
pub(crate) fn microkernel(k: usize, n: usize, precision: Precision) -> Option<Microkernel> {
    let splits = k >= SPLIT_MIN_K && n >= SPLIT_MIN_N;
    match (dispatch::level(), precision) {
        _ if k.min(n) < PACKED_MIN_K_AND_N => None,
        (Level::Amx, Precision::Bf16) => Some(Microkernel::AmxBf16),
        (Level::Amx, Precision::F32) if splits => Some(Microkernel::AmxSplitF32),
        (Level::Avx512, Precision::Bf16) if is_x86_feature_detected!("avx512bf16") => {
            Some(Microkernel::Avx512Bf16)
        }
        _ => None,
    }
}

/// Whether this CPU has instructions for operands of this precision.
///
/// Without them operands are rounded and then multiplied as f32, which takes longer than f32 alone.
/// f32 is always native.
pub fn is_native(precision: Precision) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        precision == Precision::F32 || microkernel(SPLIT_MIN_K, SPLIT_MIN_N, precision).is_some()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        precision == Precision::F32
    }
}
