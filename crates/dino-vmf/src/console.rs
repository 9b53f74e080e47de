//! The [`Console`] prints everything: results to stdout, progress, notes and errors to stderr.
//!
//! File names, class names, settings and messages of libraries may contain control characters.
//! [`printable`] escapes them in all output. Without this, a file name could move the cursor, change
//! colors or forge a line of output.

mod line;

use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use line::Line;
use serde::Serialize;

use crate::usage::Usage;

/// Time between two progress lines when there is no progress bar.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How results and progress are shown.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print results to stdout as JSON, one object per line
    ///
    /// Tables and other text for people go to stderr then.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print only warnings and errors to stderr
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Print progress as lines instead of a bar, on a terminal too
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_progress: bool,
}

/// Writes to stdout and stderr as the [`Output`] flags ask.
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    /// Whether progress is a bar, not lines.
    uses_bar: bool,
    bar: Option<(&'static str, ProgressBar)>,
    last_line: Option<(&'static str, Instant)>,
    /// What warnings are about.
    part: Option<String>,
    /// The first error while writing a result. A closed pipe is not an error.
    failure: Option<io::Error>,
}

/// The progress of a loop.
pub(crate) struct Progress {
    /// Unit of `done` and `total`, such as `step`.
    pub(crate) what: &'static str,
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Text behind the count, such as the loss.
    pub(crate) text: String,
}

impl Console {
    pub(crate) fn new(output: &Output) -> Self {
        let uses_bar = !output.quiet && !output.no_progress && io::stderr().is_terminal();
        let (json, quiet) = (output.json, output.quiet);
        Self { json, quiet, uses_bar, bar: None, last_line: None, part: None, failure: None }
    }

    /// Prints a line of results for people: to stdout, or to stderr with `--json`.
    pub(crate) fn text(&mut self, text: impl Display) {
        if self.json {
            self.note(text);
        } else {
            self.write_result(&printable(&text.to_string()));
        }
    }

    /// Prints a result that is a program, such as a shell script, to stdout. The flags have no effect.
    pub(crate) fn script(&mut self, text: &str) {
        self.write_result(text);
    }

    /// Prints a result for programs as one line of JSON, in which `name` is the first entry, `event`. Does
    /// nothing without `--json`.
    pub(crate) fn event(&mut self, name: &str, record: &impl Serialize) {
        if !self.json {
            return;
        }
        match serde_json::to_string(record) {
            Ok(body) => {
                let rest = if body == "{}" { "}".to_owned() } else { format!(",{}", &body[1..]) };
                self.write_result(&escaped_json(&format!("{{\"event\":\"{name}\"{rest}")));
            }
            Err(error) => self.failure = self.failure.take().or_else(|| Some(error.into())),
        }
    }

    /// Prints a note to stderr, unless `--quiet` is set.
    pub(crate) fn note(&mut self, text: impl Display) {
        if !self.quiet {
            self.write_note(&printable(&text.to_string()));
        }
    }

    /// Prints a warning to stderr.
    pub(crate) fn warn(&mut self, text: impl Display) {
        let label = painted("warning:", "33");
        let part = self.part.as_ref().map_or(String::new(), |part| format!("{part}: "));
        self.write_note(&format!("{label} {}", printable(&format!("{part}{text}"))));
    }

    /// Does `work`, whose warnings begin with the name of what it is about.
    pub(crate) fn about<T>(&mut self, part: String, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.part.replace(part);
        let done = work(self);
        self.part = before;
        done
    }

    /// Updates the progress bar. Without a bar, prints a line if `always` is set or if the last line is
    /// older than [`LINE_INTERVAL`].
    pub(crate) fn progress(&mut self, progress: &Progress, always: bool) {
        let Progress { what, done, total, text } = progress;
        if self.uses_bar {
            let bar = self.bar_for(what, *total);
            bar.set_message(printable(text).into_owned());
            bar.set_position(*done);
        } else if !self.quiet {
            if self.last_line.is_none_or(|(name, _)| name != *what) {
                self.last_line = Some((what, Instant::now()));
            }
            if always || self.last_line.is_some_and(|(_, time)| time.elapsed() >= LINE_INTERVAL) {
                self.last_line = Some((what, Instant::now()));
                self.note(format!("{what} {done}/{total}{text}"));
            }
        }
    }

    /// Prints a line now and then while something without progress goes on: `still` and what it is.
    pub(crate) fn waiting(&mut self, what: &'static str) {
        match self.last_line {
            Some((name, time)) if name == what && time.elapsed() < LINE_INTERVAL => {}
            Some((name, _)) if name == what => {
                self.last_line = Some((what, Instant::now()));
                self.note(format!("still {what}"));
            }
            _ => self.last_line = Some((what, Instant::now())),
        }
    }

    /// Removes the progress bar.
    pub(crate) fn end_progress(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = None;
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// A result could not be written.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.end_progress();
        if let Err(error) = io::stdout().flush() {
            self.note_failure(error);
        }
        self.failure.take().map_or(Ok(()), |error| Err(error).context("cannot write the results"))
    }

    fn bar_for(&mut self, what: &'static str, total: u64) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(name, _)| *name != what) {
            self.end_progress();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::term_like(Box::new(Line::of_stderr()));
            let bar = ProgressBar::with_draw_target(Some(total), target);
            let template = format!("{what} {{pos}}/{{len}} {{bar:12}}{{wide_msg}}");
            let style = ProgressStyle::with_template(&template);
            (what, bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        });
        bar
    }

    fn write_result(&mut self, text: &str) {
        let write = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{text}").and_then(|()| stdout.flush())
        };
        let written = match &self.bar {
            Some((_, bar)) => bar.suspend(write),
            None => write(),
        };
        if let Err(error) = written {
            self.note_failure(error);
        }
    }

    fn note_failure(&mut self, error: io::Error) {
        // The reader, for example `head`, has closed the pipe. A training run goes on without it.
        if error.kind() != ErrorKind::BrokenPipe {
            self.failure.get_or_insert(error);
        }
    }

    fn write_note(&self, text: &str) {
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| write_stderr(text)),
            None => write_stderr(text),
        }
    }
}

/// Prints an error with its causes and a hint, and returns the exit code: 2 for a mistake in the
/// command line or in the settings, 1 for everything else.
pub(crate) fn report_error(error: &anyhow::Error) -> u8 {
    let mut printed = error.to_string();
    write_stderr(&format!("{} {}", painted("error:", "1;31"), printable(&printed)));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many messages of libraries already end with their cause.
        if !printed.contains(&cause) {
            write_stderr(&format!("caused by: {}", printable(&cause)));
            printed = cause;
        }
    }
    let (hint, is_usage) = error.chain().find_map(known).unwrap_or_default();
    if let Some(hint) = hint {
        write_stderr(&format!("{} {}", painted("hint:", "36"), printable(&hint)));
    }
    if is_usage { 2 } else { 1 }
}

/// An error with its causes and a hint in one line, for tables and files.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    match error.chain().find_map(known) {
        Some((Some(hint), _)) => format!("{error:#} (hint: {hint})"),
        _ => format!("{error:#}"),
    }
}

/// The hint of an error of this project, and whether it is a mistake in the command line or in the
/// settings. None for other errors.
fn known(cause: &(dyn Error + 'static)) -> Option<(Option<String>, bool)> {
    if let Some(error) = cause.downcast_ref::<dino::config::Error>() {
        return Some((error.hint(), error.is_usage()));
    }
    if let Some(error) = cause.downcast_ref::<interchange::Error>() {
        return Some((error.hint(), false));
    }
    if let Some(error) = cause.downcast_ref::<features::Error>() {
        return Some((None, error.is_usage()));
    }
    if cause.is::<Usage>() {
        return Some((None, true));
    }
    let error = cause.downcast_ref::<dino::error::Error>()?;
    Some((error.hint(), error.is_usage()))
}

/// Panic hook that asks the user to report the bug. It ignores panics of image decoders: these are
/// caught elsewhere, and the image is counted as bad.
pub(crate) fn report_bug(info: &PanicHookInfo<'_>) {
    if multicrop::guard::is_guarded() {
        return;
    }
    let text = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    write_stderr(&format!(
        "{} this is a bug in dino-vmf, please report it with your command: {}{place}",
        painted("error:", "1;31"),
        printable(text)
    ));
}

/// Replaces control characters, and characters that change the direction of text, by Rust's escape
/// sequences, such as `\u{1b}` and `\n`.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| match is_control(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// The same for JSON, with JSON's escape sequences. `serde_json` puts such characters only into
/// strings, so the value stays the same.
fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_control) {
        return Cow::Borrowed(json);
    }
    let escape = |letter: char| match is_control(letter) {
        true => format!("\\u{:04x}", u32::from(letter)),
        false => letter.to_string(),
    };
    Cow::Owned(json.chars().map(escape).collect())
}

fn is_control(letter: char) -> bool {
    let changes_direction = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || changes_direction
}

fn write_stderr(text: &str) {
    // If stderr is closed, there is nowhere to report this error.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Colors `text` if stderr is a terminal and neither `NO_COLOR` nor `TERM=dumb` is set.
fn painted(text: &str, code: &str) -> String {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|value| value == "dumb");
    if no_color || !io::stderr().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_printed_as_escape_sequences() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{9b}\u{7f}"), "a\\u{1b}[31m\\nb\\u{9b}\\u{7f}");
        assert_eq!(printable("evil\u{202e}gnp.jpg"), "evil\\u{202e}gnp.jpg");
        assert!(matches!(printable("façade é 日本 ✓"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let text = "a\u{1b}\u{9b}\u{7f}\u{202e}\n\"";
        let json = serde_json::to_string(text).unwrap();
        let escaped = escaped_json(&json);
        assert!(!escaped.contains(is_control), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
