//! Every relative link in the documents leads to a file, and to a heading if it names one.

use std::fs;
use std::path::{Path, PathBuf};

/// Documents outside of `docs/`.
const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents: Vec<_> = DOCUMENTS.iter().map(|name| root.join(name)).collect();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    documents
}

/// The lines of a document outside of its fenced code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// The targets of `[text](target)` and `![text](target)`.
fn targets(text: &str) -> Vec<&str> {
    let links = prose(text).flat_map(|line| line.split("](").skip(1));
    links.map(|rest| rest.split(')').next().unwrap()).collect()
}

/// Anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(|&c| kept(c)).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                _ => document.parent().unwrap().join(file),
            };
            let leads = path.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&path).unwrap()).iter().any(|a| a == anchor));
            if !leads {
                broken.push(format!("{}: {target}", document.display()));
            }
            checked += 1;
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(checked >= 50, "only {checked} links were found");
}

#[test]
fn an_anchor_is_made_as_github_makes_it() {
    let text = "# `shapes`, 14 epochs\n```sh\n# no heading\n```\n## KoLeo: 65,536\n";
    assert_eq!(anchors(text), ["shapes-14-epochs", "koleo-65536"]);
    assert_eq!(targets("see [a](b.md#c) and ![d](e.png)"), ["b.md#c", "e.png"]);
}
