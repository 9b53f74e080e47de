//! A page of numbers and plots in one file that needs no other: style and script lie in it.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::console::Console;

const STYLE: &str = include_str!("page.css");

/// A page in the making.
pub(super) struct Page {
    title: String,
    subtitle: String,
    body: String,
}

impl Page {
    /// A page with its heading.
    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        Self { title: escape(title), subtitle: escape(subtitle), body: String::new() }
    }

    /// Adds HTML.
    pub(super) fn add(&mut self, html: &str) {
        self.body.push_str(html);
    }

    /// The numbers to see first: name, number, what it is out of.
    pub(super) fn tiles(&mut self, tiles: &[(&str, String, String)]) {
        self.body.push_str("<div class='tiles'>");
        for (name, number, note) in tiles {
            let (name, number, note) = (escape(name), escape(number), escape(note));
            // Writing to a `String` cannot fail.
            let _ = write!(
                self.body,
                "<div class='tile'><small>{name}</small><b>{number}</b><small>{note}</small></div>"
            );
        }
        self.body.push_str("</div>");
    }

    /// A heading.
    pub(super) fn heading(&mut self, text: &str) {
        let _ = write!(self.body, "<h2>{}</h2>", escape(text));
    }

    /// Plots side by side.
    pub(super) fn figures(&mut self, figures: &[Figure]) {
        self.body.push_str("<div class='figures'>");
        for Figure { title, svg, series, note } in figures {
            let (title, note) = (escape(title), escape(note));
            let _ = write!(self.body, "<figure><figcaption><b>{title}</b>");
            for (class, name) in series {
                let name = escape(name);
                let _ = write!(self.body, "<span class='key {class}'></span>{name}");
            }
            let _ = write!(self.body, "</figcaption>{svg}<p>{note}</p></figure>");
        }
        self.body.push_str("</div>");
    }

    /// A table of names, numbers and what they mean.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            cells.map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect::<String>()
        };
        let head = cells("th", &mut head.iter().copied());
        let _ = write!(self.body, "<div class='wide'><table class='numbers'><tr>{head}</tr>");
        for row in rows {
            let row = cells("td", &mut row.iter().map(String::as_str));
            let _ = write!(self.body, "<tr>{row}</tr>");
        }
        self.body.push_str("</table></div>");
    }

    /// The whole file.
    pub(super) fn finish(self) -> String {
        let Self { title, subtitle, body } = self;
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>\
             <meta name='viewport' content='width=device-width, initial-scale=1'>\
             <meta name='color-scheme' content='light dark'><title>{title}</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1><p class='sub'>{subtitle}</p>\
             {body}<footer>dino-vmf {version}</footer></main></body></html>\n"
        )
    }
}

/// A plot with its title, the names of its series (class, name) and how to read it.
pub(super) struct Figure {
    pub(super) title: &'static str,
    pub(super) svg: String,
    pub(super) series: Vec<(&'static str, &'static str)>,
    pub(super) note: String,
}

/// Text as HTML, also inside of attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Refuses a file that a page cannot be written to, before there is a page to lose. Leaves the folder
/// as it is.
///
/// # Errors
/// A folder that is not there, or a file that cannot be opened.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!(
            "cannot write `{}`, because there is no folder `{}`",
            path.display(),
            folder.display()
        );
    }
    let is_new = fs::symlink_metadata(path).is_err();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("cannot write `{}`", path.display()))?;
    if is_new {
        fs::remove_file(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

/// Writes a page and says where.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write_file(path: &Path, page: &str, console: &mut Console) -> Result<()> {
    fs::write(path, page).with_context(|| format!("cannot write `{}`", path.display()))?;
    console.note(format!("page: {} ({:.1} MB)", path.display(), page.len() as f64 / 1e6));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_a_file_leaves_everything_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new.html"), folder.path().join("old.html"));
        fs::write(&old, "a page").unwrap();
        check_file(&new).unwrap();
        check_file(&old).unwrap();
        assert!(!new.exists());
        assert_eq!(fs::read_to_string(&old).unwrap(), "a page");
        assert!(check_file(folder.path()).is_err());
    }

    #[test]
    fn names_of_files_cannot_break_the_page() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        let mut page = Page::new("<t>", "s");
        page.table(&["a"], &[vec!["<script>".to_owned()]]);
        let page = page.finish();
        assert!(page.contains("<title>&lt;t&gt;</title>") && !page.contains("<script>"), "{page}");
    }
}
