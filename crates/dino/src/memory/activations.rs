//! Peak memory of a step's activations: tensors saved for the backward pass, and temporary ones.
//!
//! The terms follow the order in which a step allocates and frees its tensors, as in `model/block.rs`,
//! `model/head.rs` and `engine::ops`. All counts are f64, so that no settings overflow.

use engine::matmul::{Precision, is_native};

use super::F32;
use crate::config::{Config, Recompute};
use crate::plan::shapes;
use vit::MlpKind;

/// Prototypes of a tile, and partial gradients that are kept until they are summed.
const TILE: f64 = 512.0;
const LANES: f64 = 16.0;
/// Columns that a matmul packs at a time, and rows up to which threads share the packed rows.
const PACKED_COLUMNS: f64 = 384.0;
const SHARED_ROWS: f64 = 512.0;

/// Sizes of a step's matrices.
struct Sizes {
    depth: usize,
    d: f64,
    hidden: f64,
    heads: f64,
    scaled: bool,
    drop_path: f64,
    /// Bytes of a saved value in the precision of matmuls.
    kept: f64,
    /// Bytes of a value of an operand that is copied because no instruction of this CPU rounds it.
    copied: f64,
    recompute: Recompute,
    /// Tokens of all crops, and those that the last block computes.
    rows: f64,
    wanted: f64,
}

impl Sizes {
    /// Fraction of the sequences that drop path keeps in a branch of block `i`.
    fn share(&self, i: usize) -> f64 {
        1.0 - self.drop_path * i as f64 / (self.depth.max(2) - 1) as f64
    }

    /// Rows that block `i` computes.
    fn outputs(&self, i: usize) -> f64 {
        if i + 1 == self.depth { self.wanted } else { self.rows }
    }

    /// Bytes that the attention branch and the MLP of block `i` save.
    fn branches(&self, i: usize, recompute: Recompute) -> (f64, f64) {
        let outputs = self.outputs(i);
        let scale = if self.scaled { F32 * outputs * self.d } else { 0.0 };
        let input = F32 * (self.d + 2.0);
        let attention =
            self.rows * (input + 3.0 * self.d * self.kept) + F32 * outputs * self.heads + scale;
        let hidden = if recompute == Recompute::None { self.hidden * self.kept } else { 0.0 };
        let mlp = outputs * (input + hidden) + scale;
        (self.share(i) * attention, self.share(i) * mlp)
    }

    /// Bytes that block `i` saves.
    fn saved(&self, i: usize) -> f64 {
        match self.recompute {
            Recompute::Blocks => F32 * self.rows * self.d,
            recompute => {
                let (attention, mlp) = self.branches(i, recompute);
                attention + mlp
            }
        }
    }

    /// Temporary bytes of block `i` in the forward pass: the residual stream, and `qkv` or the outputs of
    /// a branch.
    fn forward(&self, i: usize) -> f64 {
        let rounding = if self.kept < F32 { 3.0 } else { 2.0 };
        let branch = if self.recompute == Recompute::Blocks {
            let (attention, mlp) = self.branches(i, Recompute::Light);
            attention.max(mlp)
        } else {
            0.0
        };
        branch + F32 * self.rows * self.d * (1.0 + rounding * self.share(i))
    }

    /// Temporary bytes of block `i` in the backward pass.
    fn backward(&self, i: usize) -> f64 {
        let (share, outputs) = (self.share(i), self.outputs(i));
        let again = self.recompute == Recompute::Blocks;
        let kept = if again { Recompute::None } else { self.recompute };
        let (attention, mlp) = self.branches(i, kept);
        let stream = F32 * self.rows * self.d;
        // dy, the norm's output, the gradient of the hidden layer; the hidden layer itself if it was
        // rounded or not saved.
        let unpacked = if self.kept < F32 || kept != Recompute::None { self.hidden } else { 0.0 };
        let through = F32 * share * outputs * (2.0 * self.d + self.hidden + unpacked);
        // dy, dqkv, the output recomputed, the norm's output or dout.
        let back = F32 * share * (self.rows * 4.0 + outputs * 2.0) * self.d;
        let copies = share * self.copied * (self.d + self.hidden);
        stream + copies * outputs + (attention + mlp + through).max(attention + back)
    }

    /// Bytes of the packed operands of a matmul of the MLP: f32 on AMX packs a weight, and rows that threads share,
    /// in three parts of two bytes, so many columns at a time.
    fn panels(&self) -> f64 {
        let splits = self.kept == F32 && dispatch::level() == dispatch::Level::Amx;
        let values = self.d.min(PACKED_COLUMNS) * (self.hidden + self.rows.min(SHARED_ROWS));
        if splits { 6.0 * values } else { 0.0 }
    }
}

/// Peak bytes of one step, without weights, gradients and crops.
pub(super) fn of_step(config: &Config, threads: usize) -> f64 {
    let (vit, _) = shapes(config);
    let images = (config.optim.batch_size / config.optim.accumulate.max(1)) as f64;
    let tokens = |side: usize| ((side / vit.patch_size.max(1)) as f64).powi(2);
    let (globals, locals) = (2.0 * images, config.data.local_crops as f64 * images);
    let global_patches = globals * tokens(config.data.global_size);
    let patches = global_patches + locals * tokens(config.data.local_size);
    let sequences = globals + locals;
    let masks = config.objective.method.masks();
    let wanted = if masks {
        globals * (1 + vit.registers) as f64 + global_patches + locals
    } else {
        sequences
    };
    let first_tokens = sequences * (1 + vit.registers) as f64;
    let sizes = Sizes { wanted, ..sizes(config, patches + first_tokens) };
    let head = Head::of(config, sequences, if masks { global_patches } else { 0.0 });

    let embedded = F32 * patches * (vit.channels * vit.patch_size * vit.patch_size) as f64;
    let mut kept = embedded;
    let mut most = embedded * 2.0;
    for i in 0..sizes.depth {
        kept += sizes.saved(i);
        most = most.max(kept + sizes.forward(i));
    }
    let outputs = F32 * wanted * sizes.d;
    let objective = kept + 2.0 * outputs + head.kept + head.objective(threads);
    most = most.max(objective).max(kept + 2.0 * outputs + head.kept + head.backward);
    for i in (0..sizes.depth).rev() {
        kept -= sizes.saved(i);
        most = most.max(kept + sizes.backward(i));
    }
    let teacher = teacher(&sizes, globals * (1 + vit.registers) as f64 + global_patches);
    most.max(teacher) + sizes.panels()
}

/// Bytes of one forward pass of an evaluation.
pub(super) fn of_evaluation(config: &Config, side: usize) -> f64 {
    let patch = config.model.patch_size.max(1);
    let images = config.eval.batch_size as f64;
    let patches = images * ((side / patch) as f64).powi(2);
    let embedded = F32 * patches * (config.data.channels * patch * patch) as f64;
    let rows = patches + images * (1 + config.model.registers) as f64;
    embedded.max(teacher(&sizes(config, rows), rows))
}

/// A forward pass that saves nothing: the residual stream, `qkv`, the output of attention.
fn teacher(sizes: &Sizes, rows: f64) -> f64 {
    F32 * rows * sizes.d * 5.0
}

fn sizes(config: &Config, rows: f64) -> Sizes {
    let (vit, _) = shapes(config);
    Sizes {
        depth: vit.depth,
        d: vit.embed_dim as f64,
        hidden: vit.mlp_hidden as f64 * if vit.mlp == MlpKind::SwiGlu { 2.0 } else { 1.0 },
        heads: vit.heads as f64,
        scaled: vit.layer_scale.is_some(),
        drop_path: config.model.drop_path,
        kept: if vit.precision == Precision::F32 { F32 } else { F32 / 2.0 },
        copied: if is_native(vit.precision) { 0.0 } else { F32 },
        recompute: config.run.recompute,
        rows,
        wanted: rows,
    }
}

/// Sizes of the head and the objective.
struct Head {
    /// Rows of the student and of the teacher that are compared at once.
    student: f64,
    teacher: f64,
    bottleneck: f64,
    /// Bytes saved for the backward pass.
    kept: f64,
    /// Temporary bytes of the backward pass.
    backward: f64,
}

impl Head {
    fn of(config: &Config, sequences: f64, global_patches: f64) -> Self {
        let (_, shape) = shapes(config);
        let ratios = &config.masking.ratios;
        let masked = global_patches * ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
        let rows = sequences + masked;
        let whole = if shape.precision == Precision::F32 { F32 } else { F32 / 2.0 };
        let (hidden, bottleneck) = (shape.hidden_dim as f64, shape.bottleneck_dim as f64);
        let teacher = (sequences * 2.0 / config.data.crops() as f64).max(global_patches);
        Self {
            student: sequences.max(masked),
            teacher,
            bottleneck,
            kept: rows * (F32 * (shape.embed_dim as f64 + 3.0 * bottleneck) + 2.0 * whole * hidden)
                + F32 * teacher * 2.0 * bottleneck,
            backward: F32 * rows * (3.0 * hidden + bottleneck),
        }
    }

    /// Bytes of the tiles of scores of all threads, and of the partial gradients of the vectors.
    fn objective(&self, threads: usize) -> f64 {
        let threads = (threads.max(1) as f64).min(LANES);
        let tiles = threads * (self.student + 2.0 * self.teacher) * TILE;
        F32 * (tiles + LANES * self.student * self.bottleneck)
    }
}
