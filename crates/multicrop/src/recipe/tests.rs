use proptest::prelude::*;
use streams::{Key, Purpose, Stream};

use super::*;
use crate::image::Image8;

fn stream(sample: u64, crop: usize) -> Stream {
    Key::new(5, Purpose::Augment).time(1).index(sample).part(crop as u32).open()
}

fn ramp(width: u32, height: u32) -> Image8 {
    let color = |i: u32| [i as u8, (i / 3) as u8, (i / 7) as u8];
    Image8::new(width, height, (0..width * height).flat_map(color).collect()).unwrap()
}

/// Crops 0 to 9 of samples 0 to 1999, as drawn for a photograph.
fn drawn(recipe: &Recipe, crop: usize) -> Vec<CropParameters> {
    (0..2000).map(|i| recipe.draw((500, 375), crop, &mut stream(i, crop))).collect()
}

fn rate(drawn: &[CropParameters], happened: impl Fn(&CropParameters) -> bool) -> f64 {
    drawn.iter().filter(|parameters| happened(parameters)).count() as f64 / drawn.len() as f64
}

#[test]
fn the_dino_recipe_is_valid_and_has_its_crops() {
    let recipe = Recipe::dino(224, 96, 8);
    assert_eq!(recipe.validate(), Ok(()));
    assert_eq!(recipe.crop_count(), 10);
    assert_eq!((recipe.crop_len(1), recipe.crop_len(2)), (3 * 224 * 224, 3 * 96 * 96));
}

/// Probability of blur and of solarization for each kind; 4.5 standard deviations are 0.05.
#[test]
fn each_kind_of_crop_changes_as_often_as_the_recipe_says() {
    let recipe = Recipe::dino(224, 96, 8);
    for (crop, blur, solarize) in [(0, 1.0, 0.0), (1, 0.1, 0.2), (2, 0.5, 0.0), (9, 0.5, 0.0)] {
        let drawn = drawn(&recipe, crop);
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 0.05, "crop {crop}: {found}, not {expected}");
        };
        near(rate(&drawn, |p| p.blur.is_some()), blur);
        near(rate(&drawn, |p| p.solarize.is_some()), solarize);
        near(rate(&drawn, |p| p.flip), 0.5);
        near(rate(&drawn, |p| p.jitter.is_some()), 0.8);
        near(rate(&drawn, |p| p.grayscale), 0.2);
    }
}

/// Rounding of the box's sides moves the area by at most a few percent.
#[test]
fn global_and_local_crops_show_their_part_of_the_image() {
    let recipe = Recipe::dino(224, 96, 8);
    for (crop, (low, high)) in [(0, (0.4, 1.0)), (1, (0.4, 1.0)), (5, (0.05, 0.4))] {
        for parameters in drawn(&recipe, crop) {
            let pixels = f64::from(parameters.source.width) * f64::from(parameters.source.height);
            let part = pixels / (500.0 * 375.0);
            assert!((low - 0.01..high + 0.01).contains(&part), "crop {crop}: {part}");
        }
    }
}

#[test]
fn the_same_key_gives_the_same_crop_and_another_key_another() {
    let recipe = Recipe::dino(48, 32, 2);
    let image = ramp(70, 50);
    let make = |sample: u64, crop: usize| {
        let mut out = vec![0.0; recipe.crop_len(crop)];
        recipe.augment_crop(&image, crop, &mut stream(sample, crop), &mut out);
        out
    };
    assert_eq!(make(0, 0), make(0, 0));
    assert_ne!(make(0, 0), make(0, 1));
    assert_ne!(make(0, 0), make(1, 0));
    assert_ne!(make(0, 2), make(0, 3));
}

/// Runs of earlier versions go on with the same crops, and turns can be added to a recipe.
#[test]
fn turns_are_drawn_after_everything_else() {
    let (plain, mut turning) = (Recipe::dino(48, 32, 2), Recipe::dino(48, 32, 2));
    (turning.flip_vertical, turning.rotate90) = (1.0, 1.0);
    let image = ramp(70, 50);
    let draw = |recipe: &Recipe, crop| recipe.draw((70, 50), crop, &mut stream(4, crop));
    for crop in 0..4 {
        let (straight, turned) = (draw(&plain, crop), draw(&turning, crop));
        assert!(turned.flip_vertical && turned.quarter_turns > 0);
        let back = CropParameters { flip_vertical: false, quarter_turns: 0, ..turned.clone() };
        assert_eq!(back, straight);
        if straight.blur.is_none() && straight.jitter.is_none() {
            let mut pixels = straight.apply(&image).into_8_bits().pixels().to_vec();
            let mut other = turned.apply(&image).into_8_bits().pixels().to_vec();
            pixels.sort_unstable();
            other.sort_unstable();
            assert_eq!(pixels, other, "turning moves pixels and changes none");
        }
    }
}

/// Snapshot of this implementation: a change of the order of the draws changes every run.
#[test]
fn draws_never_change_between_versions() {
    let parameters = Recipe::dino(224, 96, 8).draw((500, 375), 1, &mut stream(0, 1));
    assert_eq!(format!("{parameters:?}"), SNAPSHOT);
}

const SNAPSHOT: &str = "CropParameters { size: 224, \
    source: Rect { left: 144, top: 0, width: 266, height: 319 }, flip: true, flip_vertical: false, quarter_turns: 0, \
    jitter: Some(Jitter { order: [Brightness, Hue, Contrast, Saturation], \
    brightness: 1.2189457889965003, contrast: 1.3526225687837523, \
    saturation: 1.0805602643626493, hue: 0.050291049701644525 }), \
    grayscale: false, blur: None, solarize: None }";

#[test]
fn all_changes_can_be_turned_off() {
    let mut recipe = Recipe::dino(4, 4, 0);
    recipe.first_global =
        CropRecipe { scale: (1.0, 1.0), aspect: (1.0, 1.0), blur: 0.0, ..recipe.first_global };
    (recipe.flip, recipe.grayscale, recipe.color_jitter.probability) = (0.0, 0.0, 0.0);
    (recipe.mean, recipe.std) = (vec![0.0; 3], vec![1.0; 3]);
    let image = ramp(4, 4);
    let mut out = vec![0.0; recipe.crop_len(0)];
    recipe.augment_crop(&image, 0, &mut stream(0, 0), &mut out);
    for (i, color) in image.colors().iter().enumerate() {
        assert_eq!([out[i], out[16 + i], out[32 + i]], color.map(|v| f32::from(v) / 255.0));
    }
}

#[test]
fn an_invalid_setting_is_refused_in_one_sentence() {
    let refusal = |change: fn(&mut Recipe)| {
        let mut recipe = Recipe::dino(224, 96, 8);
        change(&mut recipe);
        recipe.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|recipe| recipe.locals.scale = (0.4, 0.05)),
        "`locals.scale` is [0.4, 0.05], but must rise from a number above 0"
    );
    assert_eq!(
        refusal(|recipe| recipe.second_global.size = 96),
        "`second_global.size` is 96, but must be the size of the first global crop"
    );
    assert_eq!(refusal(|recipe| recipe.flip = 1.5), "`flip` is 1.5, but must lie in [0, 1]");
    assert!(refusal(|recipe| recipe.first_global.scale.0 = f64::NAN).contains("scale"));
    assert!(refusal(|recipe| recipe.first_global.aspect.0 = 0.0).contains("aspect"));
    assert!(refusal(|recipe| recipe.locals.size = 0).contains("size"));
    assert!(refusal(|recipe| recipe.first_global.count = 2).contains("count"));
    assert!(refusal(|recipe| recipe.color_jitter.hue = 0.6).contains("hue"));
    assert!(refusal(|recipe| recipe.color_jitter.contrast = -0.1).contains("contrast"));
    assert!(refusal(|recipe| recipe.std[2] = 0.0).contains("std"));
    assert!(refusal(|recipe| recipe.mean = vec![0.5]).contains("as many values as `mean`"));
    assert!(refusal(|recipe| recipe.mean.clear()).contains("`mean` is []"));
}

/// The area is uniform in `scale`, and the logarithm of the aspect in that of `aspect`, if every
/// box fits at the first attempt. That is the case below half of a square image.
#[test]
fn local_crops_of_a_square_image_are_uniform_in_area_and_logarithm_of_the_aspect() {
    let recipe = Recipe::dino(224, 96, 8);
    let boxes = (0..4000).map(|i| recipe.draw((1000, 1000), 2, &mut stream(i, 2)).source);
    let sides = boxes.map(|source| (f64::from(source.width), f64::from(source.height)));
    let (areas, aspects): (Vec<_>, Vec<_>) =
        sides.map(|(width, height)| (width * height / 1e6, (width / height).ln())).unzip();
    let (scale, aspect) = (recipe.locals.scale, recipe.locals.aspect);
    assert!(distance_to_uniform(areas, scale) < 0.03);
    assert!(distance_to_uniform(aspects, (aspect.0.ln(), aspect.1.ln())) < 0.03);
}

/// Kolmogorov–Smirnov; of 4000 numbers, 0.026 is exceeded with probability 1 %.
fn distance_to_uniform(mut values: Vec<f64>, (low, high): (f64, f64)) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = |(i, value): (usize, &f64)| ((value - low) / (high - low) - i as f64 / n).abs();
    values.iter().enumerate().map(distance).fold(0.0, f64::max)
}

#[test]
fn all_crops_at_once_are_the_crops_one_by_one_in_both_precisions() {
    let (recipe, image) = (Recipe::dino(48, 20, 3), ramp(70, 50));
    let mut scratch = Scratch::default();
    for sample in 0..20 {
        let mut single: Vec<_> =
            (0..recipe.crop_count()).map(|crop| vec![f32::NAN; recipe.crop_len(crop)]).collect();
        let mut half: Vec<_> =
            single.iter().map(|crop| vec![half::bf16::NAN; crop.len()]).collect();
        let streams = |crop| stream(sample, crop);
        let mut outs: Vec<_> = single.iter_mut().map(Vec::as_mut_slice).collect();
        recipe.augment(&image, streams, &mut outs, &mut scratch);
        let mut outs: Vec<_> = half.iter_mut().map(Vec::as_mut_slice).collect();
        recipe.augment(&image, streams, &mut outs, &mut scratch);
        for (crop, (single, half)) in single.iter().zip(&half).enumerate() {
            let mut expected = vec![f32::NAN; single.len()];
            recipe.augment_crop(&image, crop, &mut stream(sample, crop), &mut expected);
            assert_eq!(single, &expected);
            assert!(expected.into_iter().map(half::bf16::from_f32).eq(half.iter().copied()));
        }
    }
}

#[test]
fn the_number_of_channels_changes_no_parameter() {
    for channels in 1..=6 {
        let recipe = Recipe::dino(224, 96, 8).with_channels(channels);
        assert_eq!((recipe.validate(), recipe.channels()), (Ok(()), channels));
        assert_eq!(recipe.crop_len(2), channels * 96 * 96);
        let parameters = recipe.draw((500, 375), 1, &mut stream(0, 1));
        assert_eq!(format!("{parameters:?}"), SNAPSHOT);
    }
}

proptest! {
    #[test]
    fn every_image_gives_finite_crops(
        (width, height) in prop_oneof![
            (1_u32..80, 1_u32..80),
            Just((1, 3000)),
            Just((3000, 1)),
            Just((1, 1)),
        ],
        (size, crop) in (1_u32..40, 0_usize..3),
        channels in 1_usize..7,
        sample in any::<u64>(),
    ) {
        let recipe = Recipe::dino(size, size, 1).with_channels(channels);
        let pixels = (0..width as usize * height as usize * channels).map(|i| (i * 37) as u8);
        let image = Image8::with_channels(width, height, channels, pixels.collect()).unwrap();
        let mut out = vec![f32::NAN; recipe.crop_len(crop)];
        recipe.augment_crop(&image, crop, &mut stream(sample, crop), &mut out);
        // black and white after the normalization
        let (low, high) = if channels == 3 { (-2.2, 2.7) } else { (-1.0, 1.000_001) };
        prop_assert!(out.iter().all(|value| (low..high).contains(value)));
    }
}
