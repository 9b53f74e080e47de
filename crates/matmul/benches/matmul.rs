//! Benches of matmuls at the shapes of a ViT-S/16 step with a batch of 8 images: 5520 tokens of width 384.
//! Attention over a small crop multiplies matrices of 37 tokens by 64.
//!
//! Run `cargo bench -p dino-vmf-matmul -- --quick`. Throughput is in multiply-adds per second. With
//! `DINO_VMF_SIMD=avx512` or `avx2` the backends of lesser CPUs run.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use matmul::{Mat, MatMut, Precision, Prepared, Product, matmul};
use rand::RngExt;
use streams::{Key, Purpose};

fn random(len: usize) -> Vec<f32> {
    let mut stream = Key::new(0, Purpose::Bench).open();
    (0..len).map(|_| stream.random_range(-1.0f32..1.0)).collect()
}

/// Forward pass, gradient of the input and gradient of the weight of a linear layer, on all threads.
fn linear_layer(c: &mut Criterion) {
    let (rows, input, output) = (5520, 384, 1536);
    let (x, dy, weight) = (random(rows * input), random(rows * output), random(output * input));
    for precision in [Precision::F32, Precision::Bf16] {
        let product = Product::ALL.in_precision(precision);
        let name = format!("linear/{precision:?}/{rows}x{input}x{output}").to_lowercase();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements((rows * input * output) as u64)).sample_size(10);
        let (x, dy) = (Mat::new(&x, rows, input), Mat::new(&dy, rows, output));
        let weight = Mat::new(&weight, output, input);
        let mut y = vec![0.0; rows * output];
        group.bench_function("forward", |bencher| {
            let mut run = |x| matmul(MatMut::new(&mut y, rows, output), x, weight.t(), product);
            bencher.iter(|| run(black_box(x)));
        });
        let mut dx = vec![0.0; rows * input];
        group.bench_function("gradient_of_input", |bencher| {
            let mut run = |dy| matmul(MatMut::new(&mut dx, rows, input), dy, weight, product);
            bencher.iter(|| run(black_box(dy)));
        });
        let mut dweight = vec![0.0; output * input];
        group.bench_function("gradient_of_weight", |bencher| {
            let mut run =
                |dy: Mat<'_>| matmul(MatMut::new(&mut dweight, output, input), dy.t(), x, product);
            bencher.iter(|| run(black_box(dy)));
        });
        group.finish();
    }
}

/// Matmuls of one thread, as inside a parallel loop: scores of attention, and some rows of a linear layer.
fn inside_a_loop(c: &mut Criterion) {
    let (tokens, dim) = (37, 64);
    let mut group = c.benchmark_group("attention_scores/f32/37x64x37");
    group.throughput(Throughput::Elements((tokens * dim * tokens) as u64));
    let (q, k, mut scores) = (random(tokens * dim), random(tokens * dim), random(tokens * tokens));
    let (q, k) = (Mat::new(&q, tokens, dim), Mat::new(&k, tokens, dim));
    group.bench_function("one_thread", |bencher| {
        let mut run = |q| matmul(MatMut::new(&mut scores, tokens, tokens), q, k.t(), Product::ONE);
        bencher.iter(|| run(black_box(q)));
    });
    group.finish();

    let (rows, input, output) = (64, 384, 1536);
    let (x, weight, mut y) = (random(rows * input), random(output * input), random(rows * output));
    for precision in [Precision::F32, Precision::Bf16] {
        let prepared = Prepared::new(Mat::new(&weight, output, input).t(), precision);
        let name = format!("prepared/{precision:?}/{rows}x{input}x{output}").to_lowercase();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements((rows * input * output) as u64));
        let x = Mat::new(&x, rows, input);
        group.bench_function("multiply", |bencher| {
            let mut run = |x| prepared.multiply(MatMut::new(&mut y, rows, output), x, Product::ONE);
            bencher.iter(|| run(black_box(x)));
        });
        group.finish();
    }
}

criterion_group!(benches, linear_layer, inside_a_loop);
criterion_main!(benches);
