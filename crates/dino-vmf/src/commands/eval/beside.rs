//! What classifiers need beside the features of images.

use dino::memory::Beside;
use probe::Size;
use probe::linear::{Settings, Sweep};
use probe::logistic::Regression;

/// Linear classifiers by SGD.
pub(super) fn linear(size: Size, settings: &Settings) -> Beside {
    Beside {
        copies: 0,
        fitted: Sweep::bytes(size.width, size.classes, settings),
        reading: Sweep::bytes_from_disk(size, settings),
    }
}

/// A logistic regression. Its regularization is chosen with copies of `copied` rows.
pub(super) fn logistic(size: Size, copied: usize) -> Beside {
    let fitted = Regression::bytes(size.width, size.classes);
    Beside { copies: 4 * copied * size.width, fitted, reading: 0 }
}
