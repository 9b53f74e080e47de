//! Alarms and other events of runs, in words.

use report::history::Event;
use report::number::short;
use serde_json::Value;

use super::run::Run;

/// Most events of a run in the table.
const MOST: usize = 50;
/// Most marks of a run in a plot.
const MOST_MARKS: usize = 40;

/// Alarms that were raised, for marks in plots: step and words.
pub(super) fn alarms(run: &Run) -> Vec<(u64, String)> {
    let raised = |event: &&Event| event.kind == "alarm" && event.record["raised"] == true;
    let mark = |event: &Event| {
        (event.step, format!("{}, step {}: {}", run.name, event.step, words(event).1))
    };
    let marks: Vec<_> = run.history.events.iter().filter(raised).map(mark).collect();
    let skipped = marks.len().saturating_sub(MOST_MARKS);
    marks.into_iter().skip(skipped).collect()
}

/// The rows of the table, the last events of each run: run, step, what, details.
pub(super) fn rows(runs: &[Run]) -> Vec<Vec<String>> {
    let of_run = |run: &Run| {
        let events = &run.history.events;
        let older = events.len().saturating_sub(MOST);
        let row = |event: &Event| {
            let (what, details) = words(event);
            vec![run.name.clone(), event.step.to_string(), what, details]
        };
        let mut rows: Vec<_> = events[older..].iter().map(row).collect();
        let left_out = older + run.history.older_events;
        if left_out > 0 {
            let text = format!("{left_out} older ones are in `metrics.jsonl` alone");
            rows.insert(0, vec![run.name.clone(), String::new(), "left out".to_owned(), text]);
        }
        rows
    };
    runs.iter().flat_map(of_run).collect()
}

/// What happened, and details.
fn words(event: &Event) -> (String, String) {
    let text = |key: &str| event.record[key].as_str().unwrap_or_default();
    match event.kind.as_str() {
        "alarm" if event.record["raised"] == true => {
            let parts = ["found", "cause", "remedy"].map(text);
            (text("name").to_owned(), parts.join("; "))
        }
        "alarm" => (format!("{} is cleared", text("name")), text("found").to_owned()),
        "evaluation_failed" => (
            format!("evaluation of {} features failed", text("features")),
            text("reason").to_owned(),
        ),
        "skipped" => ("step skipped".to_owned(), text("reason").to_owned()),
        "extended" => {
            let [before, now, joining] =
                ["steps_before", "steps", "join_steps"].map(|key| plain(&event.record[key]));
            let details =
                format!("from {before} to {now} steps; schedules join over {joining} steps");
            ("extended".to_owned(), details)
        }
        kind => (kind.replace('_', " "), plain(&event.record)),
    }
}

/// A record as `key value, key value`, with short numbers.
fn plain(record: &Value) -> String {
    let field =
        |(key, value): (&String, &Value)| format!("{} {}", key.replace('_', " "), plain(value));
    match record {
        Value::Object(fields) => fields.iter().map(field).collect::<Vec<_>>().join(", "),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" to "),
        Value::Number(number) if number.is_f64() => short(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
