//! The graph of a backbone. It reads like the crate `vit`, whose formulas it has.
//!
//! ```text
//! images ─▶ patch_embed ─▶ + positions ─▶ tokens ─▶ blocks.0 … ─▶ norm ─▶ cls, registers, patches
//! ```
//!
//! Shapes in comments: B images, T tokens of width d, h heads of width e, n patches.

use engine::ops::patch_embed::Images;
use engine::{Params, View};
use vit::{MlpKind, Vit, VitShape};

use crate::error::{Error, Result};
use crate::graph::{Graph, Precision, Value, any, exactly, float, int, ints};
use crate::message::{Graph as Message, Length};
use crate::positions;

/// How a backbone is written.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// What the names of the parameters begin with, such as `backbone.`.
    pub prefix: &'a str,
    /// Of weights and arithmetic.
    pub precision: Precision,
    /// Height and width of all images; `None` for images of any size.
    pub size: Option<(usize, usize)>,
}

/// The graph of a network with these weights.
///
/// # Errors
/// A fixed size without a patch; a weight that is too large for the precision.
pub fn graph(vit: &Vit, params: &Params, export: &Export<'_>) -> Result<Message> {
    let shape = vit.shape();
    let params = &*params.on_host();
    let about = format!(
        "A vision transformer: width {}, {} blocks, {} heads, patches of {p} x {p} pixels",
        shape.embed_dim,
        shape.depth,
        shape.heads,
        p = shape.patch_size
    );
    let graph = Graph::new("backbone", &about, export.precision);
    let mut network = Writer { shape, params, prefix: export.prefix, graph };
    let images = network.images(export.size)?;
    let mut tokens = network.embedding(vit, &images, export.size)?;
    for block in 0..shape.depth {
        tokens = network.block(&format!("blocks.{block}"), &tokens)?;
    }
    let tokens = network.norm("norm", &tokens)?;
    network.outputs(&tokens, export.size);
    Ok(network.graph.finish())
}

/// A graph in the making, and the weights that go into it.
struct Writer<'a> {
    shape: &'a VitShape,
    params: &'a Params,
    prefix: &'a str,
    graph: Graph,
}

impl Writer<'_> {
    /// The input, `[B, channels, height, width]`.
    fn images(&mut self, size: Option<(usize, usize)>) -> Result<Value> {
        let patch = self.shape.patch_size;
        let lengths = match size {
            None => [any("height"), any("width")],
            Some((height, width)) if height.min(width) < patch => {
                return Err(Error::NoPatch { height, width, patch });
            }
            Some((height, width)) => [exactly(height), exactly(width)],
        };
        let [height, width] = lengths;
        let about = format!(
            "Images, normalized as the metadata says. Rows and columns behind the last whole patch of \
             {patch} pixels are ignored."
        );
        let lengths = [any("batch"), exactly(self.shape.channels), height, width];
        Ok(self.graph.input("images", &lengths, &about))
    }

    /// The tokens: \[CLS\], registers, patches, `[B, T, d]`.
    fn embedding(
        &mut self,
        vit: &Vit,
        images: &Value,
        size: Option<(usize, usize)>,
    ) -> Result<Value> {
        let d = self.shape.embed_dim;
        let pixels = self.graph.cast("pixels", images);
        let grid = self.convolution("patch_embed.proj", &pixels)?; // [B, d, rows, columns]
        let flat = self.graph.reshape("patch_embed.flat", &grid, &[0, 0, -1]);
        let patches = self.graph.transpose("patch_embed.tokens", &flat, &[0, 2, 1]); // [B, n, d]
        let table = self.values("pos_embed")?;
        let positions = match size {
            None => positions::any_size(&mut self.graph, self.shape, table, (images, &grid)),
            Some((height, width)) => {
                let channels = self.shape.channels;
                let images = Images { count: 1, channels, height, width };
                let positions = vit.positions(self.params, &images);
                let patches = &positions.on_host().host()[d..].to_vec();
                self.graph.floats("positions", &[1, patches.len() / d, d], patches)
            }
        };
        let positions = self.graph.cast("positions.cast", &positions);
        let patches = self.graph.op("patch_tokens", "Add", &[&patches, &positions]);
        let cls: Vec<f32> =
            self.values("cls_token")?.iter().zip(table).map(|(x, p)| x + p).collect();
        let cls = self.for_each_image("cls_token_at_its_position", &[1, 1, d], &cls, &patches)?;
        let mut parts = vec![cls];
        if self.shape.registers > 0 {
            let (name, values) = ("register_tokens", self.values("register_tokens")?);
            let lengths = [1, self.shape.registers, d];
            parts.push(self.for_each_image(name, &lengths, values, &patches)?);
        }
        parts.push(patches);
        Ok(self.graph.concat("tokens", &parts.iter().collect::<Vec<_>>(), 1))
    }

    /// `tokens ← tokens + γ₁ attn(norm1(tokens))`, then `+ γ₂ mlp(norm2(tokens))`.
    fn block(&mut self, at: &str, tokens: &Value) -> Result<Value> {
        let x = self.norm(&format!("{at}.norm1"), tokens)?;
        let x = self.attention(&format!("{at}.attn"), &x)?;
        let x = self.layer_scale(&format!("{at}.gamma_1"), x)?;
        let tokens = self.graph.op(&format!("{at}.tokens_and_attn"), "Add", &[tokens, &x]);
        let x = self.norm(&format!("{at}.norm2"), &tokens)?;
        let x = self.mlp(&format!("{at}.mlp"), &x)?;
        let x = self.layer_scale(&format!("{at}.gamma_2"), x)?;
        Ok(self.graph.op(&format!("{at}.tokens_and_mlp"), "Add", &[&tokens, &x]))
    }

    /// `proj(softmax(q kᵀ / √e) v)`.
    fn attention(&mut self, at: &str, x: &Value) -> Result<Value> {
        let (d, heads) = (self.shape.embed_dim as i64, self.shape.heads as i64);
        let e = d / heads;
        let name = |part: &str| format!("{at}.{part}");
        let qkv = self.linear(&name("qkv"), x)?; // [B, T, 3 d]
        let parts = self.graph.split(&qkv, 2, ["q", "k", "v"].map(name));
        let [q, k, v] = &parts;
        let mut heads_of = |part: &str, x: &Value, axes: &[i64]| {
            let x = self.graph.reshape(&name(&format!("{part}.by_head")), x, &[0, 0, heads, e]);
            self.graph.transpose(&name(&format!("{part}.heads")), &x, axes)
        };
        let q = heads_of("q", q, &[0, 2, 1, 3]); // [B, h, T, e]
        let k = heads_of("k", k, &[0, 2, 3, 1]); // [B, h, e, T]
        let v = heads_of("v", v, &[0, 2, 1, 3]);
        let scale = self.graph.scalar(&name("scale"), 1.0 / (e as f64).sqrt())?;
        // The queries, not the scores: 16-bit scores could overflow before they are scaled.
        let q = self.graph.op(&name("q.scaled"), "Mul", &[&q, &scale]);
        let scores = self.graph.op(&name("scores"), "MatMul", &[&q, &k]); // [B, h, T, T]
        let weights =
            self.graph.op_with(&name("weights"), "Softmax", &[&scores], vec![int("axis", -1)]);
        let x = self.graph.op(&name("averages"), "MatMul", &[&weights, &v]);
        let x = self.graph.transpose(&name("averages.by_token"), &x, &[0, 2, 1, 3]);
        let x = self.graph.reshape(&name("averages.flat"), &x, &[0, 0, d]);
        self.linear(&name("proj"), &x)
    }

    /// `fc2(gelu(fc1(x)))`, or `w3(silu(a) b)` with `[a | b] = w12(x)`.
    fn mlp(&mut self, at: &str, x: &Value) -> Result<Value> {
        let name = |part: &str| format!("{at}.{part}");
        match self.shape.mlp {
            MlpKind::Gelu => {
                let x = self.linear(&name("fc1"), x)?;
                let x = self.gelu(&name("gelu"), &x)?;
                self.linear(&name("fc2"), &x)
            }
            MlpKind::GeluTanh => {
                let x = self.linear(&name("fc1"), x)?;
                let x = self.gelu_tanh(&name("gelu"), &x)?;
                self.linear(&name("fc2"), &x)
            }
            MlpKind::SwiGlu => {
                let x = self.linear(&name("w12"), x)?;
                let parts = self.graph.split(&x, 2, ["gate", "values"].map(name));
                let [gate, values] = &parts;
                let open = self.graph.op(&name("gate.sigmoid"), "Sigmoid", &[gate]);
                let gate = self.graph.op(&name("gate.silu"), "Mul", &[gate, &open]);
                let x = self.graph.op(&name("gated"), "Mul", &[&gate, values]);
                self.linear(&name("w3"), &x)
            }
        }
    }

    /// `½ x (1 + erf(x / √2))`.
    fn gelu(&mut self, at: &str, x: &Value) -> Result<Value> {
        let scale = self.graph.scalar(&format!("{at}.root_of_half"), 0.5f64.sqrt())?;
        let u = self.graph.op(&format!("{at}.scaled"), "Mul", &[x, &scale]);
        let u = self.graph.op(&format!("{at}.erf"), "Erf", &[&u]);
        self.gelu_of(at, x, &u)
    }

    /// `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    fn gelu_tanh(&mut self, at: &str, x: &Value) -> Result<Value> {
        let coefficient = self.graph.scalar(&format!("{at}.coefficient"), 0.044715)?;
        let scale = (2.0 / std::f64::consts::PI).sqrt();
        let scale = self.graph.scalar(&format!("{at}.root"), scale)?;
        let square = self.graph.op(&format!("{at}.square"), "Mul", &[x, x]);
        let cube = self.graph.op(&format!("{at}.cube"), "Mul", &[&square, x]);
        let cube = self.graph.op(&format!("{at}.cube.scaled"), "Mul", &[&cube, &coefficient]);
        let u = self.graph.op(&format!("{at}.sum"), "Add", &[x, &cube]);
        let u = self.graph.op(&format!("{at}.scaled"), "Mul", &[&u, &scale]);
        let u = self.graph.op(&format!("{at}.tanh"), "Tanh", &[&u]);
        self.gelu_of(at, x, &u)
    }

    /// `½ x (1 + u)`.
    fn gelu_of(&mut self, at: &str, x: &Value, u: &Value) -> Result<Value> {
        let one = self.graph.scalar(&format!("{at}.one"), 1.0)?;
        let half = self.graph.scalar(&format!("{at}.half"), 0.5)?;
        let u = self.graph.op(&format!("{at}.plus_one"), "Add", &[u, &one]);
        let x = self.graph.op(&format!("{at}.product"), "Mul", &[x, &u]);
        Ok(self.graph.op(at, "Mul", &[&x, &half]))
    }

    /// `γ x`, or `x` if the network has no layer scale.
    fn layer_scale(&mut self, name: &str, x: Value) -> Result<Value> {
        if self.shape.layer_scale.is_none() {
            return Ok(x);
        }
        let gamma = self.weight(name)?;
        Ok(self.graph.op(&format!("{name}.scaled"), "Mul", &[&x, &gamma]))
    }

    fn norm(&mut self, at: &str, x: &Value) -> Result<Value> {
        let weight = self.weight(&format!("{at}.weight"))?;
        let bias = self.weight(&format!("{at}.bias"))?;
        let attributes = vec![int("axis", -1), float("epsilon", self.shape.norm_eps as f32)];
        Ok(self.graph.op_with(at, "LayerNormalization", &[x, &weight, &bias], attributes))
    }

    /// `x Wᵀ + b`. The file has `Wᵀ`, `[in, out]`.
    fn linear(&mut self, at: &str, x: &Value) -> Result<Value> {
        let name = format!("{at}.weight");
        let weight = self.view(&name);
        let [rows, columns] = *weight.shape() else { panic!("`{name}` is a matrix") };
        let values = weight.host();
        let transposed: Vec<f32> = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
            .collect();
        let weight = self.graph.weight(&name, &[columns, rows], &transposed)?;
        let bias = self.weight(&format!("{at}.bias"))?;
        let x = self.graph.op(&format!("{at}.product"), "MatMul", &[x, &weight]);
        Ok(self.graph.op(at, "Add", &[&x, &bias]))
    }

    /// The embedding of each patch: its convolution has the patches' stride.
    fn convolution(&mut self, at: &str, x: &Value) -> Result<Value> {
        let weight = self.weight(&format!("{at}.weight"))?;
        let bias = self.weight(&format!("{at}.bias"))?;
        let side = [self.shape.patch_size as i64; 2];
        let attributes = vec![ints("kernel_shape", &side), ints("strides", &side)];
        Ok(self.graph.op_with(at, "Conv", &[x, &weight, &bias], attributes))
    }

    /// Tokens of the network, `[1, tokens, d]`, once for each image of `like`.
    fn for_each_image(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
        like: &Value,
    ) -> Result<Value> {
        let tokens = self.graph.weight(name, shape, values)?;
        let lengths = self.graph.op(&format!("{name}.lengths"), "Shape", &[like]);
        let batch = self.graph.slice(&format!("{name}.batch"), &lengths, 0, (0, 1));
        let rest: Vec<i64> = shape[1..].iter().map(|&n| n as i64).collect();
        let rest = self.graph.integers(&format!("{name}.shape"), &rest);
        let lengths = self.graph.concat(&format!("{name}.all_lengths"), &[&batch, &rest], 0);
        Ok(self.graph.op(&format!("{name}.of_each_image"), "Expand", &[&tokens, &lengths]))
    }

    fn outputs(&mut self, tokens: &Value, size: Option<(usize, usize)>) {
        let (d, registers) = (self.shape.embed_dim, self.shape.registers);
        let (p, first) = (self.shape.patch_size, 1 + registers as i64);
        let row = self.graph.integer("cls.index", 0);
        let x = self.graph.op_with("cls.row", "Gather", &[tokens, &row], vec![int("axis", 1)]);
        let x = self.graph.named("cls", &x);
        let about = "The [CLS] token of each image after the final norm";
        self.graph.output(&x, &[any("batch"), exactly(d)], about);
        let count =
            size.map_or(any("patches"), |(height, width)| exactly(height / p * (width / p)));
        let about = "The patch tokens of each image after the final norm, row by row";
        self.rows_of(tokens, "patches", (first, i64::MAX), count, about);
        if registers > 0 {
            let about = "The registers of each image after the final norm";
            self.rows_of(tokens, "registers", (1, first), exactly(registers), about);
        }
    }

    /// Some tokens as an output.
    fn rows_of(&mut self, x: &Value, name: &str, rows: (i64, i64), count: Length, about: &str) {
        let x = self.graph.slice(&format!("{name}.rows"), x, 1, rows);
        let x = self.graph.named(name, &x);
        self.graph.output(&x, &[any("batch"), count, exactly(self.shape.embed_dim)], about);
    }

    /// A parameter as it is.
    fn weight(&mut self, name: &str) -> Result<Value> {
        let view = self.view(name);
        self.graph.weight(name, view.shape(), view.host())
    }
}

impl<'a> Writer<'a> {
    fn values(&self, name: &str) -> Result<&'a [f32]> {
        Ok(self.view(name).host())
    }

    fn view(&self, name: &str) -> View<'a> {
        let name = format!("{}{name}", self.prefix);
        let entry = self.params.table().find(&name);
        let entry = entry.unwrap_or_else(|| panic!("a backbone has the parameter `{name}`"));
        self.params.view(entry.param)
    }
}
