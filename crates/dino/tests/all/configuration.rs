//! `docs/configuration.md` is made from the doc comments of the keys.
//!
//! After a change of a key: `DINO_VMF_WRITE=1 cargo test --workspace --test all configuration`.

use std::{env, fs};

use dino::config::{keys, reference};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

#[test]
fn docs_configuration_is_made_from_the_keys() {
    let page = reference::page();
    if env::var_os("DINO_VMF_WRITE").is_some() {
        fs::write(FILE, &page).expect("docs can be written");
    }
    let found = fs::read_to_string(FILE).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).position(|(found, page)| found != page);
    assert!(
        found == page,
        "docs/configuration.md differs from the doc comments of the keys, first in line {}; make it \
         again by `DINO_VMF_WRITE=1 cargo test --workspace --test all configuration`",
        differs.map_or(found.lines().count().min(page.lines().count()), |line| line) + 1
    );
}

#[test]
fn every_key_has_a_first_sentence_and_says_what_it_allows() {
    for key in keys::all() {
        let (path, summary) = (key.path(), key.summary());
        assert!(summary.ends_with(['.', '?']) && summary.len() < 320, "{path}: {summary}");
        let allowed = reference::allowed(&key);
        assert!(!allowed.contains("expected") && !allowed.contains("invalid"), "{path}: {allowed}");
    }
    let allowed = |path: &str| reference::allowed(&keys::find(path).expect("a key"));
    assert_eq!(allowed("optim.lr"), "a number; must lie in [1e-12, 1000]");
    assert_eq!(allowed("data.hue"), "a number; must lie in [0, 0.5]");
    assert_eq!(allowed("model.precision"), "`f32` or `bf16`");
}
