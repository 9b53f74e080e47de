//! Whether there is a tile unit for bf16, and whether the system lets this process use it.

use std::arch::x86_64::__cpuid_count;

/// Asks the processor, then the system for its permission, which Linux wants to be asked for.
pub(crate) fn is_usable() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    let features = if __cpuid_count(0, 0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 };
    let there = features & (BF16 | TILES) == BF16 | TILES && is_x86_feature_detected!("avx512bf16");
    there && is_permitted()
}

#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory of ours.
    let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) };
    refused == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}
