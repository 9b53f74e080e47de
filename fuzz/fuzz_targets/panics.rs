//! Decides which panics count as finds.

use std::collections::BTreeSet;
use std::panic;
use std::process;
use std::sync::Mutex;

/// Aborts the process at a panic in our own code. A panic in a third-party decoder is caught by
/// `multicrop`: it is printed once, and the run continues.
pub fn abort_on_ours() {
    let seen = Mutex::new(BTreeSet::new());
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let is_third_party = place.contains("/registry/src/");
        if !is_third_party || seen.lock().is_ok_and(|mut seen| seen.insert(place)) {
            eprintln!("{info}");
        }
        if !is_third_party {
            process::abort();
        }
    }));
}
