//! The position table for images of any size: the resampling of [`engine::ops::positions`] as a graph.
//!
//! ```text
//! rows   = weights(rows of patches)        [rows, stored]
//! columns = weights(columns of patches)    [columns, stored]
//! positions = rows · table · columnsᵀ      [1, rows · columns, d]
//! ```
//!
//! ONNX's own `Resize` has cubic interpolation, but TensorRT has it for fixed scales alone, and runtimes differ
//! in what a scale such as DINO's `(n + 0.1) / N` means. Matmuls and arithmetic are the same everywhere.

use vit::VitShape;

use crate::graph::{Graph, Value, int};

/// Cells that the interpolation reads beyond each border of the grid. They are copies of those at the border.
const BORDER: usize = 2;

/// The position table for `images`, of which `grid` is the embedding, `[B, d, rows, columns]`; without the
/// position of \[CLS\]. `[1, patches, d]`, in f32.
pub(crate) fn any_size(
    graph: &mut Graph,
    shape: &VitShape,
    table: &[f32],
    (images, grid): (&Value, &Value),
) -> Value {
    let (d, side) = (shape.embed_dim, shape.image_size / shape.patch_size);
    let border = if shape.resampling.antialias { 0 } else { BORDER };
    let cells = side + 2 * border;
    let padded = with_border(&table[d..], side, border, d);
    let table = graph.floats("pos_embed", &[cells, cells * d], &padded);
    let lengths = graph.op("grid.lengths", "Shape", &[grid]);
    let count = ["rows", "columns"].map(|of| format!("grid.{of}"));
    let rows = graph.slice(&count[0], &lengths, 0, (2, 3));
    let columns = graph.slice(&count[1], &lengths, 0, (3, 4));
    let kernel = Kernel::new(graph, shape, border, (images, &rows));
    let rows_weights = kernel.weights(graph, "positions.rows", &rows);
    let columns_weights = kernel.weights(graph, "positions.columns", &columns);
    let (d, cells) = (d as i64, cells as i64);
    let x = graph.op("positions.by_row", "MatMul", &[&rows_weights, &table]);
    let x = graph.reshape("positions.by_row.cells", &x, &[-1, cells, d]);
    let x = graph.op("positions.by_column", "MatMul", &[&columns_weights, &x]);
    graph.reshape("positions", &x, &[1, -1, d])
}

/// A table of `side` x `side` cells with copies of the outer cells around it.
fn with_border(table: &[f32], side: usize, border: usize, d: usize) -> Vec<f32> {
    let inner = |i: usize| i.saturating_sub(border).min(side - 1);
    let all = || (0..side + 2 * border).map(inner);
    let cells = all().flat_map(|row| all().map(move |column| row * side + column));
    cells.flat_map(|cell| &table[cell * d..][..d]).copied().collect()
}

/// What the weights of rows and columns share.
struct Kernel {
    /// Keys' a.
    a: f64,
    antialias: bool,
    /// Cells of a side of the stored grid, `[]`.
    side: Value,
    /// Added to the number of patches of a side, `[1]`.
    offset: Value,
    /// The place of each cell, `[1, cells]`.
    cells: Value,
}

impl Kernel {
    fn new(
        graph: &mut Graph,
        shape: &VitShape,
        border: usize,
        (images, rows): (&Value, &Value),
    ) -> Self {
        let side = shape.image_size / shape.patch_size;
        let antialias = shape.resampling.antialias;
        let places: Vec<f32> =
            (0..side + 2 * border).map(|cell| cell as f32 - border as f32).collect();
        let cells = graph.floats("grid.cells", &[1, places.len()], &places);
        let offset = offset(graph, side, shape.resampling.offset, (images, rows));
        let side = graph.floats("grid.side", &[], &[side as f32]);
        Self { a: if antialias { -0.5 } else { -0.75 }, antialias, side, offset, cells }
    }

    /// Weights of the stored cells of a side, for each of `count` patches, `[count, cells]`.
    fn weights(&self, graph: &mut Graph, at: &str, count: &Value) -> Value {
        let name = |part: &str| format!("{at}.{part}");
        let center = self.centers(graph, at, count);
        let x = graph.op(&name("difference"), "Sub", &[&center.places, &self.cells]);
        let mut t = graph.op(&name("distance"), "Abs", &[&x]);
        if self.antialias {
            // Where the target is coarser, the kernel is as wide as its cells.
            let one = constant(graph, &name("narrowest"), 1.0);
            let width = graph.op(&name("cell_width"), "Reciprocal", &[&center.scale]);
            let width = graph.op(&name("width"), "Max", &[&width, &one]);
            t = graph.op(&name("distance.in_widths"), "Div", &[&t, &width]);
        }
        let weights = self.cubic(graph, at, &t);
        if !self.antialias {
            return weights;
        }
        let axis = graph.integers(&name("axis"), &[1]);
        let keep = vec![int("keepdims", 1)];
        let sum = graph.op_with(&name("sum"), "ReduceSum", &[&weights, &axis], keep);
        graph.op(&name("weights.normalized"), "Div", &[&weights, &sum])
    }

    /// `(i + ½) / scale − ½` for patch `i`, with `scale = (count + offset) / side`.
    fn centers(&self, graph: &mut Graph, at: &str, count: &Value) -> Centers {
        let name = |part: &str| format!("{at}.{part}");
        let float = graph.cast_f32(&name("count"), count);
        let sum = graph.op(&name("count.with_offset"), "Add", &[&float, &self.offset]);
        let scale = graph.op(&name("scale"), "Div", &[&sum, &self.side]);
        let [first, step] = [("first", 0), ("step", 1)]
            .map(|(part, value)| graph.integer(&name(&format!("patches.{part}")), value));
        let axis = graph.integers(&name("patches.axis"), &[0]);
        let end = graph.op(&name("patches.end"), "Squeeze", &[count, &axis]);
        let i = graph.op(&name("patches"), "Range", &[&first, &end, &step]);
        let i = graph.cast_f32(&name("patches.float"), &i);
        let half = constant(graph, &name("half"), 0.5);
        let middle = graph.op(&name("middles"), "Add", &[&i, &half]);
        let middle = graph.op(&name("middles.scaled"), "Div", &[&middle, &scale]);
        let center = graph.op(&name("centers"), "Sub", &[&middle, &half]);
        Centers { places: graph.reshape(&name("centers.column"), &center, &[-1, 1]), scale }
    }

    /// Keys' cubic convolution kernel at the distances `t`.
    fn cubic(&self, graph: &mut Graph, at: &str, t: &Value) -> Value {
        let a = self.a;
        let near = polynomial(graph, &format!("{at}.near"), t, [1.0, 0.0, -(a + 3.0), a + 2.0]);
        let far = polynomial(graph, &format!("{at}.far"), t, [-4.0 * a, 8.0 * a, -5.0 * a, a]);
        let mut below = |part: &str, limit| {
            let limit = constant(graph, &format!("{at}.{part}.limit"), limit);
            graph.op(&format!("{at}.{part}"), "Less", &[t, &limit])
        };
        let (is_near, is_far) = (below("is_near", 1.0), below("is_inside", 2.0));
        let zero = constant(graph, &format!("{at}.zero"), 0.0);
        let far = graph.op(&format!("{at}.far_or_outside"), "Where", &[&is_far, &far, &zero]);
        graph.op(&format!("{at}.weights"), "Where", &[&is_near, &near, &far])
    }
}

/// Where the centers of patches lie in the stored grid.
struct Centers {
    /// In cells, `[count, 1]`.
    places: Value,
    /// Patches per cell, `[1]`.
    scale: Value,
}

/// What is added to the number of patches of a side: nothing for squares of the stored size, which take the
/// table as it is. `[1]`.
fn offset(graph: &mut Graph, side: usize, offset: f64, (images, rows): (&Value, &Value)) -> Value {
    let offset = graph.floats("grid.offset.otherwise", &[1], &[offset as f32]);
    let zero = graph.floats("grid.offset.none", &[1], &[0.0]);
    let lengths = graph.op("images.lengths", "Shape", &[images]);
    let height = graph.slice("images.height", &lengths, 0, (2, 3));
    let width = graph.slice("images.width", &lengths, 0, (3, 4));
    let side = graph.integers("grid.stored_rows", &[side as i64]);
    let is_square = graph.op("images.are_square", "Equal", &[&height, &width]);
    let as_many = graph.op("grid.has_stored_rows", "Equal", &[rows, &side]);
    let stored = graph.op("grid.is_stored", "And", &[&is_square, &as_many]);
    graph.op("grid.offset", "Where", &[&stored, &zero, &offset])
}

/// `c₀ + c₁ t + c₂ t² + c₃ t³`, by Horner's rule.
fn polynomial(graph: &mut Graph, at: &str, t: &Value, coefficients: [f64; 4]) -> Value {
    let constants: Vec<Value> = (coefficients.iter().enumerate())
        .map(|(power, c)| constant(graph, &format!("{at}.coefficient_{power}"), *c))
        .collect();
    let mut x = constants[3].clone();
    for power in (0..3).rev() {
        let product = graph.op(&format!("{at}.product_{power}"), "Mul", &[&x, t]);
        x = graph.op(&format!("{at}.sum_{power}"), "Add", &[&product, &constants[power]]);
    }
    x
}

/// A constant of one value, in f32.
fn constant(graph: &mut Graph, name: &str, value: f64) -> Value {
    graph.floats(name, &[], &[value as f32])
}
