//! The page of one run or several.

use askama::Template;
use report::number::counted;
use report::page::{Grid, Page, Tile, Tiles, filters};

use super::groups::{Group, groups};
use super::run::Run;
use super::{evaluations, events, figures, settings, text};

/// Shows the values of lines under the pointer.
const READOUT: &str = include_str!("../../../templates/readout.js");
/// Shows the page of a run that goes on anew when it has changed, at the same place.
const WATCH: &str = include_str!("../../../templates/watch.js");

#[derive(Template)]
#[template(path = "report.html")]
pub(crate) struct Content<'a> {
    tiles: Tiles,
    /// Several runs side by side.
    runs: Option<Grid>,
    keys: Vec<Key>,
    groups: Vec<Group>,
    evaluations: Option<Grid>,
    events: Option<Grid>,
    differing: Option<Grid>,
    settings: Grid,
    pictures: &'a [Pictures],
    scripts: Vec<&'static str>,
}

/// A run in the list of runs.
struct Key {
    class: &'static str,
    name: String,
    about: String,
}

/// The page. With `watched`, it asks its server for changes.
pub(crate) fn page<'a>(runs: &[Run], pictures: &'a [Pictures], watched: bool) -> Page<Content<'a>> {
    let one = if let [run] = runs { Some(run) } else { None };
    let title = one.map_or_else(|| counted(runs.len(), "run"), |run| run.name.clone());
    let subtitle = one.map_or_else(String::new, |run| format!("{}: {}", about(run), run.state()));
    Page {
        title,
        subtitle,
        content: Content {
            tiles: Tiles(one.map_or_else(Vec::new, tiles)),
            runs: one.is_none().then(|| side_by_side(runs)),
            keys: if one.is_none() { keys(runs) } else { Vec::new() },
            groups: groups(runs),
            evaluations: table("evaluations", EVALUATIONS, evaluations::table(runs)),
            events: table("alarms and other events", EVENTS, events::rows(runs)),
            differing: one.is_none().then(|| settings::that_differ(runs)),
            settings: settings::of_all(runs),
            pictures,
            scripts: [READOUT].into_iter().chain(watched.then_some(WATCH)).collect(),
        },
    }
}

/// Most runs that are columns of a table.
const MOST_COLUMNS: usize = 4;
const EVALUATIONS: &[&str] =
    &["evaluation", "run", "raw pixels", "untrained", "start", "trained, last", "trained, highest"];
const EVENTS: &[&str] = &["run", "step", "what", "details"];

/// A table; nothing without rows.
fn table(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Option<Grid> {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    (!rows.is_empty()).then(|| Grid { caption: caption.to_owned(), head, rows })
}

/// Method, network and images in a few words.
fn about(run: &Run) -> String {
    let config = &run.config;
    let sizes = config.model.sizes();
    let method = settings::word(&config.objective.method);
    format!(
        "{method} on {}, {} blocks of width {}, {} prototypes",
        config.data.source, sizes.depth, sizes.embed_dim, config.model.prototypes
    )
}

fn keys(runs: &[Run]) -> Vec<Key> {
    let key = |(place, run): (usize, &Run)| Key {
        class: figures::class(place),
        name: run.name.clone(),
        about: about(run),
    };
    runs.iter().enumerate().map(key).collect()
}

fn tiles(run: &Run) -> Vec<Tile> {
    let mut tiles: Vec<Tile> = Vec::new();
    let mut tile =
        |name, value, note: &str| tiles.push(Tile { name, value, note: note.to_owned() });
    for (name, value) in text::values(run) {
        match name {
            "progress" => {}
            "loss (chance)" => {
                let (loss, chance) = value.split_once(' ').unwrap_or((&value, ""));
                tile(
                    "loss",
                    loss.to_owned(),
                    &format!("chance {}", chance.trim_matches(['(', ')'])),
                );
            }
            "step" => tile(name, value, &run.state()),
            "entropy" | "KL" => tile(name, value, "nats"),
            "prototypes in use" => tile(name, value, "in the last batch"),
            "time" => tile(name, value, "of training steps"),
            _ => tile(name, value, ""),
        }
    }
    for name in evaluations::headlines(std::slice::from_ref(run)) {
        let Some(scored) = evaluations::scored(run, &name) else { continue };
        let Some(trained) = scored.trained else { continue };
        let note = format!("{}; {}", name.title(), scored.baselines());
        tiles.insert(1, Tile { name: "evaluation", value: format!("{trained:.2}"), note });
    }
    tiles
}

/// The values of all runs: a column for each run as long as columns fit a narrow screen, else a row.
fn side_by_side(runs: &[Run]) -> Grid {
    let (names, values) = text::comparison(runs);
    if runs.len() <= MOST_COLUMNS {
        let head = [String::new()].into_iter().chain(runs.iter().map(|run| run.name.clone()));
        let row = |(place, name): (usize, String)| {
            let cells = values.iter().map(|of_run| of_run[place].clone());
            [name].into_iter().chain(cells).collect()
        };
        let rows = names.into_iter().enumerate().map(row).collect();
        return Grid { caption: "runs side by side".to_owned(), head: head.collect(), rows };
    }
    let head = ["run".to_owned()].into_iter().chain(names).collect();
    let row =
        |(run, values): (&Run, Vec<String>)| [run.name.clone()].into_iter().chain(values).collect();
    let rows = runs.iter().zip(values).map(row).collect();
    Grid { caption: "runs side by side".to_owned(), head, rows }
}

/// Pictures of a run's newest checkpoint, or why there are none.
pub(crate) struct Pictures {
    pub(crate) run: String,
    /// What they show, or why they are missing.
    pub(crate) note: String,
    pub(crate) sections: Vec<Section>,
}

/// Rows of pictures.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) note: String,
    pub(crate) rows: Vec<Row>,
}

/// Pictures side by side.
pub(crate) struct Row {
    pub(crate) heading: String,
    pub(crate) pictures: Vec<Picture>,
}

/// A small image.
pub(crate) struct Picture {
    /// A JPEG in base64.
    pub(crate) jpeg: String,
    pub(crate) caption: String,
    /// What it shows, for people who do not see it.
    pub(crate) alt: String,
    /// Whether its pixels are shown as squares, because there are few.
    pub(crate) coarse: bool,
}
