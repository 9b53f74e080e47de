use streams::{Key, Purpose};

use super::*;

/// Printed by the functions in `LEVEL_TO_ARG` of timm 1.0.31 at levels 9 and 3.7, with a positive sign.
#[test]
fn levels_have_the_arguments_of_timm() {
    let at = |level: f64| -> Vec<Operation> {
        (3..Operation::COUNT).map(|kind| Operation::of(kind, level, 1.0)).collect()
    };
    let expected = |turn, bits, threshold, added, factor, shear, shift| {
        vec![
            Operation::Rotate(turn),
            Operation::Posterize(bits),
            Operation::Solarize(threshold),
            Operation::SolarizeAdd(added),
            Operation::Color(factor),
            Operation::Contrast(factor),
            Operation::Brightness(factor),
            Operation::Sharpness(factor),
            Operation::ShearX(shear),
            Operation::ShearY(shear),
            Operation::TranslateX(shift),
            Operation::TranslateY(shift),
        ]
    };
    let rounded = |operation: &Operation| format!("{operation:.4?}");
    let texts = |operations: Vec<Operation>| operations.iter().map(rounded).collect::<Vec<_>>();
    assert_eq!(texts(at(9.0)), texts(expected(27.0, 1, 26, 99, 1.81, 0.27, 0.405)));
    assert_eq!(texts(at(3.7)), texts(expected(11.1, 3, 162, 40, 1.333, 0.111, 0.1665)));
    assert_eq!(Operation::of(7, 10.0, -1.0), Operation::Color(0.1));
}

#[test]
fn operations_are_drawn_alike_and_half_of_them_are_left_out() {
    let augment = RandAugment::new(9.0, &[0.485, 0.456, 0.406]);
    assert_eq!(augment.fill, [124, 116, 104]);
    let draws =
        (0..6000).flat_map(|i| augment.draw(&mut Key::new(3, Purpose::Augment).index(i).open()));
    let (mut counts, mut turns) = (std::collections::BTreeMap::new(), Vec::new());
    for operation in draws.flatten() {
        let name = format!("{operation:?}");
        let name = name.split('(').next().expect("a name").to_owned();
        *counts.entry(name).or_insert(0usize) += 1;
        if let Operation::Rotate(degrees) = operation {
            turns.push(degrees);
        }
    }
    assert_eq!(counts.len(), Operation::COUNT);
    // four standard deviations of 12000 draws with probability 1/30
    assert!(counts.values().all(|count| count.abs_diff(400) < 80), "{counts:?}");
    let mean = turns.iter().map(|turn| turn.abs()).sum::<f64>() / turns.len() as f64;
    assert!((mean - 27.0).abs() < 0.4, "{mean}");
    let left = turns.iter().filter(|turn| **turn > 0.0).count();
    assert!((0.4..0.6).contains(&(left as f64 / turns.len() as f64)), "{left} of {}", turns.len());
}

#[test]
fn an_image_without_colors_stays() {
    let augment = RandAugment::new(9.0, &[0.5]);
    let image = Image8::filled(5, 4, &[9]);
    for i in 0..50 {
        let mut changed = image.clone();
        augment.augment(&mut changed, &mut Key::new(0, Purpose::Augment).index(i).open());
        assert_eq!(changed, image);
    }
}
