//! Crops for each second, of a photograph of 500 × 375 pixels, on one core.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use multicrop::augment::CropParameters;
use multicrop::augment::color_jitter::ColorJitter;
use multicrop::image::{Image8, Rect};
use multicrop::recipe::Recipe;
use multicrop::resize::crop_resize;
use streams::{Key, Purpose};

/// A picture without flat regions.
fn photograph() -> Image8 {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 26) as u8 + (i / 8000) as u8;
    Image8::new(500, 375, (0..500 * 375 * 3).map(value).collect()).expect("500 x 375 pixels")
}

/// The whole photograph to the sizes of global and local crops.
fn resize(criterion: &mut Criterion) {
    let image = photograph();
    let mut group = criterion.benchmark_group("resize");
    for size in [224, 96] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("375x500/{size}"), |bencher| {
            bencher.iter(|| crop_resize(black_box(&image), Rect::whole(&image), size, size));
        });
    }
    group.finish();
}

/// One crop after the other as they are drawn, normalized; a new draw in each iteration.
fn crop(criterion: &mut Criterion) {
    let (image, recipe) = (photograph(), Recipe::dino(224, 96, 8));
    let mut group = criterion.benchmark_group("augment_crop");
    for (name, crop) in [("global_0", 0), ("global_1", 1), ("local", 2)] {
        let mut out = vec![0.0; recipe.crop_len(crop)];
        let mut sample = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let key = Key::new(0, Purpose::Bench).index(sample).crop(crop as u32);
                recipe.augment_crop(black_box(&image), crop, &mut key.open(), &mut out);
                sample += 1;
            });
        });
    }
    group.finish();
}

/// Every change alone, on a crop of 224 × 224 pixels.
fn changes(criterion: &mut Criterion) {
    let image =
        crop_resize(&photograph(), Rect { left: 0, top: 0, width: 224, height: 224 }, 224, 224);
    let still = CropParameters {
        size: 224,
        source: Rect::whole(&image),
        flip: false,
        jitter: None,
        grayscale: false,
        blur: None,
        solarize: false,
    };
    let always = ColorJitter { probability: 1.0, ..Recipe::dino(224, 96, 8).color_jitter };
    let jitter = always.sample(&mut Key::new(0, Purpose::Bench).open());
    let cases = [
        ("flip", CropParameters { flip: true, ..still.clone() }),
        ("jitter", CropParameters { jitter, ..still.clone() }),
        ("blur", CropParameters { blur: Some(1.0), ..still.clone() }),
    ];
    let mut group = criterion.benchmark_group("change");
    for (name, parameters) in cases {
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{name}/224"), |bencher| {
            bencher.iter(|| parameters.apply(black_box(&image)));
        });
    }
    group.finish();
}

criterion_group!(benches, resize, crop, changes);
criterion_main!(benches);
