//! Which sequences each residual branch drops: drawn beforehand, so that tests can give the decisions.
//!
//! Branch `j` of block `i` keeps a sequence with probability `1 − rate · i / (depth − 1)` and is then
//! divided by it; both branches of a block have the same rate and independent draws.

use engine::Layout;
use rand::RngExt;
use streams::Key;

/// The decisions for one forward pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DropPlan {
    branches: Vec<Branch>, // two for each block; none: nothing is dropped
}

/// The decisions for one branch.
#[derive(Debug, Clone, PartialEq)]
struct Branch {
    kept: Vec<bool>,
    scale: f32,
}

impl DropPlan {
    /// Keeps everything.
    pub fn keep_all() -> Self {
        Self::default()
    }

    /// Draws for `sequences` sequences; `rate` is that of the last block.
    pub fn draw(rate: f64, depth: usize, sequences: usize, key: Key) -> Self {
        if rate == 0.0 {
            return Self::keep_all();
        }
        let branch = |i: usize| {
            let keep = 1.0 - block_rate(rate, i / 2, depth);
            let mut rng = key.part(i as u32).open();
            let kept = (0..sequences).map(|_| rng.random::<f64>() < keep).collect();
            Branch { kept, scale: (1.0 / keep) as f32 }
        };
        Self { branches: (0..2 * depth).map(branch).collect() }
    }

    /// Decisions from outside: `kept[2 · block + branch][sequence]`.
    pub fn given(rate: f64, kept: Vec<Vec<bool>>) -> Self {
        let depth = kept.len() / 2;
        let scale = |i: usize| (1.0 / (1.0 - block_rate(rate, i / 2, depth))) as f32;
        let branches = kept.into_iter().enumerate();
        Self { branches: branches.map(|(i, kept)| Branch { kept, scale: scale(i) }).collect() }
    }

    /// The decisions for some of the sequences, in this order.
    pub fn select(&self, sequences: &[usize]) -> Self {
        let select = |branch: &Branch| Branch {
            kept: sequences.iter().map(|&i| branch.kept[i]).collect(),
            scale: branch.scale,
        };
        Self { branches: self.branches.iter().map(select).collect() }
    }

    /// The sequences that branch 0 (attention) or 1 (MLP) of a block keeps, and their scale.
    pub fn kept(&self, block: usize, branch: usize, all: &Layout) -> (Layout, f32) {
        match self.branches.get(2 * block + branch) {
            None => (all.clone(), 1.0),
            Some(branch) => (all.filter(|i| branch.kept[i]), branch.scale),
        }
    }
}

fn block_rate(rate: f64, block: usize, depth: usize) -> f64 {
    rate * block as f64 / (depth.max(2) - 1) as f64
}
