//! Strips the installed program. Test programs keep what a backtrace needs.
//!
//! `strip` in `[profile.release]` would strip both. Line tables make the program several times as
//! large.
//! To keep them, for a profiler or a backtrace, set `CARGO_PROFILE_RELEASE_DEBUG`:
//!
//! ```text
//! CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --release
//! ```

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_PROFILE_RELEASE_DEBUG");
    let variable = |name| env::var(name).unwrap_or_default();
    let is_release = variable("PROFILE") == "release";
    // Elsewhere debug information lies beside the program, not in it.
    let is_inside = variable("CARGO_CFG_TARGET_OS") == "linux";
    let wanted =
        !matches!(variable("CARGO_PROFILE_RELEASE_DEBUG").as_str(), "" | "0" | "false" | "none");
    if is_release && is_inside && !wanted {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
}
