//! The table of prototypes with their nearest images.

use std::fmt::Write as _;

use dino::analysis::mixture::{Component, Mixture};

use super::super::page::{Page, escape};
use super::super::plot::short;
use super::gallery::Gallery;
use super::html::percent;
use super::{Assignment, Found};

/// Sorts and searches the table and shows a prototype's images beside it.
const SCRIPT: &str = include_str!("browser.js");
/// Most rows of the table: a browser is slow with more.
const ROWS: usize = 10_000;

/// The table of prototypes; below it, or with a script beside it, the nearest images.
pub(super) fn browser(found: &Found<'_>, gallery: &Gallery, page: &mut Page) {
    let Assignment { mixture, assigned, .. } = &found.result;
    let (components, things) = (&mixture.components, assigned.many());
    let rows = table(found, gallery.components);
    let more = match mixture.prototypes - mixture.prototypes.min(ROWS) {
        0 => String::new(),
        more => format!(" {more} prototypes without {things} are not listed."),
    };
    page.add(&format!(
        "<p class='note'>Choose a prototype to see the {things} nearest to its direction, assigned to it or \
         not; the {} in use with the largest mass have some.{more}</p><div class='browser'><div class='scroll' id='list'>{rows}</div>\
         <div id='gallery'>",
        gallery.components
    ));
    for (place, component) in components[..gallery.components].iter().enumerate() {
        let open = if place == 0 { " open" } else { "" };
        page.add(&format!(
            "<details id='p{}'{open}><summary>{}</summary><div class='strip'>{}</div></details>",
            component.prototype,
            escape(&caption(component, things, found.classes)),
            gallery.strip(component)
        ));
    }
    page.add(&format!("</div></div><style>{}</style><script>{SCRIPT}</script>", gallery.style));
}

fn caption(component: &Component, things: &str, classes: &[String]) -> String {
    let Component { prototype, images, kappa, .. } = component;
    let mut text = format!("Prototype {prototype}: {images} {things}, kappa {}", short(*kappa));
    if let (Some(label), Some(purity)) = (class(component, classes), component.purity) {
        let _ = write!(text, ", {:.0} % {label}", 100.0 * purity);
    }
    text
}

fn class<'a>(component: &Component, classes: &'a [String]) -> Option<&'a str> {
    classes.get(component.label? as usize).map(String::as_str)
}

/// Rows of the prototypes in use, the largest mass first, then of the others as far as there is room.
fn table(found: &Found<'_>, shown: usize) -> String {
    let Assignment { mixture, assigned, .. } = &found.result;
    let more = match (&mixture.labels, &mixture.accuracy_by_kappa) {
        (Some(_), Some(_)) => vec!["label", "purity", "k-NN"],
        (Some(_), None) => vec!["label", "purity"],
        (None, _) => Vec::new(),
    };
    let head = more.iter().map(|name| format!("<th>{name}</th>")).collect::<String>();
    let mut rows = format!(
        "<table><thead><tr><th>prototype</th><th>mass</th><th>kappa</th><th>{}</th>{head}\
         </tr></thead><tbody>",
        assigned.many()
    );
    for (place, component) in mixture.components.iter().enumerate().take(ROWS) {
        let link = (place < shown).then(|| format!(" data-p='{}'", component.prototype));
        let numbers = numbers(component.prototype as usize, component.images, mixture);
        let labels = labels(component, found.classes);
        let _ = write!(rows, "<tr{}>{numbers}{labels}</tr>", link.unwrap_or_default());
    }
    let empty = "<td></td>".repeat(more.len());
    for prototype in unused(mixture).take(ROWS.saturating_sub(mixture.components.len())) {
        let _ = write!(rows, "<tr>{}{empty}</tr>", numbers(prototype, 0, mixture));
    }
    rows + "</tbody></table>"
}

/// Cells that every prototype has.
fn numbers(prototype: usize, images: usize, mixture: &Mixture) -> String {
    let mass = percent(mixture.mass.shares[prototype]);
    let kappa = short(mixture.kappa.values[prototype]);
    format!("<td>{prototype}</td><td>{mass}</td><td>{kappa}</td><td>{images}</td>")
}

/// Cells about labels, if there are any.
fn labels(component: &Component, classes: &[String]) -> String {
    let Some(purity) = component.purity else { return String::new() };
    let (label, purity) = (escape(class(component, classes).unwrap_or("")), 100.0 * purity);
    let accuracy = component.accuracy.map(|accuracy| format!("<td>{accuracy:.0} %</td>"));
    format!("<td>{label}</td><td>{purity:.0} %</td>{}", accuracy.unwrap_or_default())
}

/// Prototypes without an image, the largest mass first.
fn unused(mixture: &Mixture) -> impl Iterator<Item = usize> {
    let mut used = vec![false; mixture.prototypes];
    mixture.components.iter().for_each(|component| used[component.prototype as usize] = true);
    let mut others: Vec<usize> = (0..used.len()).filter(|&prototype| !used[prototype]).collect();
    let shares = &mixture.mass.shares;
    others.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
    others.into_iter()
}
