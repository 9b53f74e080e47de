//! The operations at the shapes of a ViT-S/16 step with a batch of 8 images: 16 global crops of 197
//! tokens and 64 local crops of 37 make 5520 rows; 80 student's and 16 teacher's bottleneck vectors
//! meet 65,536 prototypes. `cargo bench -p dino-vmf-engine -- --quick`

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::matmul::Precision;
use engine::ops::attention::Attention;
use engine::ops::gelu::Form;
use engine::ops::layer_norm::LayerNorm;
use engine::ops::linear::Linear;
use engine::ops::mixture_cross_entropy::{Gradients, Inputs, Pairs, Prototypes, Statistic};
use engine::ops::mlp::{self, Mlp};
use engine::ops::normed_linear::NormedLinear;
use engine::ops::positions::{Resample, Resampling};
use engine::ops::{
    adamw, attention, ema, gelu, grad_norm, l2_normalize, layer_norm, linear,
    mixture_cross_entropy, patch_embed, positions, residual, swiglu, tokens,
};
use engine::{Dtype, Layout, ParamTable, Params, Role, Tensor};
use rand::RngExt;
use streams::{Key, Purpose};

const ROWS: usize = 5520;
const D: usize = 384;
const HEADS: usize = 6;

fn sequences() -> Layout {
    Layout::packed(&[(16, 197), (64, 37)])
}

fn random(shape: &[usize]) -> Tensor {
    let mut stream = Key::new(0, Purpose::Bench).open();
    let mut tensor = Tensor::uninit(shape);
    tensor.host_mut().iter_mut().for_each(|x| *x = stream.random_range(-1.0f32..1.0));
    tensor
}

/// Throughput in values of this kind for all benches that follow in the group.
fn group<'a>(
    c: &'a mut Criterion,
    name: &str,
    values: usize,
) -> criterion::BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).throughput(Throughput::Elements(values as u64));
    group
}

/// Throughput in multiply-adds.
fn linears(c: &mut Criterion) {
    for (input, output) in [(D, 3 * D), (D, 4 * D), (4 * D, D)] {
        let mut table = ParamTable::default();
        let weight = table.add("weight", &[output, input], Role::Weight);
        let bias = table.add("bias", &[output], Role::Bias);
        let precision = engine::matmul::Precision::F32;
        let layer = Linear { weight, bias, input, output, precision };
        let (params, mut grads) = parameters(table);
        let (x, dy) = (random(&[ROWS, input]), random(&[ROWS, output]));
        let shape = format!("{ROWS}x{input}x{output}");
        let mut group = group(c, "linear", ROWS * input * output);
        group.bench_function(format!("forward/{shape}"), |b| {
            b.iter(|| linear::infer(&layer, &params, black_box(&x)));
        });
        group.bench_function(format!("backward_input/{shape}"), |b| {
            b.iter(|| linear::backward_input(&layer, &params, black_box(&dy)));
        });
        group.bench_function(format!("backward_params/{shape}"), |b| {
            b.iter(|| linear::backward_params(&layer, black_box(&x), &dy, &mut grads));
        });
    }
}

/// An MLP with its norm, at the width of ViT-S and of ViT-Ti. Throughput in multiply-adds of one product.
fn mlps(c: &mut Criterion) {
    for (rows, d) in [(ROWS, D), (14_848, 192)] {
        let mut table = ParamTable::default();
        let mut linear = |input, output| Linear {
            weight: table.add("weight", &[output, input], Role::Weight),
            bias: table.add("bias", &[output], Role::Bias),
            input,
            output,
            precision: Precision::F32,
        };
        let (first, second) = (linear(d, 4 * d), linear(4 * d, d));
        let (weight, bias) =
            (table.add("norm.weight", &[d], Role::Norm), table.add("norm.bias", &[d], Role::Bias));
        let norm = LayerNorm { weight, bias, eps: 1e-6 };
        let mlp = Mlp { first: NormedLinear { norm, linear: first }, gelu: Form::Exact, second };
        let (params, mut grads) = parameters(table);
        let (x, dy) = (random(&[rows, d]), random(&[rows, d]));
        let mut group = group(c, "mlp", rows * d * 4 * d);
        group.bench_function(format!("infer/{rows}x{d}"), |b| {
            b.iter(|| mlp::infer(&mlp, &params, black_box(&x)));
        });
        group.bench_function(format!("backward/{rows}x{d}"), |b| {
            let inputs = || mlp::forward(&mlp, &params, x.clone(), true).1;
            let work = |saved| mlp::backward(&mlp, &params, saved, &dy, &mut grads);
            b.iter_batched(inputs, work, BatchSize::LargeInput);
        });
    }
}

/// Random weights and zero gradients.
fn parameters(table: ParamTable) -> (Params, Params) {
    let table = Arc::new(table);
    let mut params = Params::zeros(table.clone());
    let len = table.len();
    params.whole_mut().host_mut().copy_from_slice(random(&[len]).host());
    (params, Params::zeros(table))
}

fn row_operations(c: &mut Criterion) {
    let hidden = random(&[ROWS, 4 * D]);
    let mut gelus = group(c, "gelu", hidden.len());
    gelus.bench_function("forward/5520x1536", |b| {
        b.iter(|| gelu::infer(black_box(&hidden), Form::Exact));
    });
    gelus.bench_function("recompute_and_backward/5520x1536", |b| {
        let inputs = || {
            let (_, saved) = gelu::forward(hidden.clone(), Form::Exact, Dtype::F32);
            (saved, hidden.clone())
        };
        let work = |(saved, mut dy)| (gelu::recompute_and_backward(saved, &mut dy), dy);
        b.iter_batched(inputs, work, BatchSize::LargeInput);
    });
    gelus.finish();

    let mut swiglus = group(c, "swiglu", hidden.len());
    swiglus.bench_function("forward/5520x1536", |b| b.iter(|| swiglu::infer(black_box(&hidden))));
    swiglus.bench_function("recompute_and_backward/5520x1536", |b| {
        let inputs = || swiglu::forward(hidden.clone(), Dtype::F32);
        let work = |(dy, saved)| swiglu::recompute_and_backward(saved, &dy);
        b.iter_batched(inputs, work, BatchSize::LargeInput);
    });
    swiglus.finish();

    let y = random(&[80, 256]);
    let mut normalize = group(c, "l2_normalize", y.len());
    normalize.bench_function("forward/80x256", |b| {
        b.iter_batched(|| y.clone(), l2_normalize::forward, BatchSize::SmallInput);
    });
}

fn layer_norms(c: &mut Criterion) {
    let mut table = ParamTable::default();
    let (weight, bias) =
        (table.add("weight", &[D], Role::Norm), table.add("bias", &[D], Role::Bias));
    let layer = LayerNorm { weight, bias, eps: 1e-6 };
    let (params, mut grads) = parameters(table);
    let (x, dy) = (random(&[ROWS, D]), random(&[ROWS, D]));
    let mut group = group(c, "layer_norm", x.len());
    group.bench_function("forward/5520x384", |b| {
        b.iter(|| layer_norm::forward(&layer, &params, black_box(&x)));
    });
    group.bench_function("backward/5520x384", |b| {
        let setup = || (layer_norm::forward(&layer, &params, &x).1, dy.clone());
        let run = |(saved, dy)| layer_norm::backward(&layer, &params, &x, saved, dy, &mut grads);
        b.iter_batched(setup, run, BatchSize::LargeInput);
    });
}

/// Throughput in values of the output.
/// The crops of ViT-S/16, of ViT-Ti/4 with 32 and 16 pixels, and a sequence that is long enough for bf16.
fn attentions(c: &mut Criterion) {
    for (name, shape, heads, precision) in [
        ("16x197+64x37,384/6/f32", &[(16, 197), (64, 37)][..], HEADS, Precision::F32),
        ("128x65+384x17,192/3/f32", &[(128, 65), (384, 17)], 3, Precision::F32),
        ("4x785,384/6/f32", &[(4, 785)], HEADS, Precision::F32),
        ("4x785,384/6/bf16", &[(4, 785)], HEADS, Precision::Bf16),
    ] {
        let (sequences, d) = (Layout::packed(shape), 64 * heads);
        let form = Attention { heads, precision };
        let rows = sequences.rows();
        let (qkv, dout) = (random(&[rows, 3 * d]), random(&[rows, d]));
        let mut group = group(c, "attention", rows * d);
        group.bench_function(format!("forward/{name}"), |b| {
            b.iter(|| attention::infer(black_box(&qkv), &sequences, &sequences, form));
        });
        group.bench_function(format!("backward/{name}"), |b| {
            let setup = || attention::forward(qkv.clone(), &sequences, &sequences, form).1;
            b.iter_batched(setup, |saved| attention::backward(saved, &dout), BatchSize::LargeInput);
        });
    }
}

fn copies(c: &mut Criterion) {
    let kept = sequences().filter(|i| i % 10 != 0);
    let mut x = random(&[ROWS, D]);
    let mut table = ParamTable::default();
    let gamma = table.add("gamma", &[D], Role::LayerScale);
    let (params, _) = parameters(table);
    let scale = |drop_path| residual::Scale { drop_path, gamma: Some(gamma) };
    let y = tokens::gather(&x, &kept);
    let mut branch = group(c, "residual", y.len());
    branch.bench_function("forward/4800x384", |b| {
        b.iter(|| residual::add(&params, black_box(&mut x), &kept, &y, scale(1e-6)));
    });
    branch.bench_function("backward/4800x384", |b| {
        b.iter(|| residual::backward(&params, black_box(&x), &kept, scale(1.1)));
    });
    branch.finish();
    let mut rows = group(c, "tokens", y.len());
    rows.bench_function("gather/4800x384", |b| b.iter(|| tokens::gather(black_box(&x), &kept)));
    rows.finish();
    let images = patch_embed::Images { count: 16, channels: 3, height: 224, width: 224 };
    let pixels = random(&[16, 3, 224, 224]);
    let mut patches = group(c, "patch_embed", pixels.len());
    patches.bench_function("forward/16x3x224x224", |b| {
        b.iter(|| patch_embed::forward(black_box(pixels.host()), images, 16));
    });
}

/// The positions of a local crop's grid, from those of a global one.
fn resampling(c: &mut Criterion) {
    let mut table = ParamTable::default();
    let positions = table.add("pos_embed", &[1, 1 + 14 * 14, D], Role::Positions);
    let (params, mut grads) = parameters(table);
    let resample = Resample::new(14, (6, 6), Resampling::DINO);
    let mut group = group(c, "positions", 6 * 6 * D);
    group.bench_function("forward/14-6x384", |b| {
        b.iter(|| positions::forward(black_box(&params), positions, Some(&resample)));
    });
    let dout = random(&[1 + 6 * 6, D]);
    group.bench_function("backward/14-6x384", |b| {
        b.iter(|| positions::backward(black_box(&dout), positions, Some(&resample), &mut grads));
    });
}

/// Throughput in values of the matrix of scores that is never held, `[80 + 16, 65536]`.
fn objective(c: &mut Criterion) {
    const K: usize = 65_536;
    let (student_y, teacher_y) = (random(&[80, 256]), random(&[16, 256]));
    let mut table = ParamTable::default();
    let g = table.add("g", &[K], Role::PrototypeNorm);
    let v = table.add("v", &[K, 256], Role::Prototype);
    let (params, mut grads) = parameters(table);
    let bias = Tensor::zeros(&[K]);
    let prototypes = |temperature| Prototypes {
        g: params.view(g),
        v: params.view(v),
        bias: bias.host(),
        temperature,
    };
    let inputs = Inputs {
        student_y: &student_y,
        student: prototypes(0.1),
        teacher_y: &teacher_y,
        teacher: prototypes(0.04),
        center: &bias,
        pairs: Pairs::Views { teacher_crops: 2, student_crops: 10 },
    };
    let mut statistic = Tensor::zeros(&[K]);
    let mut group = group(c, "mixture_cross_entropy", 96 * K);
    group.bench_function("forward/80+16x65536x256", |b| {
        b.iter(|| mixture_cross_entropy::forward(black_box(&inputs)));
    });
    group.bench_function("backward/80+16x65536x256", |b| {
        let run = |saved| {
            let gradients = Gradients {
                grads: &mut grads,
                g: Some(g),
                v,
                bias_slope: bias.host(),
                kind: Statistic::LogSumOfProbs,
                statistic: &mut statistic,
            };
            mixture_cross_entropy::backward(saved, &inputs, 1.0, gradients)
        };
        let setup = || mixture_cross_entropy::forward(&inputs).1;
        b.iter_batched(setup, run, BatchSize::PerIteration);
    });
}

/// A buffer of the size of ViT-S, as one parameter.
fn updates(c: &mut Criterion) {
    const N: usize = 21_670_000;
    let mut table = ParamTable::default();
    let param = table.add("w", &[N], Role::Weight);
    let (mut weights, mut first) = parameters(table);
    let (grads, mut second) = (weights.clone(), first.clone());
    let settings = adamw::AdamW { lr: 1e-4, betas: (0.9, 0.999), eps: 1e-8 };
    let segment = adamw::Segment { param, decay: 0.04, gradient_scale: 0.999_9, step: 10 };
    let mut group = group(c, "updates", N);
    group.bench_function("adamw/21.67M", |b| {
        b.iter(|| {
            let moments = adamw::Moments { first: &mut first, second: &mut second };
            adamw::update(&settings, &[segment], &mut weights, &grads, moments);
        });
    });
    group.bench_function("ema/21.67M", |b| b.iter(|| ema::update(&mut weights, &grads, 0.996)));
    group.bench_function("grad_norm/21.67M", |b| b.iter(|| grad_norm::norms(black_box(&grads))));
}

criterion_group!(
    benches,
    linears,
    mlps,
    row_operations,
    layer_norms,
    attentions,
    copies,
    resampling,
    objective,
    updates
);
criterion_main!(benches);
