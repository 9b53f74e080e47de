//! The operations of RandAugment against Pillow.

use finetune::Operation;
use finetune::Operation::{
    AutoContrast, Brightness, Color, Contrast, Equalize, Invert, Posterize, Rotate, Sharpness,
    ShearX, ShearY, Solarize, SolarizeAdd, TranslateX, TranslateY,
};
use multicrop::Image8;

const FILL: [u8; 3] = [124, 116, 104];
const LEN: usize = 14 * 19 * 3;

/// Whether the operation starts from the image of a narrow range, and the operation, in the order of the script.
const CASES: [(bool, Operation); 21] = [
    (true, AutoContrast),
    (true, Equalize),
    (false, Equalize),
    (false, Invert),
    (false, Rotate(27.5)),
    (false, Rotate(-13.0)),
    (false, Posterize(1)),
    (false, Posterize(3)),
    (false, Solarize(26)),
    (false, SolarizeAdd(99)),
    (false, Color(1.81)),
    (false, Color(0.19)),
    (false, Contrast(1.81)),
    (false, Contrast(0.19)),
    (false, Brightness(1.81)),
    (false, Sharpness(1.81)),
    (false, Sharpness(0.19)),
    (false, ShearX(0.27)),
    (false, ShearY(-0.27)),
    (false, TranslateX(0.405)),
    (false, TranslateY(-0.405)),
];

#[test]
fn operations_have_the_bits_of_pillow() {
    let golden = include_bytes!("rand_augment.bin");
    let images: Vec<&[u8]> = golden.chunks_exact(LEN).collect();
    assert_eq!(images.len(), 2 + CASES.len());
    for ((narrow, operation), expected) in CASES.into_iter().zip(&images[2..]) {
        let mut image = Image8::new(19, 14, images[usize::from(narrow)].to_vec()).unwrap();
        operation.apply(&mut image, FILL);
        let different = image.pixels().iter().zip(*expected).filter(|(a, b)| a != b).count();
        assert_eq!(different, 0, "{operation:?}: {different} of {LEN} values differ");
    }
}
