//! The memory that one image needs in a network.

use anyhow::Result;
use dino::memory;
use dino::open::Opened;
use engine::ops::patch_embed::Images;

/// Refuses an image for which there is too little memory: attention compares all pairs of its tokens. `advice` says
/// what to try.
///
/// # Errors
/// There is too little memory.
pub(crate) fn require_image(opened: &Opened, images: &Images, advice: &str) -> Result<()> {
    let shape = opened.network.backbone.shape();
    let tokens = shape.tokens(images) as f64;
    let of_token = (8 * shape.embed_dim + 2 * shape.mlp_hidden) as f64;
    let what = format!("an image of {} x {} pixels", images.width, images.height);
    Ok(memory::require_bytes(what, 4.0 * tokens * (tokens + of_token), advice)?)
}
