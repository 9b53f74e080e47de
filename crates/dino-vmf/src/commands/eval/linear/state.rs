//! The state of `eval linear --out`: classifiers after an epoch, with which the same command continues.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use probe::linear::{Outcome, Sweep};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

const FILE: &str = "linear.safetensors";
const TENSORS: [&str; 4] = ["weight", "bias", "weight_velocity", "bias_velocity"];
/// Key of the metadata in the file.
const ABOUT: &str = "dino-vmf-linear";

/// The file of an evaluation.
pub(super) struct State {
    path: PathBuf,
    /// Everything that decides the result.
    key: String,
}

/// What is known beside the tensors.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    key: String,
    epochs: usize,
    outcomes: Vec<Outcome>,
}

impl State {
    /// The state in this folder, which is created. `key` decides whether an old state is of the same evaluation.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(super) fn open(folder: &Path, key: String) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        Ok(Self { path: folder.join(FILE), key })
    }

    /// Goes on from the state, if there is one. Returns the epochs that are finished.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or is of another evaluation.
    pub(super) fn restore(&self, sweep: &mut Sweep) -> Result<usize> {
        if !self.path.exists() {
            return Ok(0);
        }
        let shown = self.path.display();
        let bytes = fs::read(&self.path).with_context(|| format!("cannot read `{shown}`"))?;
        let damaged = || format!("`{shown}` is damaged: remove it");
        let (_, metadata) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
        let about = metadata.metadata().as_ref().and_then(|of| of.get(ABOUT));
        let about: About =
            serde_json::from_str(about.with_context(damaged)?).with_context(damaged)?;
        ensure!(
            about.key == self.key,
            "`{shown}` is of another evaluation (network, images or settings differ): choose another `--out`"
        );
        let tensors = SafeTensors::deserialize(&bytes).with_context(damaged)?;
        let read = |name: &str| -> Result<Vec<f32>> {
            let tensor = tensors.tensor(name).with_context(damaged)?;
            let values = tensor.data().as_chunks::<4>().0;
            Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let [weight, bias, weight_velocity, bias_velocity] = TENSORS.map(read);
        let tensors = [weight?, bias?, weight_velocity?, bias_velocity?];
        ensure!(sweep.restore(tensors, about.outcomes), damaged());
        Ok(about.epochs)
    }

    /// Replaces the state by that after `epochs` epochs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, sweep: &Sweep, epochs: usize) -> Result<()> {
        let outcomes = sweep.outcomes().to_vec();
        let about = serde_json::to_string(&About { key: self.key.clone(), epochs, outcomes })?;
        let bytes = sweep
            .tensors()
            .map(|of| of.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        let mut views = Vec::new();
        for (name, bytes) in TENSORS.into_iter().zip(&bytes) {
            views.push((name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?));
        }
        let metadata = HashMap::from([(ABOUT.to_owned(), about)]);
        let content = safetensors::serialize(views, Some(metadata))?;
        atomic_file::write(&self.path, &content)
            .with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use probe::linear::Settings;
    use probe::{Features, Matrix};

    use super::*;

    fn images() -> Features {
        let values = (0..48u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 999.0);
        Features {
            rows: Matrix::new(values.collect(), 4),
            labels: (0..12).map(|i| i % 3).collect(),
        }
    }

    fn sweep() -> Sweep {
        let settings = Settings { rates: vec![0.1, 1.0], epochs: 4, batch_size: 5, seed: 3 };
        Sweep::new(4, 3, settings)
    }

    fn train(sweep: &mut Sweep, epochs: std::ops::Range<usize>) {
        for epoch in epochs {
            sweep.train(epoch, &images(), &mut || Ok(())).unwrap();
            sweep.test(epoch, &images(), &mut || Ok(())).unwrap();
        }
    }

    #[test]
    fn two_epochs_and_two_after_a_restart_are_four_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &str| State::open(folder.path(), key.to_owned()).unwrap();
        let mut whole = sweep();
        train(&mut whole, 0..4);
        let mut first = sweep();
        assert_eq!(open("a").restore(&mut first).unwrap(), 0);
        train(&mut first, 0..2);
        open("a").write(&first, 2).unwrap();
        let mut second = sweep();
        assert_eq!(open("a").restore(&mut second).unwrap(), 2);
        train(&mut second, 2..4);
        assert_eq!(second.tensors(), whole.tensors());
        assert_eq!(second.outcomes(), whole.outcomes());
    }

    #[test]
    fn a_state_of_another_evaluation_or_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &str| State::open(folder.path(), key.to_owned()).unwrap();
        open("a").write(&sweep(), 1).unwrap();
        let said = |key: &str| format!("{:#}", open(key).restore(&mut sweep()).unwrap_err());
        assert!(said("b").contains("is of another evaluation"), "{}", said("b"));
        let path = folder.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(said("a").contains("is damaged: remove it"), "{}", said("a"));
    }
}
