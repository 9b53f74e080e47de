//! Run-time dispatch for plain loops.
//!
//! [`kernel!`] compiles a function for several instruction sets and picks the best that the machine
//! has when it is called. The loops are ordinary safe Rust, vectorized by the compiler; the only
//! `unsafe` is the call of the variant that was chosen, and it is in here.
//!
//! What is called inside a kernel must be `#[inline(always)]`, or it is compiled for the baseline.
//!
//! ```
//! dispatch::kernel! {
//!     /// Adds `x` to every number.
//!     pub fn add(numbers: &mut [f32], x: f32) {
//!         for number in numbers {
//!             *number += x;
//!         }
//!     }
//! }
//!
//! let mut numbers = [1.0, 2.0];
//! add(&mut numbers, 0.5);
//! assert_eq!(numbers, [1.5, 2.5]);
//! ```

#[cfg(target_arch = "x86_64")]
mod amx;

use std::sync::OnceLock;

/// Defines a function whose loops are compiled three times: for AVX-512, for AVX2 with FMA, and for
/// whatever the crate is built for. The best that the machine has is chosen at each call.
///
/// A macro, because a closure handed to a dispatching function is inlined into its variants only if
/// the compiler finds it small enough, and runs at a tenth of the speed where it does not.
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

/// What [`kernel!`] chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the crate is built for.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// These, AVX512-BF16, and the tile unit for bf16 (AMX), which the system lets us use. Loops are
    /// compiled as for AVX-512.
    Amx,
}

/// The variable that lowers the level, for tests and comparisons: `baseline`, `avx2` or `avx512`.
pub const VARIABLE: &str = "DINO_VMF_SIMD";

/// The level that kernels run at: the machine's best, or what [`VARIABLE`] says if that is lower.
///
/// Looked up once; later changes of the variable have no effect.
#[inline]
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = match std::env::var(VARIABLE).as_deref() {
            Ok("baseline") => Level::Baseline,
            Ok("avx2") => Level::Avx2,
            Ok("avx512") => Level::Avx512,
            _ => Level::Amx,
        };
        machine().min(wanted)
    })
}

/// The best level of this machine.
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

/// The best level of this machine.
#[cfg(not(target_arch = "x86_64"))]
fn machine() -> Level {
    Level::Baseline
}
