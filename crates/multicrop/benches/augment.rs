//! Augments one image on one core, without decoding: all crops together, and each stage of a crop
//! alone.
//!
//! The images are the photographs in `$DINO_VMF_SHARED/data/photos`, else in
//! `../shared/data/photos` next to the workspace, else one synthetic picture of 500 × 375 pixels.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::{env, fs};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use multicrop::augment::color_jitter::{self, Adjustment, Jitter};
use multicrop::augment::{Scratch, blur, grayscale, normalize, solarize};
use multicrop::decode;
use multicrop::image::{Image8, Rect};
use multicrop::planes::Planes;
use multicrop::recipe::Recipe;
use multicrop::resize::{Resize, Resizer, crop_resize};
use streams::{Key, Purpose};

/// Number of photographs, which iterations use in turn.
const PHOTOGRAPHS: usize = 32;

fn images() -> Vec<Image8> {
    let shared = env::var_os("DINO_VMF_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = shared.unwrap_or(beside).join("data/photos");
    let Ok(files) = fs::read_dir(&folder) else { return vec![synthetic()] };
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    let decode = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a readable photograph");
        decode::decode(&bytes, &decode::Options::default()).expect("a photograph")
    };
    paths.iter().take(PHOTOGRAPHS).map(decode).collect()
}

/// A picture without flat regions.
fn synthetic() -> Image8 {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 26) as u8 + (i / 8000) as u8;
    Image8::new(500, 375, (0..500 * 375 * 3).map(value).collect()).expect("500 x 375 pixels")
}

/// All crops of an image with DINO's recipe: 2 of 224 and 8 of 96 pixels.
fn image(criterion: &mut Criterion) {
    let (images, recipe) = (images(), Recipe::dino(224, 96, 8));
    let mut outs: Vec<Vec<f32>> =
        (0..recipe.crop_count()).map(|crop| vec![0.0; recipe.crop_len(crop)]).collect();
    let mut group = criterion.benchmark_group("image");
    group.throughput(Throughput::Elements(1));
    let mut outs: Vec<&mut [f32]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
    let (mut sample, mut scratch) = (0, Scratch::default());
    group.bench_function("2x224+8x96", |bencher| {
        bencher.iter(|| {
            let image = black_box(&images[sample % images.len()]);
            let key = Key::new(0, Purpose::Bench).index(sample as u64);
            let stream = |crop| key.part(crop as u32).open();
            recipe.augment(image, stream, &mut outs, &mut scratch);
            sample += 1;
        });
    });
    group.finish();
}

/// Resizes a box with the mean area of a global crop to 224 pixels, and one of a local crop to 96.
const BOXES: [(Rect, u32); 2] = [
    (Rect { left: 50, top: 20, width: 400, height: 320 }, 224),
    (Rect { left: 50, top: 20, width: 220, height: 190 }, 96),
];

fn resize(criterion: &mut Criterion) {
    let image = synthetic();
    let (mut resizer, mut crop) = (Resizer::default(), Planes::default());
    let mut group = criterion.benchmark_group("resize");
    group.bench_function("load/500x375", |bencher| {
        bencher.iter(|| resizer.load(black_box(&image), Rect::whole(&image)));
    });
    for (source, size) in BOXES {
        let wanted = Resize::whole(source, (size, size));
        group.bench_function(format!("{}x{}/{size}", source.width, source.height), |bencher| {
            bencher.iter(|| resizer.resize(black_box(&wanted), &mut crop));
        });
    }
    group.finish();
}

/// Each change alone, on a crop of 224 × 224 pixels.
fn changes(criterion: &mut Criterion) {
    let (source, size) = BOXES[0];
    let crop = Planes::from_image(&crop_resize(&synthetic(), source, size, size));
    let still = Jitter {
        order: Adjustment::ALL,
        brightness: 1.2,
        contrast: 0.8,
        saturation: 1.1,
        hue: 0.0,
    };
    let turned = Jitter { hue: 0.07, ..still.clone() };
    let [mut small, mut large] = [blur::Scratch::default(), blur::Scratch::default()];
    type Change = Box<dyn FnMut(&mut Planes)>;
    let cases: [(&str, Change); 6] = [
        ("jitter_without_hue", Box::new(move |crop| color_jitter::apply_to(&still, crop))),
        ("jitter", Box::new(move |crop| color_jitter::apply_to(&turned, crop))),
        ("grayscale", Box::new(grayscale::apply_to)),
        ("blur_1.0", Box::new(move |crop| blur::apply_to(crop, 1.0, &mut small))),
        ("blur_1.9", Box::new(move |crop| blur::apply_to(crop, 1.9, &mut large))),
        ("solarize", Box::new(|crop| solarize::apply_to(crop, solarize::THRESHOLD))),
    ];
    let mut group = criterion.benchmark_group("change_224");
    for (name, mut change) in cases {
        let mut crop = crop.clone();
        group.bench_function(name, |bencher| bencher.iter(|| change(black_box(&mut crop))));
    }
    group.finish();
}

/// Normalizes a crop of 224 × 224 pixels in both precisions.
fn normalized(criterion: &mut Criterion) {
    let (source, size) = BOXES[0];
    let crop = Planes::from_image(&crop_resize(&synthetic(), source, size, size));
    let (mean, std) = (normalize::IMAGENET_MEAN, normalize::IMAGENET_STD);
    let mut single = vec![0.0_f32; crop.values().len()];
    let mut half = vec![bf16::ZERO; crop.values().len()];
    let mut group = criterion.benchmark_group("normalize_224");
    group.bench_function("f32", |bencher| {
        bencher.iter(|| normalize::apply_to(black_box(&crop), &mean, &std, &mut single));
    });
    group.bench_function("bf16", |bencher| {
        bencher.iter(|| normalize::apply_to(black_box(&crop), &mean, &std, &mut half));
    });
    group.finish();
}

criterion_group!(benches, image, resize, changes, normalized);
criterion_main!(benches);
