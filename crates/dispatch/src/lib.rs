//! Run-time dispatch: one program that uses AVX-512, AVX2 or neither, whichever the CPU has.
//!
//! [`kernel!`] compiles a function once for each instruction set and calls the best variant that the
//! CPU supports. The loops are ordinary safe Rust, vectorized by the compiler. The only `unsafe` is
//! the call of the chosen variant, and the macro contains it.
//!
//! [`level`] is the instruction set that all kernels of the process use. The environment variable
//! `DINO_VMF_SIMD` lowers it, so that tests and benches can run every variant on one machine.
//!
//! # Example
//!
//! ```
//! dispatch::kernel! {
//!     /// Adds `x` to every value.
//!     pub fn add(values: &mut [f32], x: f32) {
//!         for value in values {
//!             *value += x;
//!         }
//!     }
//! }
//!
//! let mut values = [1.0, 2.0];
//! add(&mut values, 0.5);
//! assert_eq!(values, [1.5, 2.5]);
//! ```
//!
//! # Functions called by a kernel
//!
//! Mark every function that a kernel calls `#[inline(always)]`. Any other function is compiled for
//! the baseline, and calling it from a kernel can be several times slower.
//!
//! # Why a macro of our own
//!
//! * Passing closures to a dispatching function, as `pulp` does, was tried first. The compiler did
//!   not inline large closures into the variants, and `mul_add` became a call of `fmaf`. A layer
//!   norm's forward pass took 6.3 ms that way and 0.74 ms with this macro (`docs/performance.md`).
//! * The attribute of the `multiversion` crate generates the same loops. A multiply-add over 384
//!   values takes 24 ns with it and 26 ns with [`kernel!`], on an AMD EPYC with AVX2. But it detects
//!   the CPU on its own. Here loops and matrix products must agree on one [`level`], and a variable
//!   must be able to lower it for all of them. It also brings a procedural macro with `syn`.

#[cfg(target_arch = "x86_64")]
mod amx;

use std::sync::OnceLock;

/// Defines a function that is compiled three times: for AVX-512, for AVX2 with FMA, and for the
/// target that the crate is built for. Each call runs the variant of the current [`level`].
///
/// On other architectures than x86-64 there is only the last one. The crate documentation says why
/// this is a macro.
#[macro_export]
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match $crate::level() {
                    // SAFETY: `level` found all features that `avx512` is compiled for.
                    $crate::Level::Avx512 | $crate::Level::Amx => return unsafe { avx512($($arg),*) },
                    // SAFETY: `level` found all features that `avx2` is compiled for.
                    $crate::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    };
}

/// An instruction set that kernels and matrix products can use, ordered from least to most capable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The target that the crate is built for.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// All of [`Self::Avx512`], AVX512-BF16 and AMX for bf16, with the operating system's permission
    /// to use AMX. Loops are those compiled for AVX-512; only matrix products use AMX.
    Amx,
}

/// Name of the environment variable that lowers the level to that of a [name](named). Any other value has no
/// effect. For tests and comparisons.
pub const VARIABLE: &str = "DINO_VMF_SIMD";

/// The level of a name: `baseline`, `avx2`, `avx512` or `amx`.
pub fn named(name: &str) -> Option<Level> {
    match name {
        "baseline" => Some(Level::Baseline),
        "avx2" => Some(Level::Avx2),
        "avx512" => Some(Level::Avx512),
        "amx" => Some(Level::Amx),
        _ => None,
    }
}

/// The level that kernels run at: the best that the CPU supports, or the value of [`VARIABLE`] if that
/// is lower.
///
/// It is determined at the first call. Later changes of the variable have no effect.
#[inline]
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var(VARIABLE).ok().and_then(|name| named(&name));
        machine().min(wanted.unwrap_or(Level::Amx))
    })
}

/// The best level that this CPU and operating system support.
#[cfg(target_arch = "x86_64")]
fn machine() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) if amx::is_usable() => Level::Amx,
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Baseline,
    }
}

/// The best level that this CPU and operating system support.
#[cfg(not(target_arch = "x86_64"))]
fn machine() -> Level {
    Level::Baseline
}
