//! Looks for a C++ compiler, and sets `cfg(cxx)` where there is one. Tests on the emulated CUDA device need
//! it and are ignored elsewhere.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CXX");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(cxx)");
    if has_compiler() {
        println!("cargo::rustc-cfg=cxx");
    }
}

/// Whether `$CXX`, or else `c++`, compiles C++17 and finds the header that fibres need.
fn has_compiler() -> bool {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let check = || -> std::io::Result<bool> {
        let mut child = Command::new(compiler)
            .args(["-std=c++17", "-fsyntax-only", "-x", "c++", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(b"#include <ucontext.h>\n")?;
        }
        Ok(child.wait()?.success())
    };
    check().unwrap_or(false)
}
