//! Reads any bytes as a pickle, and as a PyTorch file around one: must give a tree or an error, without a
//! panic, a hang or much memory.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod archives;
mod panics;

fuzz_target!(init: panics::abort_on_ours(), |bytes: &[u8]| {
    if let Ok((tree, length)) = interchange::pickle::read(bytes) {
        assert!(length <= bytes.len());
        assert!(tree.entries(tree.root()).len() <= interchange::pickle::MAX_VALUES);
    }
    archives::read(bytes);
});
