//! The AMX microkernels: `Amx` multiplies panels with the tile registers of recent Intel CPUs.
//!
//! `tdpbf16ps` multiplies a tile of 16 x 32 bf16 values by one of 32 x 16 and adds the result to a tile of
//! 16 x 16 f32 sums. Four tiles of sums are kept at a time, so that every loaded tile is used twice.
//!
//! # f32 in three parts
//!
//! f32 operands are split into three bf16 parts ([`super::pack`]). Of the nine products of parts the six
//! largest are added:
//!
//! ```text
//! a b = a₀ b₀ + (a₀ b₁ + a₁ b₀) + (a₀ b₂ + a₁ b₁ + a₂ b₀) + …
//! ```
//!
//! Since `|x₁| ≤ 2⁻⁸ |x|` and `|x₂| ≤ 2⁻¹⁶ |x|`, the omitted terms `a₁ b₂ + a₂ b₁ + a₂ b₂` are below
//! 2⁻²²·⁹ |a b|, mostly far below, and of either sign. Rounding one product to f32 changes it by up to
//! 2⁻²⁴. AMX adds 32 products before it rounds the sum, so sums are more accurate than in f32 arithmetic.
//! Only where one product is nearly the whole sum, the error may be a fifth larger. Tests compare both with
//! f64. Six products on AMX take less time than one on the vector units.
//!
//! # Pacing
//!
//! On a shared host, other programs may use the second hyper-thread of the core. AMX instructions in direct
//! succession then reach a quarter of their rate. With other instructions in between, even `nop`s, they
//! reach 1.4 to 1.6 times that. They are no slower when the core is ours alone. This was measured; Intel does
//! not document the reason. The loop over three parts uses the gaps to prefetch the next step, which gives
//! another fifth. The loop over one part has no time for that.
//!
//! # Assembly
//!
//! Stable Rust has no intrinsics for AMX. The compiler never uses tile registers itself, so assembly can
//! keep values in them as long as an `Amx` exists.

use std::arch::asm;
use std::marker::PhantomData;

use super::pack::{self, PANEL, Sums, TILE, TILE_ROWS};

/// Bytes of a tile in a panel.
const TILE_BYTES: usize = TILE * size_of::<u16>();
/// Bytes of a row of tiles of sums.
const SUM_ROW_BYTES: usize = PANEL * size_of::<f32>();

// The offsets that are written as numbers in the assembly: of the second tile of a part, of the second and
// third part, of the next step, and of the lower tiles of sums.
const _: () = assert!(TILE_BYTES == 1024 && SUM_ROW_BYTES == 128);
const _: () = assert!(pack::panel_len(1, 1) * size_of::<u16>() == 2048);
const _: () = assert!(pack::panel_len(1, 3) * size_of::<u16>() == 6144);
const _: () = assert!(TILE_ROWS * SUM_ROW_BYTES == 2048);

/// Puts eight `nop`s behind every instruction (see "Pacing" above).
macro_rules! paced {
    ($($instruction:literal),+ $(,)?) => {
        concat!($($instruction, "\n.rept 8\nnop\n.endr\n"),+)
    };
}

/// Puts six `nop`s and prefetches of the next step behind every instruction: three cache lines of both
/// panels. A step has 38 instructions and 96 cache lines of each panel, so 114 prefetches reach all.
macro_rules! prefetching {
    ($($instruction:literal),+ $(,)?) => {
        concat!($(
            $instruction,
            "\n.rept 3\n\
             prefetcht0 [{a} + .Lnext]\n\
             prefetcht0 [{b} + .Lnext]\n\
             .set .Lnext, .Lnext + 64\n\
             .endr\n\
             .rept 6\nnop\n.endr\n"
        ),+)
    };
}

/// Multiplies the loaded tiles and adds the results to the four tiles of sums.
macro_rules! add {
    () => {
        prefetching!(
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
        )
    };
}

/// Runs the instructions `$step` for every step, and stores the four tiles of sums in `$sums`. The
/// instructions read the panels at `a` and `b`, which advance by `$bytes` after each step.
macro_rules! sum_tiles {
    ($left:ident, $right:ident, $steps:ident, $sums:ident, $bytes:literal, $($step:expr),+ $(,)?) => {
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "2:",
            $($step,)+
            concat!("add {a}, ", $bytes),
            concat!("add {b}, ", $bytes),
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {line}], tmm0",
            "tilestored [{out} + {line} + 64], tmm1",
            "tilestored [{out} + {line} + 2048], tmm2",
            "tilestored [{out} + {line} + 2112], tmm3",
            a = inout(reg) $left.as_ptr() => _,
            b = inout(reg) $right.as_ptr() => _,
            steps = inout(reg) $steps => _,
            out = in(reg) $sums.as_mut_ptr(),
            row = in(reg) 64usize,
            line = in(reg) 128usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// The configured tile registers of the current thread, released on drop.
///
/// The pointer type keeps it on this thread: it is neither `Send` nor `Sync`.
pub(super) struct Amx(PhantomData<*const ()>);

/// The operand of `ldtilecfg`: eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct TileConfig([u8; 64]);

static TILE_CONFIG: TileConfig = {
    let mut bytes = [0; 64];
    bytes[0] = 1; // palette 1, the only one
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64; // bytes of a row
        bytes[48 + tile] = TILE_ROWS as u8;
        tile += 1;
    }
    TileConfig(bytes)
};

impl Amx {
    /// Configures the tile registers of this thread.
    ///
    /// # Safety
    /// The CPU has AMX and the process may use it: `dispatch::level()` is `Level::Amx`.
    pub(super) unsafe fn configure() -> Self {
        // SAFETY: the caller promises that the instruction exists. It reads the 64 bytes of the static.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const TILE_CONFIG, options(nostack, readonly));
        };
        Self(PhantomData)
    }

    /// `sums = left · right` for a pair of panels whose values have one part.
    pub(super) fn multiply(&self, left: &[u16], right: &[u16], steps: usize, sums: &mut Sums) {
        check(left, right, steps, 1);
        // SAFETY: `self` proves that AMX is configured. The loop reads `steps` times 2 KiB of both panels,
        // and `check` proved that they are that long. It writes the 4 KiB of `sums`.
        unsafe {
            sum_tiles!(
                left,
                right,
                steps,
                sums,
                2048,
                paced!(
                    "tileloadd tmm4, [{a} + {row}]",
                    "tileloadd tmm6, [{b} + {row}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b} + {row} + 1024]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{a} + {row} + 1024]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                ),
            );
        }
    }

    /// `sums = left · right` for a pair of panels whose values have three parts.
    pub(super) fn multiply_split(
        &self,
        left: &[u16],
        right: &[u16],
        steps: usize,
        sums: &mut Sums,
    ) {
        check(left, right, steps, 3);
        // From one product of parts to the next, only the parts of one operand are loaded.
        //
        // SAFETY: as in `multiply`, with 6 KiB of both panels for each step: three parts of 2 KiB.
        unsafe {
            sum_tiles!(
                left,
                right,
                steps,
                sums,
                6144,
                ".set .Lnext, 6144",
                prefetching!(
                    "tileloadd tmm4, [{a} + {row}]",
                    "tileloadd tmm5, [{a} + {row} + 1024]",
                    "tileloadd tmm6, [{b} + {row} + 4096]",
                    "tileloadd tmm7, [{b} + {row} + 5120]",
                ),
                add!(), // a₀ b₂
                prefetching!(
                    "tileloadd tmm6, [{b} + {row} + 2048]",
                    "tileloadd tmm7, [{b} + {row} + 3072]",
                ),
                add!(), // a₀ b₁
                prefetching!(
                    "tileloadd tmm4, [{a} + {row} + 2048]",
                    "tileloadd tmm5, [{a} + {row} + 3072]",
                ),
                add!(), // a₁ b₁
                prefetching!(
                    "tileloadd tmm6, [{b} + {row}]",
                    "tileloadd tmm7, [{b} + {row} + 1024]",
                ),
                add!(), // a₁ b₀
                prefetching!(
                    "tileloadd tmm4, [{a} + {row} + 4096]",
                    "tileloadd tmm5, [{a} + {row} + 5120]",
                ),
                add!(), // a₂ b₀
                prefetching!(
                    "tileloadd tmm4, [{a} + {row}]",
                    "tileloadd tmm5, [{a} + {row} + 1024]",
                ),
                add!(), // a₀ b₀
            );
        }
    }
}

/// Panics if a panel is shorter than the assembly reads.
fn check(left: &[u16], right: &[u16], steps: usize, parts: usize) {
    let len = pack::panel_len(steps, parts);
    assert!(steps > 0 && left.len() >= len && right.len() >= len, "a panel is too short");
}

impl Drop for Amx {
    /// Releases the tile registers. Otherwise every context switch of this thread would save 8 KiB.
    fn drop(&mut self) {
        // SAFETY: AMX was configured, so the instruction exists.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
