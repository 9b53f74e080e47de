//! Guards calls into third-party decoders, so that a panic costs one image and not the run.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Nesting depth of guarded calls on this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// True while this thread runs code whose panics are caught and returned as errors.
///
/// A panic hook should stay silent then, because such a panic does not end the program.
///
/// ```
/// std::panic::set_hook(Box::new(|info| {
///     if !multicrop::guard::is_guarded() {
///         eprintln!("{info}");
///     }
/// }));
/// ```
pub fn is_guarded() -> bool {
    DEPTH.get() > 0
}

/// Returns the result of `call`, or `None` if it panics. Nothing that `call` changed may be used
/// after a panic.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _inside = Inside;
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_the_guard_ends_with_the_call() {
        assert!(!is_guarded());
        assert_eq!(guarded(is_guarded), Some(true));
        assert_eq!(
            guarded(|| guarded(|| 1).and_then(|_| is_guarded().then_some(2))),
            Some(Some(2))
        );
        let empty: &[u8] = &[];
        assert_eq!(guarded(|| empty[0]), None);
        assert!(!is_guarded());
    }
}
