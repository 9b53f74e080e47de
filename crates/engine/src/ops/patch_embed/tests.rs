use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition, number by number.
fn definition(pixels: &[f32], images: Images, p: usize) -> Vec<f32> {
    let (gh, gw) = images.grid(p);
    let mut patches = Vec::new();
    for i in 0..images.count {
        for cell in 0..gh * gw {
            let (y, x) = (cell / gw, cell % gw);
            for at in 0..images.channels * p * p {
                let (c, u, v) = (at / (p * p), at / p % p, at % p);
                let row = (i * images.channels + c) * images.height + y * p + u;
                patches.push(pixels[row * images.width + x * p + v]);
            }
        }
    }
    patches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn forward_copies_as_defined_and_backward_is_its_transpose(
        count in 0usize..4, channels in 1usize..4,
        height in 1usize..14, width in 1usize..14, p in 1usize..5,
    ) {
        let images = Images { count, channels, height, width };
        let pixels = randoms(1, images.count * images.values());
        let patches = forward(&pixels, images, p);
        assert_eq!(patches.host()[..], definition(&pixels, images, p));

        let dpatches = random_tensor(2, patches.shape());
        let dpixels = backward(&dpatches, images, p);
        let left = inner(&doubles(patches.host()), &doubles(dpatches.host()));
        let right = inner(&doubles(&pixels), &doubles(dpixels.host()));
        // Copies of the same products, added in another order in f64.
        assert!((left - right).abs() < 1e-10, "{left} and {right}");
    }
}

#[test]
fn threads_give_equal_bits() {
    let images = Images { count: 9, channels: 3, height: 17, width: 20 };
    let pixels = randoms(3, 9 * 3 * 17 * 20);
    assert_threads_agree(|| {
        let patches = forward(&pixels, images, 4);
        [patches.host(), backward(&patches, images, 4).host()].concat()
    });
}

#[test]
#[should_panic(expected = "pixels of Images")]
fn pixels_of_another_size_are_refused() {
    forward(&[0.0; 11], Images { count: 1, channels: 3, height: 2, width: 2 }, 2);
}

#[test]
#[should_panic(expected = "gradient of patches")]
fn a_gradient_of_another_shape_is_refused() {
    let images = Images { count: 1, channels: 3, height: 4, width: 4 };
    backward(&Tensor::zeros(&[4, 11]), images, 2);
}
