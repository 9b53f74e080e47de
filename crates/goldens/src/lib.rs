//! `#[goldens::test(NAME, ...)]`: a test that needs golden fixtures.
//!
//! libtest cannot ignore a test at run time, and a test that returns early counts as passed. So the
//! build script lists the fixtures that exist, and the attribute adds `#[ignore = "..."]` to tests
//! whose fixtures are missing. The runner then counts these tests as ignored.

use proc_macro::{TokenStream, TokenTree};

const FOLDER: &str = env!("GOLDENS_FOLDER");
const NAMES: &str = env!("GOLDENS_NAMES");

/// Turns a function into a test that is ignored unless all the named fixtures exist.
///
/// ```text
/// #[goldens::test(traj_common, traj_ibot)]
/// fn golden_trajectory_of_ibot() { ... }
/// ```
#[proc_macro_attribute]
pub fn test(wanted: TokenStream, function: TokenStream) -> TokenStream {
    let wanted: Vec<String> = wanted
        .into_iter()
        .filter(|token| !matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
        .map(|token| token.to_string())
        .collect();
    if wanted.is_empty() {
        return tokens("compile_error!(\"name a fixture: #[goldens::test(NAME)]\");");
    }
    let missing = wanted.iter().find(|name| NAMES.split(',').all(|found| found != *name));
    let mut test = tokens("#[::core::prelude::v1::test]");
    if let Some(name) = missing {
        let reason = format!("no golden fixture `{name}` in `{FOLDER}`: set DINO_VMF_SHARED");
        test.extend(tokens(&format!("#[ignore = {reason:?}]")));
    }
    test.extend(function);
    test
}

/// Expands to the folder of fixtures that was in use when the tests were compiled, as a string.
#[proc_macro]
pub fn folder(_: TokenStream) -> TokenStream {
    tokens(&format!("{FOLDER:?}"))
}

/// # Panics
/// If `source` is not valid Rust, which only a mistake in this file can cause.
fn tokens(source: &str) -> TokenStream {
    source.parse().expect("text of this file and quoted strings")
}
