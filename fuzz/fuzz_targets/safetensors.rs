//! Reads any bytes as a safetensors file: must give tensors or an error, without a panic, a hang or much
//! memory.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod archives;
mod panics;

fuzz_target!(init: panics::abort_on_ours(), |bytes: &[u8]| archives::read(bytes));
