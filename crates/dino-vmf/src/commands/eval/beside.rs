//! What classifiers need beside the features of images.

use dino::memory::Beside;
use probe::Size;
use probe::linear::{Settings, Sweep};
use probe::logistic::Regression;
use probe::similarity::Nearest;

/// Linear classifiers by SGD.
pub(super) fn linear(size: Size, settings: &Settings) -> Beside {
    Beside {
        copies: 0,
        fitted: Sweep::bytes(size.width, size.classes, settings),
        batch: 4 * settings.batch_size.min(size.train) * size.width,
    }
}

/// k-NN with this many neighbors.
pub(super) fn neighbors(size: Size, k: usize) -> Beside {
    let fitted = Nearest::bytes(size.width, size.test, k.min(size.train));
    Beside { fitted, ..Beside::default() }
}

/// A logistic regression. Its regularization is chosen with copies of `copied` rows.
pub(super) fn logistic(size: Size, copied: usize) -> Beside {
    let fitted = Regression::bytes(size.width, size.classes);
    Beside { copies: 4 * copied * size.width, fitted, batch: 0 }
}
