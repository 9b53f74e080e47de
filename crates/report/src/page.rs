//! The parts that pages consist of, and the page around them.
//!
//! A page is one HTML file that loads nothing else: style, script, plots and images are inside. Its
//! [`Content`](Page::content) is a template of its own, which shows [`Tiles`], [`Figures`] and [`Table`]s.
//!
//! ```
//! use askama::Template;
//! use report::page::{Page, Table};
//!
//! let rows = vec![vec!["loss".to_owned(), "4.2".to_owned()]];
//! let content = Table { head: vec!["", "value"], rows };
//! let html = Page { title: "A run".to_owned(), subtitle: "two steps".to_owned(), content }.render()?;
//! assert!(html.contains("<td>4.2</td>"));
//! # Ok::<(), askama::Error>(())
//! ```

use std::borrow::Cow;

use askama::Template;

use crate::plot::Plot;

/// Style sheet of all pages.
const STYLE: &str = include_str!("../templates/page.css");
/// Version in the footer of all pages.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Filters of the templates, also of those of contents.
pub mod filters {
    #![expect(missing_docs, reason = "the macro makes types that have no comments")]

    use std::fmt::{Display, Write as _};

    use askama::{Result, Values};

    /// Escapes text for HTML; what stands in backticks is shown as code.
    #[askama::filter_fn]
    pub fn marked(text: impl Display, _: &dyn Values) -> Result<String> {
        let text = text.to_string();
        let parts: Vec<&str> = text.split('`').collect();
        let is_paired = parts.len() % 2 == 1;
        let mut html = String::new();
        for (place, part) in parts.into_iter().enumerate() {
            let part = askama::filters::escape(part, askama::filters::Html)?;
            match (place % 2, is_paired) {
                (1, true) => write!(html, "<code>{part}</code>")?,
                (_, false) if place > 0 => write!(html, "`{part}")?,
                _ => write!(html, "{part}")?,
            }
        }
        Ok(html)
    }
}

/// A page with everything that it needs.
#[derive(Template)]
#[template(path = "page.html")]
pub struct Page<C: Template> {
    /// The title, also that of the browser's window.
    pub title: String,
    /// What the page is about, below the title.
    pub subtitle: String,
    /// Everything below it.
    pub content: C,
}

/// Values to see first.
#[derive(Template)]
#[template(path = "tiles.html")]
pub struct Tiles(pub Vec<Tile>);

/// A large number at the top of a page.
pub struct Tile {
    /// What it is.
    pub name: &'static str,
    /// The number with its unit.
    pub value: String,
    /// What the value is compared with, for example the number of all prototypes.
    pub note: String,
}

/// Plots side by side, as far as there is room.
#[derive(Template)]
#[template(path = "figures.html")]
pub struct Figures(pub Vec<Figure>);

/// A plot with a title, a legend and a sentence below it.
pub struct Figure {
    /// The title.
    pub title: Cow<'static, str>,
    /// The plot.
    pub plot: Plot,
    /// Empty if there is only one series.
    pub legend: Vec<LegendEntry>,
    /// The sentence.
    pub note: String,
}

/// A series of a plot.
pub struct LegendEntry {
    /// CSS class of the series, which sets its color.
    pub class: &'static str,
    /// Its name.
    pub name: Cow<'static, str>,
}

/// A table: a name, values and their meaning in each row.
#[derive(Template)]
#[template(path = "table.html")]
pub struct Table {
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// The rows, each with as many cells as the head.
    pub rows: Vec<Vec<String>>,
}

/// A table of values alone, whose first column names the rows.
#[derive(Template)]
#[template(path = "grid.html")]
pub struct Grid {
    /// What it shows, for screen readers.
    pub caption: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// The rows, each with as many cells as the head.
    pub rows: Vec<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_code() {
        let page = |subtitle: &str| {
            let content = Table { head: Vec::new(), rows: Vec::new() };
            Page { title: String::new(), subtitle: subtitle.to_owned(), content }.render().unwrap()
        };
        assert!(page("of `a<b` here").contains("<p class='sub'>of <code>a&#60;b</code> here</p>"));
        assert!(page("one ` alone").contains("<p class='sub'>one ` alone</p>"));
    }

    #[test]
    fn names_of_files_cannot_break_the_page() {
        let content = Table { head: vec!["a"], rows: vec![vec!["<script>\"'&".to_owned()]] };
        let page =
            Page { title: "<t>".to_owned(), subtitle: String::new(), content }.render().unwrap();
        assert!(page.contains("<title>&#60;t&#62;</title>"), "{page}");
        assert!(page.contains("<td>&#60;script&#62;&#34;&#39;&#38;</td>"), "{page}");
    }
}
