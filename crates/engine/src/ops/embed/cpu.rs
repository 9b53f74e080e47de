//! Tokens on the CPU, image by image.

use super::{Embed, Group};
use crate::params::Params;
use crate::rows::{add, add_column_sums, add_rows};
use crate::tensor::Tensor;

pub(super) fn forward(
    layer: &Embed,
    params: &Params,
    mut embedded: Tensor,
    positions: &Tensor,
    group: &Group<'_>,
    tokens: &mut Tensor,
) {
    let (d, positions) = (tokens.width(), positions.host());
    let embedded = embedded.host_mut();
    if let Some(mask_token) = layer.mask_token {
        let mask_token = params.view(mask_token).host();
        for &row in group.masked {
            embedded[row * d..][..d].copy_from_slice(mask_token);
        }
    }
    let cls_token = params.view(layer.cls_token).host();
    let registers = layer.registers.map_or(&[][..], |registers| params.view(registers).host());
    let (patches, width) = (positions.len() - d, positions.len() + registers.len());
    let tokens = &mut tokens.host_mut()[group.first_row * d..][..group.images * width];
    for (i, tokens) in tokens.chunks_exact_mut(width).enumerate() {
        let (cls, others) = tokens.split_at_mut(d);
        let (register_rows, patch_rows) = others.split_at_mut(registers.len());
        cls.copy_from_slice(cls_token);
        add(cls, &positions[..d]);
        register_rows.copy_from_slice(registers);
        patch_rows.copy_from_slice(&embedded[i * patches..][..patches]);
        add(patch_rows, &positions[d..]);
    }
}

pub(super) fn backward(
    layer: &Embed,
    dtokens: &Tensor,
    patches: usize,
    group: &Group<'_>,
    grads: &mut Params,
) -> (Tensor, Tensor) {
    let d = dtokens.width();
    let registers = layer.registers.map_or(0, |registers| registers.range().len());
    let first_patch = d + registers;
    let width = first_patch + patches * d;
    let dtokens = &dtokens.host()[group.first_row * d..][..group.images * width];
    let mut sums = vec![0.0; width];
    add_column_sums(&mut sums, group.images, |range, sums| {
        add_rows(sums, &dtokens[range.start * width..range.end * width]);
    });
    add(grads.view_mut(layer.cls_token).host_mut(), &sums[..d]);
    if let Some(registers) = layer.registers {
        add(grads.view_mut(registers).host_mut(), &sums[d..first_patch]);
    }
    sums.drain(d..first_patch);
    let dpositions = Tensor::from_slice(&[1 + patches, d], &sums);
    let mut dembedded = Tensor::uninit(&[group.images * patches, d]);
    let rows = dembedded.host_mut();
    for (rows, tokens) in rows.chunks_exact_mut(patches * d).zip(dtokens.chunks_exact(width)) {
        rows.copy_from_slice(&tokens[first_patch..]);
    }
    if let Some(mask_token) = layer.mask_token {
        let mut dmask = grads.view_mut(mask_token);
        for &row in group.masked {
            let row = &mut rows[row * d..][..d];
            add(dmask.host_mut(), row);
            row.fill(0.0);
        }
    }
    (dembedded, dpositions)
}
