//! A [`Preset`] is a recipe inside the program: a file of `configs/`.

use crate::config::{Error, Result};
use crate::nearest::nearest;

/// A recipe with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The name that `--preset` takes.
    pub name: &'static str,
    /// The recipe; the comment at its head has command, hardware, result and source.
    pub toml: &'static str,
}

/// The preset of `pretrain` without arguments.
pub const DEFAULT: &str = "shapes-tiny";

/// Presets for images of any number and size.
const FIT_IMAGES: [&str; 3] = ["photos", "microscopy", "satellite"];

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(Preset {
            name: $name,
            toml: include_str!(concat!("../../../configs/", $name, ".toml")),
        }),*]
    };
}

const PRESETS: &[Preset] = presets![
    "photos",
    "microscopy",
    "satellite",
    "shapes-tiny",
    "cifar10-tiny",
    "shapes-ibot",
    "cifar10-ibot",
    "dino-vit-s16-100ep",
    "dino-vit-s16",
    "dino-vit-b16",
    "dino-vmf-vit-s16",
    "dino-vmf-vit-b16",
    "ibot-vit-s16",
    "ibot-vit-b16",
    "ibot-vmf-vit-b16",
];

impl Preset {
    /// Whether [`own_images`](crate::own_images) adds the keys that depend on the images and the machine.
    pub fn fits_images(&self) -> bool {
        FIT_IMAGES.contains(&self.name)
    }

    /// One line about it: the first line of the file.
    pub fn summary(&self) -> &'static str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }

    /// The comment at the head of the file, without its marks.
    pub fn description(&self) -> String {
        let head = self.toml.lines().take_while(|line| line.starts_with('#'));
        let lines: Vec<_> = head.map(|line| line.trim_start_matches('#').trim_start()).collect();
        lines.join("\n")
    }
}

/// All presets, the small ones first.
pub fn all() -> &'static [Preset] {
    PRESETS
}

/// The preset `name`.
///
/// # Errors
/// [`Error::UnknownPreset`], with the most similar name.
pub fn find(name: &str) -> Result<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| Error::UnknownPreset {
        name: name.to_owned(),
        nearest: nearest(name, PRESETS.iter().map(|preset| preset.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for preset in all() {
            let config = Config::resolve(Some(preset.name), None, &[], &[]).unwrap();
            assert!(config.optim.horizon(1_000_000).is_some());
            assert!(!preset.summary().is_empty());
            assert!(preset.description().contains("Command:"), "{}", preset.name);
        }
    }

    #[test]
    fn every_recipe_file_is_a_preset() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                find(path.file_stem().unwrap().to_str().unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn an_unknown_name_comes_with_the_nearest() {
        let error = find("shape-tiny").unwrap_err();
        assert_eq!(error.to_string(), "there is no preset `shape-tiny`");
        assert_eq!(error.hint().unwrap(), "did you mean `shapes-tiny`?");
    }
}
