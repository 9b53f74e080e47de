//! The reference of all keys as a page of Markdown, which is `docs/configuration.md`.

use std::fmt::Write as _;

use super::keys::{self, Key, Section};

const HEAD: &str = "\
# Configuration

Every key of a configuration: what it does, its default, and how to choose it. This page is made from the
doc comments in `crates/dino/src/config/`; change them there.

Settings are merged in this order; later ones win: the defaults of this page, the preset (`--preset`), a
file (`--config`), each `--set key=value`, the other flags. `dino-vmf presets NAME` prints a preset, which
is a file to start from. `none` turns an optional key off. A run writes all of its settings to
`config.toml` in its folder.

`dino-vmf config` lists the keys, `dino-vmf config optim.lr` prints the text of one with the values that
presets have, and `dino-vmf config --preset NAME` prints a file with all keys. What a value must do is said
for the defaults of the other keys.

## How big is a batch, and what is the learning rate?

One optimizer step takes `optim.batch_size` images. With `optim.accumulate = n` they are computed in n
parts, one after the other, with n times less memory for activations and the same gradient; the batch
stays `optim.batch_size`. `optim.lr` is for 256 images: the highest learning rate of a run is
`optim.lr * optim.batch_size / 256`. So a run with a batch of 1024 and `lr = 5e-4` reaches 2e-3, on any
number of parts.
";

/// The whole page.
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for section in &keys::SECTIONS {
        // Writing to a `String` cannot fail.
        let _ = write_section(&mut text, section);
    }
    text
}

/// What a value of `key` can be, in one sentence without a period.
pub fn allowed(key: &Key) -> String {
    match key.limits() {
        limits if limits.is_empty() => key.kind(),
        limits => format!("{}; must {}", key.kind(), limits.join(" and ")),
    }
}

fn write_section(text: &mut String, section: &Section) -> std::fmt::Result {
    match section.name {
        "" => writeln!(text, "\n## Above all sections\n")?,
        name => writeln!(text, "\n## `[{name}]`\n\n{}\n", section.doc)?,
    }
    writeln!(text, "| key | default | what it does and how to choose it | allowed |")?;
    writeln!(text, "| --- | --- | --- | --- |")?;
    for key in section.keys() {
        let default = key.default_value().unwrap_or_else(|| "none".to_owned());
        let [doc, allowed] = [key.doc, &allowed(&key)].map(|text| text.replace('|', "\\|"));
        writeln!(text, "| `{}` | `{default}` | {doc} | {allowed} |", key.path())?;
    }
    Ok(())
}
