//! Products of panels on the tile unit of recent Intel processors (AMX).
//!
//! `tdpbf16ps` multiplies a tile of 16 x 32 bf16 numbers with one of 32 x 16 and adds the result to
//! one of 16 x 16 f32 numbers. Four such sums are kept at once, so that every tile that is loaded is
//! used twice.
//!
//! Factors in f32 come in three parts of 8 bits ([`super::pack`]), and of the nine products of parts
//! the six largest are added:
//!
//! ```text
//! a b = a₀ b₀ + (a₀ b₁ + a₁ b₀) + (a₀ b₂ + a₁ b₁ + a₂ b₀) + …
//! ```
//!
//! As `|x₁| ≤ 2⁻⁸ |x|` and `|x₂| ≤ 2⁻¹⁶ |x|`, what is left out, `a₁ b₂ + a₂ b₁ + a₂ b₂`, is below
//! 2⁻²²·⁹ |a b| and mostly far below, of either sign; rounding a product to f32 changes it by up to
//! 2⁻²⁴. The unit adds 32 products before it rounds them into the sum, so sums are better than those
//! of f32 arithmetic; only if one product is nearly the whole sum, it may be a fifth worse. Tests
//! compare both with f64. Six products take less time here than one on the vector unit.
//!
//! Where other programs use the second thread of the same core, as on a shared host, the unit's
//! instructions one after the other reach a quarter of its rate. With others in between, even `nop`s, they
//! reach 1.4 to 1.6 times as much there, and as much as before with the core for themselves (measured; the
//! reason is not documented). The loop over three parts fetches the next step's lines instead of some of
//! them, which gives another fifth; the loop over one part has no time for that.
//!
//! Instructions without names in stable Rust are written in assembly; the compiler uses no tile
//! registers of its own.

use std::arch::asm;
use std::marker::PhantomData;

use super::pack::{self, PANEL};

/// A product of two panels, `[32, 32]`.
pub(super) type Block = [f32; PANEL * PANEL];

/// Instructions of the unit, each with eight others behind it that do nothing (see the module).
macro_rules! paced {
    ($($instruction:literal),+ $(,)?) => {
        concat!($($instruction, "\n.rept 8\nnop\n.endr\n"),+)
    };
}

/// The same with fetching, in between, what the next step reads: three lines of both panels behind
/// each instruction, which are 114 lines of 96 in the end.
macro_rules! fetching {
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

/// Adds the products of the loaded tiles to the four sums.
macro_rules! add {
    () => {
        fetching!(
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
        )
    };
}

/// Does a step's instructions, which use the panels at `a` and `b`, for each step, and writes the four
/// sums. `$bytes` are those of a step.
macro_rules! sum_tiles {
    ($left:ident, $right:ident, $steps:ident, $out:ident, $bytes:literal, $($step:expr),+ $(,)?) => {
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
            out = in(reg) $out.as_mut_ptr(),
            row = in(reg) 64usize,
            line = in(reg) 128usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Tile registers of this thread, in use until dropped; bound to the thread, as a pointer is.
pub(super) struct Unit(PhantomData<*const ()>);

/// 64 bytes that describe eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

static SHAPES: Shapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1; // the only palette
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64; // bytes of a row
        bytes[48 + tile] = 16; // rows
        tile += 1;
    }
    Shapes(bytes)
};

impl Unit {
    /// Sets up the tile registers of this thread.
    ///
    /// # Safety
    /// The machine has AMX and the process may use it: `dispatch::level()` is `Level::Amx`.
    pub(super) unsafe fn open() -> Self {
        // SAFETY: the caller knows that the instruction exists; it reads 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly)) };
        Self(PhantomData)
    }

    /// `out = left · right` for two panels whose numbers have one part.
    pub(super) fn multiply(&self, left: &[u16], right: &[u16], steps: usize, out: &mut Block) {
        check(left, right, steps, 1);
        // SAFETY: `self` shows that the unit is set up; the loop reads `steps` times 2 KiB of both
        // panels, which `check` proved to be there, and writes 4 KiB to `out`.
        unsafe {
            sum_tiles!(
                left,
                right,
                steps,
                out,
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

    /// `out = left · right` for two panels whose numbers have three parts.
    pub(super) fn multiply_split(
        &self,
        left: &[u16],
        right: &[u16],
        steps: usize,
        out: &mut Block,
    ) {
        check(left, right, steps, 3);
        // SAFETY: as above, with 6 KiB of both panels: three parts, one behind the other. From one
        // product of parts to the next only the parts of one side are loaded.
        unsafe {
            sum_tiles!(
                left,
                right,
                steps,
                out,
                6144,
                ".set .Lnext, 6144",
                fetching!(
                    "tileloadd tmm4, [{a} + {row}]",
                    "tileloadd tmm5, [{a} + {row} + 1024]",
                    "tileloadd tmm6, [{b} + {row} + 4096]",
                    "tileloadd tmm7, [{b} + {row} + 5120]",
                ),
                add!(), // a₀ b₂
                fetching!(
                    "tileloadd tmm6, [{b} + {row} + 2048]",
                    "tileloadd tmm7, [{b} + {row} + 3072]",
                ),
                add!(), // a₀ b₁
                fetching!(
                    "tileloadd tmm4, [{a} + {row} + 2048]",
                    "tileloadd tmm5, [{a} + {row} + 3072]",
                ),
                add!(), // a₁ b₁
                fetching!("tileloadd tmm6, [{b} + {row}]", "tileloadd tmm7, [{b} + {row} + 1024]",),
                add!(), // a₁ b₀
                fetching!(
                    "tileloadd tmm4, [{a} + {row} + 4096]",
                    "tileloadd tmm5, [{a} + {row} + 5120]",
                ),
                add!(), // a₂ b₀
                fetching!("tileloadd tmm4, [{a} + {row}]", "tileloadd tmm5, [{a} + {row} + 1024]",),
                add!(), // a₀ b₀
            );
        }
    }
}

fn check(left: &[u16], right: &[u16], steps: usize, parts: usize) {
    let numbers = pack::panel_len(steps, parts);
    assert!(steps > 0 && left.len() >= numbers && right.len() >= numbers, "two panels");
}

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: the unit was set up, so the instruction exists. Without it every change of threads
        // would save eight tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
