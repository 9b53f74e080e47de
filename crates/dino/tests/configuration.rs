//! `docs/configuration.md` is made from the doc comments of the keys.
//!
//! After a change of a key: `DINO_VMF_WRITE=1 cargo test -p dino-vmf-dino --test configuration`.

use std::fmt::Write as _;
use std::{env, fs};

use dino::config::keys::{self, Section};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

const HEAD: &str = "\
# Configuration

Every key of a configuration: what it does, its default, and how to choose it. This page is made from the
doc comments in `crates/dino/src/config/`; change them there.

Settings are merged in this order; later ones win: the defaults of this page, the preset (`--preset`), a
file (`--config`), each `--set key=value`, the other flags. `dino-vmf presets NAME` prints a preset, which
is a file to start from. `none` turns an optional key off. A run writes all of its settings to
`config.toml` in its folder.

## How big is a batch, and what is the learning rate?

One optimizer step takes `optim.batch_size` images. With `optim.accumulate = n` they are computed in n
parts, one after the other, with n times less memory for activations and the same gradient; the batch
stays `optim.batch_size`. `optim.lr` is for 256 images: the highest learning rate of a run is
`optim.lr * optim.batch_size / 256`. So a run with a batch of 1024 and `lr = 5e-4` reaches 2e-3, on any
number of parts.
";

/// The whole page.
fn page() -> String {
    let mut text = HEAD.to_owned();
    for section in &keys::SECTIONS {
        write_section(&mut text, section).expect("a `String` takes everything");
    }
    text
}

fn write_section(text: &mut String, section: &Section) -> std::fmt::Result {
    match section.name {
        "" => writeln!(text, "\n## Above all sections\n")?,
        name => writeln!(text, "\n## `[{name}]`\n\n{}\n", section.doc)?,
    }
    writeln!(text, "| key | default | what it does and how to choose it |\n| --- | --- | --- |")?;
    for key in section.keys() {
        let default = key.default_value().unwrap_or_else(|| "none".to_owned());
        let doc = key.doc.replace('|', "\\|");
        writeln!(text, "| `{}` | `{default}` | {doc} |", key.path())?;
    }
    Ok(())
}

#[test]
fn docs_configuration_is_made_from_the_keys() {
    let page = page();
    if env::var_os("DINO_VMF_WRITE").is_some() {
        fs::write(FILE, &page).expect("docs can be written");
    }
    let found = fs::read_to_string(FILE).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).position(|(found, page)| found != page);
    assert!(
        found == page,
        "docs/configuration.md differs from the doc comments of the keys, first in line {}; make it \
         again by `DINO_VMF_WRITE=1 cargo test -p dino-vmf-dino --test configuration`",
        differs.map_or(found.lines().count().min(page.lines().count()), |line| line) + 1
    );
}
