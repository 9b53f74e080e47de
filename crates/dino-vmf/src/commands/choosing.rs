//! Chooses the settings of a run, for all commands that use them, and says what was chosen.

use anyhow::Result;
use dino::own_images::{Machine, Settings, Wish};
use serde_json::json;

use crate::console::Console;

/// The settings that `pretrain` has with these arguments. Prints which recipe was chosen and why.
///
/// # Errors
/// The source cannot be opened, or the settings are invalid.
pub(crate) fn settle(wish: &Wish<'_>, console: &mut Console) -> Result<Settings> {
    let settings = wish.settle(&Machine::here())?;
    if let Some(text) = &settings.chosen {
        console.event("recipe", &json!({ "name": settings.name, "text": text }));
        // a line about the images, then those about the checkpoint that the run starts from
        text.lines().for_each(|line| console.note(line));
    }
    Ok(settings)
}
