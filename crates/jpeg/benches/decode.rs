//! Decodes the file that `DINO_VMF_JPEG` names, or else a tiny one:
//! `DINO_VMF_JPEG=photo.jpg cargo bench -p dino-vmf-jpeg`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jpeg::{Decoder, Scale};

fn decode(c: &mut Criterion) {
    let own = std::env::var_os("DINO_VMF_JPEG").map(std::fs::read);
    let small = include_bytes!("../tests/golden/golden-0.jpg").to_vec();
    let bytes = own.and_then(Result::ok).unwrap_or(small);
    let Ok(decoder) = Decoder::new(&bytes) else { return };
    let pixels = u64::from(decoder.width()) * u64::from(decoder.height());
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(pixels));
    for (name, scale) in [("full", Scale::Full), ("half", Scale::Half), ("eighth", Scale::Eighth)] {
        group.bench_function(name, |b| b.iter(|| decoder.clone().decode(scale)));
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
