//! Benches of the normalizer at the size of a DINO head: 65536 prototypes, a bottleneck of 256.
//!
//! Run `cargo bench -p dino-vmf-math`. Throughput is in prototypes per second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vmf::{DebyeTerms, Normalizer};

const PROTOTYPES: usize = 65536;
const BOTTLENECK_DIM: usize = 256;

fn normalizer(criterion: &mut Criterion) {
    // Norms of prototypes from 0.5 to 2, at a student temperature of 0.1.
    let kappas: Vec<f64> =
        (0..PROTOTYPES).map(|i| 5.0 + 15.0 * i as f64 / PROTOTYPES as f64).collect();
    let (mut values, mut slopes) = (vec![0.0; PROTOTYPES], vec![0.0; PROTOTYPES]);
    let mut group = criterion.benchmark_group("normalizer/fill/65536x256");
    group.throughput(Throughput::Elements(PROTOTYPES as u64)).sample_size(20);
    for terms in [DebyeTerms::Zero, DebyeTerms::One, DebyeTerms::Three, DebyeTerms::Exact] {
        let normalizer = Normalizer::new(BOTTLENECK_DIM, terms);
        group.bench_function(format!("{terms:?}").to_lowercase(), |bencher| {
            bencher.iter(|| normalizer.fill(black_box(&kappas), &mut values, &mut slopes));
        });
    }
    group.finish();
}

fn scalar(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalizer/exact");
    for (p, kappa) in [(3, 10.0), (256, 25.0), (256, 300.0), (4096, 1e5)] {
        group.bench_function(format!("p{p}/kappa{kappa}"), |bencher| {
            bencher.iter(|| vmf::log_normalizer_ratio(black_box(p), black_box(kappa)));
        });
    }
    group.finish();
}

criterion_group!(benches, normalizer, scalar);
criterion_main!(benches);
