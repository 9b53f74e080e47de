//! Reads any bytes as a CIFAR batch: must give samples or an error, without a panic, a hang or much
//! memory.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod containers;
mod panics;

fuzz_target!(init: panics::abort_on_ours(), |bytes: &[u8]| containers::open(bytes));
