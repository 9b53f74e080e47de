//! The memory that one image needs in a network.

use anyhow::Result;
use dino::memory;
use dino::open::Opened;
use engine::ops::patch_embed::Images;

/// Bytes that a pass of one image needs at least: attention compares all pairs of its tokens.
pub(crate) fn of_image(opened: &Opened, images: &Images) -> f64 {
    let shape = opened.network.backbone.shape();
    let tokens = shape.tokens(images) as f64;
    let of_token = (8 * shape.embed_dim + 2 * shape.mlp_hidden) as f64;
    4.0 * tokens * (tokens + of_token)
}

/// Refuses an image for which there is too little memory. `advice` says what to try.
///
/// # Errors
/// There is too little memory.
pub(crate) fn require_image(opened: &Opened, images: &Images, advice: &str) -> Result<()> {
    let what = format!("an image of {} x {} pixels", images.width, images.height);
    Ok(memory::require_bytes(what, of_image(opened, images), advice)?)
}
