use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition: tokens of all images, from `[cls, registers, mask, e, p]`.
fn definition(group: &Group<'_>, d: usize, values: [&[f64]; 5]) -> Vec<f64> {
    let [cls, registers, mask, e, p] = values;
    let patches = p.len() / d - 1;
    let mut tokens = Vec::new();
    for image in 0..group.images {
        tokens.extend((0..d).map(|j| cls[j] + p[j]));
        tokens.extend(registers);
        for patch in 0..patches {
            let row = image * patches + patch;
            for j in 0..d {
                let value = if group.masked.contains(&row) { mask[j] } else { e[row * d + j] };
                tokens.push(value + p[(1 + patch) * d + j]);
            }
        }
    }
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One sum of values below 1; gradients sum at most five of them.
    #[test]
    fn forward_and_backward_are_the_definition(
        images in 0usize..5, patches in 1usize..6, d in 1usize..5, first_row in 0usize..3,
        registers in 0usize..3,
        mask in prop::collection::vec(any::<bool>(), 30),
    ) {
        let masked: Vec<usize> = (0..images * patches).filter(|&row| mask[row]).collect();
        let group = Group { first_row, images, masked: &masked };
        let (params, mut grads, ids) = random_params(1, &[&[1, 1, d], &[1, d], &[1, registers, d]]);
        let registered = (registers > 0).then_some(ids[2]);
        let layer = Embed { cls_token: ids[0], registers: registered, mask_token: Some(ids[1]) };
        let e = random_tensor(2, &[images * patches, d]);
        let p = random_tensor(3, &[1 + patches, d]);
        let rows = images * (1 + registers + patches);
        let mut tokens = random_tensor(4, &[first_row + rows + 1, d]);
        let before = tokens.clone();
        forward(&layer, &params, e.clone(), &p, &group, &mut tokens);

        let cls = doubles(params.view(ids[0]).host());
        let mask = doubles(params.view(ids[1]).host());
        let registers = doubles(params.view(ids[2]).host());
        let (e, p) = (doubles(e.host()), doubles(p.host()));
        let written = first_row * d..(first_row + rows) * d;
        let expected = definition(&group, d, [&cls, &registers, &mask, &e, &p]);
        assert_close(&tokens.host()[written.clone()], &expected, 2e-7, 0.0);
        for outside in [0..written.start, written.end..before.len()] {
            assert_eq!(tokens.host()[outside.clone()], before.host()[outside]);
        }

        let dtokens = random_tensor(5, before.shape());
        let upstream = doubles(&dtokens.host()[written]);
        let loss = |values: [&[f64]; 5]| inner(&definition(&group, d, values), &upstream);
        let (de, dp) = backward(&layer, &dtokens, patches, &group, &mut grads);
        let slope_e = gradient(&e, |e| loss([&cls, &registers, &mask, e, &p]));
        assert_close(de.host(), &slope_e, 1e-6, 1e-6);
        assert_close(dp.host(), &gradient(&p, |p| loss([&cls, &registers, &mask, &e, p])), 1e-6, 1e-6);
        let dcls = gradient(&cls, |cls| loss([cls, &registers, &mask, &e, &p]));
        assert_close(grads.view(ids[0]).host(), &dcls, 1e-6, 1e-6);
        let dmask = gradient(&mask, |mask| loss([&cls, &registers, mask, &e, &p]));
        assert_close(grads.view(ids[1]).host(), &dmask, 5e-6, 1e-6);
        let dregisters = gradient(&registers, |registers| loss([&cls, registers, &mask, &e, &p]));
        assert_close(grads.view(ids[2]).host(), &dregisters, 1e-6, 1e-6);
    }
}

#[test]
#[should_panic(expected = "has a mask token")]
fn masked_images_need_a_mask_token() {
    let (params, _, ids) = random_params(1, &[&[1, 1, 2]]);
    let layer = Embed { cls_token: ids[0], registers: None, mask_token: None };
    let group = Group { first_row: 0, images: 1, masked: &[0] };
    let (e, p) = (random_tensor(2, &[1, 2]), random_tensor(3, &[2, 2]));
    forward(&layer, &params, e, &p, &group, &mut Tensor::zeros(&[2, 2]));
}
