use half::bf16;

use super::cpu::{blocks_mut, read, unpack};
use super::*;
use crate::testing::{bits, random_tensor};

#[test]
fn bf16_rounds_like_its_library_and_f32_not_at_all() {
    let mut tensor = random_tensor(1, &[67, 33]);
    let special = [f32::NAN, f32::INFINITY, -0.0, f32::MAX, 1e-40, 1.003_906_2, 1.011_718_8];
    let values = tensor.host_mut();
    values[..special.len()].copy_from_slice(&special);
    values[special.len()] = f32::from_bits(0x7f80_0001); // NaN in its last bit alone
    let expected: Vec<f32> = tensor.host().iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    let range = 0..tensor.len();

    let rounded = to(tensor.clone(), Dtype::Bf16);
    assert_eq!((rounded.shape(), rounded.width(), rounded.len()), (&[67, 33][..], 33, 67 * 33));
    assert_eq!(bits(&read(&rounded, range.clone())), bits(&expected));
    assert_eq!(bits(&read(&rounded, 40..77)), bits(&expected[40..77]));
    assert_eq!(bits(to(rounded, Dtype::F32).host()), bits(&expected));

    let same = to(tensor.clone(), Dtype::F32);
    assert_eq!(bits(&read(&same, range)), bits(tensor.host()));
}

#[test]
fn blocks_hold_the_same_values_as_the_whole_tensor() {
    let tensor = random_tensor(2, &[10, 33]);
    for dtype in [Dtype::F32, Dtype::Bf16] {
        let mut by_blocks = Tensor::uninit_of(tensor.shape(), dtype);
        let blocks = blocks_mut(&mut by_blocks, 4 * 33).into_iter();
        blocks.zip(tensor.host().chunks(4 * 33)).for_each(|(block, values)| {
            block.fill(&mut vec![0.0; values.len()], |to| to.copy_from_slice(values));
        });
        let expected = bits(&read(&to(tensor.clone(), dtype), 0..tensor.len()));
        assert_eq!(bits(&read(&by_blocks, 0..tensor.len())), expected);

        let (mut unpacked, packed) = unpack(by_blocks);
        let is_packed = dtype == Dtype::Bf16;
        assert_eq!((unpacked.shape(), packed.is_some()), (tensor.shape(), is_packed));
        if let Some(packed) = packed {
            let (head, tail) = unpacked.host_mut().split_at_mut(77);
            packed.widen(0, head);
            packed.widen(77, tail);
        }
        assert_eq!(bits(unpacked.host()), expected);
    }
}
