//! `is_usable` detects AMX for bf16 and asks the operating system for permission to use it.

use std::arch::x86_64::__cpuid_count;

/// Whether the CPU has AMX with bf16 and AVX512-BF16, and this process may use AMX.
///
/// Linux gives a process the memory for AMX registers only on request. Without the request the first
/// AMX instruction would end the process with an illegal-instruction signal.
pub(crate) fn is_usable() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    let features = if __cpuid_count(0, 0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 };
    let present =
        features & (BF16 | TILES) == BF16 | TILES && is_x86_feature_detected!("avx512bf16");
    present && is_permitted()
}

#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the system call takes two integers and does not access memory of this process.
    let status = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) };
    status == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}
