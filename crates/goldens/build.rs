//! Finds the folder of golden fixtures and lists the fixtures in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DINO_VMF_GOLDEN");
    println!("cargo::rerun-if-env-changed=DINO_VMF_SHARED");
    let folder = folder();
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rustc-env=GOLDENS_FOLDER={}", folder.display());
    println!("cargo::rustc-env=GOLDENS_NAMES={}", names(&folder).join(","));
}

/// `DINO_VMF_GOLDEN`, else `$DINO_VMF_SHARED/golden/visible`, else `../shared/golden/visible`
/// next to the workspace, else the selection in this crate.
fn folder() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = variable("DINO_VMF_GOLDEN") {
        if !folder.is_dir() {
            // Without this, a typing error would ignore all tests.
            println!("cargo::error=DINO_VMF_GOLDEN is `{}`, which is no folder", folder.display());
        }
        return folder;
    }
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let shared = variable("DINO_VMF_SHARED").unwrap_or_else(|| here.join("../../../shared"));
    let full = shared.join("golden/visible");
    if full.is_dir() { full } else { here.join("fixtures") }
}

/// Names of the fixtures that have both of their files, or a folder of files, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_fixture = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        match path.extension() {
            None => path.join(name).with_extension("json").is_file(),
            Some(extension) => extension == "json" && path.with_extension("safetensors").is_file(),
        }
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(is_fixture)
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}
