//! From embedded patches to tokens: the mask token, \[CLS\], registers, positions.
//!
//! ```text
//! tokens[i, 0]         = cls + p[0]
//! tokens[i, 1 + r]     = register[r]
//! tokens[i, 1 + R + j] = e[i, j] + p[1 + j],  or mask + p[1 + j] where patch j of image i is masked
//!
//! dp[0]     = Σᵢ dtokens[i, 0]            dcls += dp[0]         dregister[r] += Σᵢ dtokens[i, 1 + r]
//! dp[1 + j] = Σᵢ dtokens[i, 1 + R + j]    dmask += Σ over masked patches of dtokens
//! de[i, j]  = dtokens[i, 1 + R + j],  or 0 where the patch is masked
//! ```
//!
//! `e` is `[images · patches, d]`, `p` is `[1 + patches, d]`, and R is the number of registers. The tokens of
//! a group of images are `images · (1 + R + patches)` rows of the token matrix `[rows, d]`. The mask comes
//! before the positions, as in iBOT: a masked token still has its position. Registers have none.
//! Source of registers: Darcet et al., *Vision transformers need registers*, arXiv:2309.16588.

mod cpu;

use crate::params::{Param, Params};
use crate::tensor::Tensor;

/// The learned tokens.
#[derive(Debug, Clone, Copy)]
pub struct Embed {
    /// `cls`, `[d]` in any shape.
    pub cls_token: Param,
    /// The registers, `[R, d]` in any shape; none if there are none.
    pub registers: Option<Param>,
    /// `mask`, `[d]` in any shape, for a network that sees masked images.
    pub mask_token: Option<Param>,
}

/// Where the tokens of a group of images lie in the token matrix, and which of them are masked.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// The first row.
    pub first_row: usize,
    /// Number of images.
    pub images: usize,
    /// Rows of `e` that are masked, ascending.
    pub masked: &'a [usize],
}

/// Writes the tokens of a group.
///
/// # Panics
/// If shapes do not fit, or patches are masked and there is no mask token.
pub fn forward(
    layer: &Embed,
    params: &Params,
    embedded: Tensor,
    positions: &Tensor,
    group: &Group<'_>,
    tokens: &mut Tensor,
) {
    let d = tokens.width();
    let shape = [group.images * (positions.rows() - 1), d];
    assert_eq!((embedded.shape(), positions.width()), (&shape[..], d), "embedded patches");
    layer.check_mask(group);
    let (params, positions) = (params.on_host(), positions.on_host());
    let embedded = embedded.into_host();
    tokens.on_host_mut(|tokens| {
        cpu::forward(layer, &params, embedded, &positions, group, tokens);
    });
}

/// `de` and `dp` of a group; adds to the gradients of the learned tokens. `patches` are those of an image.
pub fn backward(
    layer: &Embed,
    dtokens: &Tensor,
    patches: usize,
    group: &Group<'_>,
    grads: &mut Params,
) -> (Tensor, Tensor) {
    layer.check_mask(group);
    let (host, device) = (dtokens.on_host(), dtokens.device());
    let (de, dp) = grads.on_host_mut(|grads| cpu::backward(layer, &host, patches, group, grads));
    (de.to(&device), dp.to(&device))
}

impl Embed {
    fn check_mask(&self, group: &Group<'_>) {
        let has_token = group.masked.is_empty() || self.mask_token.is_some();
        assert!(has_token, "a network that sees masked images has a mask token");
    }
}

#[cfg(test)]
mod tests;
