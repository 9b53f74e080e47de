use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::decode::Options;
use ::image::{RgbImage, imageops};

#[test]
fn an_image_is_a_pure_function_of_split_and_index() {
    let (train, test) = (Shapes::new(Split::Train), Shapes::new(Split::Test));
    assert_eq!((train.len(), test.len(), train.classes().len()), (10_000, 2_000, 10));
    assert_eq!(train.read(17), Shapes::new(Split::Train).read(17));
    assert_ne!(train.read(17), test.read(17));
    assert_ne!(train.read(17), train.read(27));
    assert_eq!((train.label(17), test.label(9)), (Some(7), Some(9)));
}

/// Pixels of the first images, about centered, of length 1: what cosine k-NN compares.
fn features(shapes: &Shapes, count: usize) -> Vec<Vec<f32>> {
    let feature = |index| {
        let image = shapes.load(index, &Options::default()).unwrap().into_8_bits();
        let values: Vec<_> = image.pixels().iter().map(|&x| f32::from(x) / 255.0 - 0.45).collect();
        let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt();
        values.into_iter().map(|x| x / norm).collect()
    };
    (0..count).map(feature).collect()
}

/// Percent of test images whose class has most votes among 20 neighbors, weights exp(cosine / 0.07).
fn knn(train: &[Vec<f32>], test: &[Vec<f32>]) -> f64 {
    let cosine = |a: &[f32], b: &[f32]| {
        let mut sums = [0.0; 16];
        for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        sums.iter().sum::<f32>()
    };
    let right = test.iter().enumerate().filter(|(index, feature)| {
        let mut near: Vec<_> =
            train.iter().enumerate().map(|(i, other)| (cosine(feature, other), i % 10)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut votes = [0.0; 10];
        near[..20].iter().for_each(|&(cosine, class)| votes[class] += (cosine / 0.07).exp());
        (0..10).max_by(|&a, &b| votes[a].total_cmp(&votes[b])) == Some(index % 10)
    });
    100.0 * right.count() as f64 / test.len() as f64
}

#[test]
fn raw_pixels_say_little_about_the_class() {
    let start = Instant::now();
    let (train, test) = (Shapes::new(Split::Train), Shapes::new(Split::Test));
    let (train, test) = (features(&train, 2000), features(&test, 500));
    let per_image = start.elapsed().as_secs_f64() * 1e3 / 2500.0;
    let top1 = knn(&train, &test);
    println!("raw pixels: {top1:.1} % top-1 with k = 20; {per_image:.3} ms per image");
    assert!((9.0..35.0).contains(&top1), "{top1}");
}

/// For a person's eyes: `DINO_VMF_SHEET=folder cargo test contact_sheet -- --ignored` writes
/// `shapes.png` there.
#[test]
#[ignore = "writes a picture into the folder DINO_VMF_SHEET, for a person to look at"]
fn contact_sheet_is_written_where_a_person_asks_for_it() {
    let folder = PathBuf::from(std::env::var_os("DINO_VMF_SHEET").expect("DINO_VMF_SHEET"));
    let shapes = Shapes::new(Split::Train);
    let mut sheet = RgbImage::new(10 * 66, 8 * 66);
    for index in 0..80 {
        let pixels = shapes.load(index, &Options::default()).unwrap().into_8_bits().into_pixels();
        let image = RgbImage::from_raw(SIDE as u32, SIDE as u32, pixels).unwrap();
        let (column, row) = (index as i64 % 10, index as i64 / 10);
        imageops::replace(&mut sheet, &image, column * 66, row * 66);
    }
    sheet.save(folder.join("shapes.png")).unwrap();
}
