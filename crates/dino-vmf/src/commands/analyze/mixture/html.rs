//! The mixture as a page: numbers, plots, and a table of prototypes with their nearest images.

use std::fmt::Write as _;

use dino::analysis::mixture::{Component, Ease, Kappa, Mixture};

use super::super::page::{Figure, Page, escape};
use super::super::plot::{Axis, Bar, Plot, short};
use super::gallery::Gallery;
use super::{Found, NEIGHBORS};

/// Sorts and searches the table and shows a prototype's images beside it.
const SCRIPT: &str = include_str!("browser.js");
/// Most rows of the table: a browser is slow with more.
const ROWS: usize = 10_000;

/// The page.
pub(super) fn page(subject: &str, found: &Found<'_>, gallery: &Gallery) -> String {
    let mixture = &found.mixture;
    let center = if found.centered { "with the center" } else { "without a center" };
    let subtitle = format!("{subject}; temperature {}, {center}", found.temperature);
    let mut page = Page::new(&format!("A mixture of {} components", mixture.prototypes), &subtitle);
    page.tiles(&tiles(mixture));
    page.heading("How it is used");
    page.figures(&figures(mixture));
    page.heading("In numbers");
    numbers(mixture, &mut page);
    page.heading("Prototypes");
    browser(found, gallery, &mut page);
    page.finish()
}

fn tiles(mixture: &Mixture) -> Vec<(&'static str, String, String)> {
    let of_all = format!("of {} prototypes", mixture.prototypes);
    let mut tiles = vec![("in use", mixture.in_use.to_string(), of_all.clone())];
    if let Some(unique) = mixture.unique.first() {
        tiles.push((
            "unique, in use",
            unique.in_use.to_string(),
            format!("at cosine {}", unique.cosine),
        ));
    }
    let entropy = &mixture.entropy;
    tiles.push(("effective number", format!("{:.0}", entropy.perplexity), of_all));
    let largest = format!("nats, of at most {:.2}", entropy.largest);
    tiles.push(("information", format!("{:.2}", entropy.mutual_information), largest));
    if let Some(labels) = &mixture.labels {
        let classes = format!("with {} classes", labels.classes);
        tiles.push(("agreement, NMI", format!("{:.3}", labels.nmi), classes));
    }
    if let Some(ease) = &mixture.ease {
        let images = format!("of {} images", mixture.images);
        tiles.push(("k-NN right", format!("{:.1} %", ease.accuracy), images));
    }
    tiles
}

fn figures(mixture: &Mixture) -> Vec<Figure> {
    let mut figures = vec![mass(mixture), kappa(&mixture.kappa), decided(mixture)];
    let ordered = mixture.ease.as_ref().filter(|_| !mixture.kappa.fixed);
    figures.extend(ordered.map(ease));
    figures
}

/// Mass of all prototypes, the largest first.
fn mass(mixture: &Mixture) -> Figure {
    let count = mixture.prototypes as f64;
    let mut shares: Vec<f64> = mixture.mass.shares.iter().map(|share| share * count).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let high = shares.first().copied().unwrap_or(1.0).max(2.0);
    // what is below a thousandth of an equal share is nothing to a reader
    let y = Axis::logarithmic(1e-3, high, "times an equal share");
    let x = Axis::logarithmic(1.0, count, "prototypes, the largest first");
    let mut plot = Plot::new(x, y);
    plot.reference(1.0, "equal share");
    plot.line("one", &drawn(&shares));
    Figure {
        title: "Mass of prototypes",
        svg: plot.finish("mass of prototypes by rank"),
        series: Vec::new(),
        note: format!(
            "The largest has {} of all images' probability, the largest hundredth {}.",
            percent(mixture.mass.largest),
            percent(mixture.mass.top_percent)
        ),
    }
}

/// Points of a line over ranks from 1, no more than can be seen on a logarithmic axis.
fn drawn(values: &[f64]) -> Vec<(f64, f64)> {
    let (mut points, mut next) = (Vec::new(), 0);
    for (place, value) in values.iter().enumerate() {
        if place >= next || place + 1 == values.len() {
            points.push((place as f64 + 1.0, *value));
            next = (place + 1).max(place * 101 / 100);
        }
    }
    points
}

fn kappa(kappa: &Kappa) -> Figure {
    let (all, used) = (&kappa.histogram, &kappa.histogram_in_use);
    let most = all.counts.iter().copied().max().unwrap_or(1) as f64;
    let x = Axis::linear(all.low, all.high, "kappa");
    let mut plot = Plot::new(x, Axis::linear(0.0, 1.05 * most, "prototypes"));
    for (class, name, histogram) in [("two", "all", all), ("one", "in use", used)] {
        plot.bars(class, &histogram_bars(histogram, x, name));
    }
    let note = match kappa.fixed {
        true => {
            format!("All are {}: the norms of the prototypes are fixed.", short(kappa.all.median))
        }
        false => format!(
            "Half of those in use lie between {} and {}.",
            short(kappa.in_use.p25),
            short(kappa.in_use.p75)
        ),
    };
    Figure {
        title: "Concentration",
        svg: plot.finish("histogram of kappa"),
        series: vec![("two", "all"), ("one", "in use")],
        note,
    }
}

fn histogram_bars(
    histogram: &dino::analysis::distribution::Histogram,
    axis: Axis<'_>,
    name: &str,
) -> Vec<Bar> {
    let width = (axis.high - axis.low) / histogram.counts.len() as f64;
    let bars = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let bar = |(bin, count): (usize, &usize)| {
        let from = axis.low + width * bin as f64;
        let title = format!("{} to {}: {count} {name}", short(from), short(from + width));
        Bar { from, to: from + width, value: *count as f64, title }
    };
    bars.map(bar).collect()
}

/// How undecided single assignments are.
fn decided(mixture: &Mixture) -> Figure {
    let histogram = &mixture.entropy.histogram;
    let most = histogram.counts.iter().copied().max().unwrap_or(1) as f64;
    let x = Axis::linear(histogram.low, histogram.high, "entropy of an image's assignment, nats");
    let mut plot = Plot::new(x, Axis::linear(0.0, 1.05 * most, "images"));
    plot.bars("one", &histogram_bars(histogram, x, "images"));
    Figure {
        title: "Certainty",
        svg: plot.finish("histogram of the entropy of assignments"),
        series: Vec::new(),
        note: format!(
            "On average {:.2} nats: as undecided as among {:.1} components.",
            mixture.entropy.conditional,
            mixture.entropy.conditional.exp()
        ),
    }
}

/// k-NN accuracy by κ.
fn ease(ease: &Ease) -> Figure {
    let bar = |(place, group): (usize, &dino::analysis::ease::Group)| Bar {
        from: place as f64 + 0.12,
        to: place as f64 + 0.88,
        value: group.accuracy,
        title: format!("{} images, {:.2} % right", group.images, group.accuracy),
    };
    let bars: Vec<Bar> = ease.groups.iter().enumerate().map(bar).collect();
    let name = |(place, group): (usize, &dino::analysis::ease::Group)| {
        let [low, high] = group.kappa.map(short);
        (place as f64 + 0.5, format!("{low}–{high}"))
    };
    let names: Vec<_> = ease.groups.iter().enumerate().map(name).collect();
    let high = bars.iter().map(|bar| bar.value).fold(ease.accuracy, f64::max);
    let x =
        Axis::linear(0.0, ease.groups.len() as f64, "kappa of the image's component, in fifths");
    let y = Axis::linear(0.0, (1.2 * high).clamp(5.0, 100.0), "k-NN right, %");
    let mut plot = Plot::of_names(x, y, &names);
    plot.bars("one", &bars);
    plot.values(&bars, |bar| format!("{:.1}", bar.value));
    plot.reference(ease.accuracy, "");
    let correlation = ease.spearman.map_or("none".to_owned(), |rho| format!("{rho:.3}"));
    Figure {
        title: "Is a large kappa easy?",
        svg: plot.finish("accuracy of k-NN by kappa"),
        series: Vec::new(),
        note: format!(
            "k = {NEIGHBORS}; the line is the mean of all images, {:.1} %. Rank correlation: \
             {correlation}.",
            ease.accuracy
        ),
    }
}

fn numbers(mixture: &Mixture, page: &mut Page) {
    let rows = mixture.unique.iter().map(|unique| {
        let meaning = "prototypes of which none is nearer to an earlier one";
        let name = format!("unique at cosine {}", unique.cosine);
        [name, unique.all.to_string(), unique.in_use.to_string(), meaning.to_owned()].to_vec()
    });
    let mut rows: Vec<_> = rows.collect();
    let meaning = "that at least one image prefers to all others".to_owned();
    let (all, in_use) = (mixture.prototypes.to_string(), mixture.in_use.to_string());
    rows.insert(0, vec!["prototypes".to_owned(), all, in_use, meaning]);
    let kappa = &mixture.kappa;
    let [all, in_use] = [&kappa.all, &kappa.in_use]
        .map(|of| format!("{} ({} to {})", short(of.median), short(of.p5), short(of.p95)));
    let meaning = "concentration: median (5 % to 95 %)".to_owned();
    rows.push(vec!["kappa".to_owned(), all, in_use, meaning]);
    page.table(&["", "all", "in use", ""], &rows);
    let entropy = &mixture.entropy;
    let mut rows = vec![
        (
            "marginal entropy",
            format!("{:.3}", entropy.marginal),
            "of the mean assignment: even use is large",
        ),
        (
            "conditional entropy",
            format!("{:.3}", entropy.conditional),
            "of one assignment, on average: decided ones are small",
        ),
        (
            "mutual information",
            format!("{:.3}", entropy.mutual_information),
            "their difference: what a component tells about an image",
        ),
        (
            "Gini of mass",
            format!("{:.3}", mixture.mass.gini),
            "0 where all have the same, 1 where one has everything",
        ),
        ("mass not in use", percent(mixture.mass.unused), "of components that no image prefers"),
    ];
    if let Some(labels) = &mixture.labels {
        rows.extend([
            ("NMI", format!("{:.3}", labels.nmi), "information of components and labels: 0 none, 1 equal; grows with the number of components"),
            ("ARI", format!("{:.3}", labels.ari), "pairs that both put together: 0 chance, 1 equal"),
            ("purity", format!("{:.3}", labels.purity), "images with the most frequent label of their component"),
        ]);
    }
    let row = |(name, number, meaning): (&str, String, &str)| {
        vec![name.to_owned(), number, meaning.to_owned()]
    };
    page.table(&["", "", ""], &rows.into_iter().map(row).collect::<Vec<_>>());
}

/// The table of prototypes; below it, or with a script beside it, the nearest images.
fn browser(found: &Found<'_>, gallery: &Gallery, page: &mut Page) {
    let components = &found.mixture.components;
    let rows = table(found, gallery.components);
    let listed = found.mixture.prototypes.min(ROWS);
    let more = match found.mixture.prototypes - listed {
        0 => String::new(),
        more => format!(" {more} prototypes without images are not listed."),
    };
    page.add(&format!(
        "<p class='note'>Choose a prototype to see the images nearest to it; the {} with the largest \
         mass have some.{more}</p><div class='browser'><div class='scroll' id='list'>{rows}</div>\
         <div id='gallery'>",
        gallery.components
    ));
    for (place, component) in components[..gallery.components].iter().enumerate() {
        let open = if place == 0 { " open" } else { "" };
        page.add(&format!(
            "<details id='p{}'{open}><summary>{}</summary><div class='strip'>{}</div></details>",
            component.prototype,
            escape(&caption(component, found.classes)),
            gallery.strip(component)
        ));
    }
    page.add(&format!("</div></div><style>{}</style><script>{SCRIPT}</script>", gallery.style));
}

fn caption(component: &Component, classes: &[String]) -> String {
    let Component { prototype, images, kappa, .. } = component;
    let mut text = format!("Prototype {prototype}: {images} images, kappa {}", short(*kappa));
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
    let labelled = found.mixture.labels.is_some();
    let more = if labelled { "<th>label</th><th>purity</th><th>k-NN</th>" } else { "" };
    let mut rows = format!(
        "<table><thead><tr><th>prototype</th><th>mass</th><th>kappa</th><th>images</th>{more}\
         </tr></thead><tbody>"
    );
    let components = &found.mixture.components;
    for (place, component) in components.iter().enumerate().take(ROWS) {
        let Component { prototype, mass, kappa, images, .. } = component;
        let link = if place < shown { format!(" data-p='{prototype}'") } else { String::new() };
        let _ = write!(
            rows,
            "<tr{link}><td>{prototype}</td><td>{}</td><td>{}</td><td>{images}</td>",
            percent(*mass),
            short(*kappa)
        );
        if let (Some(purity), Some(accuracy)) = (component.purity, component.accuracy) {
            let label = escape(class(component, found.classes).unwrap_or(""));
            let _ = write!(
                rows,
                "<td>{label}</td><td>{:.0} %</td><td>{accuracy:.0} %</td>",
                100.0 * purity
            );
        }
        rows.push_str("</tr>");
    }
    let mut used = vec![false; found.mixture.prototypes];
    components.iter().for_each(|component| used[component.prototype as usize] = true);
    let mut others: Vec<usize> = (0..used.len()).filter(|&prototype| !used[prototype]).collect();
    let shares = &found.mixture.mass.shares;
    others.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
    let empty = if labelled { "<td></td><td></td><td></td>" } else { "" };
    for prototype in others.into_iter().take(ROWS.saturating_sub(components.len())) {
        let (mass, kappa) =
            (percent(shares[prototype]), short(found.mixture.kappa.values[prototype]));
        let _ = write!(
            rows,
            "<tr><td>{prototype}</td><td>{mass}</td><td>{kappa}</td><td>0</td>{empty}</tr>"
        );
    }
    rows + "</tbody></table>"
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share))
}
