//! All that the program prints: results to stdout, everything else to stderr.
//!
//! Names of files and classes, values of settings and messages of libraries come from outside, and so
//! may control characters in them. [`printable`] escapes these in everything that is printed, so that
//! nobody's file name moves the cursor, changes colors or writes a line of its own.

use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::Output;

/// Time between two lines of progress where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Stdout and stderr as the flags want them.
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    /// Whether progress is a bar.
    live: bool,
    bar: Option<(&'static str, ProgressBar)>,
    last_line: Option<(&'static str, Instant)>,
    /// The first failure to write a result; a closed pipe is none.
    failure: Option<io::Error>,
}

/// How far something is.
pub(crate) struct Progress {
    /// What is counted, such as `step`.
    pub(crate) what: &'static str,
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// What else there is to say.
    pub(crate) text: String,
}

impl Console {
    pub(crate) fn new(output: &Output) -> Self {
        let live = !output.quiet && !output.no_progress && io::stderr().is_terminal();
        let (json, quiet) = (output.json, output.quiet);
        Self { json, quiet, live, bar: None, last_line: None, failure: None }
    }

    /// A line of results for people: stdout, or stderr if stdout belongs to JSON.
    pub(crate) fn text(&mut self, text: impl Display) {
        if self.json {
            self.note(text);
        } else {
            self.write_result(&printable(&text.to_string()));
        }
    }

    /// A result that is a program itself, of many lines: stdout, whatever the flags say.
    pub(crate) fn script(&mut self, text: &str) {
        self.write_result(text);
    }

    /// A result for programs; nothing without `--json`.
    pub(crate) fn event(&mut self, name: &str, record: &impl Serialize) {
        if self.json {
            self.json_line(Some(name), record);
        }
    }

    /// A JSON object, asked for or not; `event` becomes its first entry.
    pub(crate) fn json_line(&mut self, event: Option<&str>, record: &impl Serialize) {
        match serde_json::to_string(record) {
            Ok(body) => self.write_result(&escaped_json(&match event {
                Some(name) if body == "{}" => format!("{{\"event\":\"{name}\"}}"),
                Some(name) => format!("{{\"event\":\"{name}\",{}", &body[1..]),
                None => body,
            })),
            Err(error) => self.failure = self.failure.take().or_else(|| Some(error.into())),
        }
    }

    /// Something to read on the way.
    pub(crate) fn note(&mut self, text: impl Display) {
        if !self.quiet {
            self.write_aside(&printable(&text.to_string()));
        }
    }

    /// Something wrong that stops nothing.
    pub(crate) fn warn(&mut self, text: impl Display) {
        let label = painted("warning:", "33");
        self.write_aside(&format!("{label} {}", printable(&text.to_string())));
    }

    /// Moves the bar; without one, writes a line if `always` or if the last one is some time ago.
    pub(crate) fn progress(&mut self, progress: &Progress, always: bool) {
        let Progress { what, done, total, text } = progress;
        if self.live {
            let bar = self.bar_of(what, *total);
            bar.set_message(printable(text).into_owned());
            bar.set_position(*done);
        } else if !self.quiet {
            if self.last_line.is_none_or(|(name, _)| name != *what) {
                self.last_line = Some((what, Instant::now()));
            }
            if always || self.last_line.is_some_and(|(_, time)| time.elapsed() >= LINE_EVERY) {
                self.last_line = Some((what, Instant::now()));
                self.note(format!("{what} {done}/{total}{text}"));
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn end_progress(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = None;
    }

    /// Ends the program's output: what could not be written is an error.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.end_progress();
        if let Err(error) = io::stdout().flush() {
            self.note_failure(error);
        }
        self.failure.take().map_or(Ok(()), |error| Err(error).context("cannot write the results"))
    }

    fn bar_of(&mut self, what: &'static str, total: u64) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(name, _)| *name != what) {
            self.end_progress();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
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
        // Whoever read our results has had enough of them; that is no reason to stop working.
        if error.kind() != ErrorKind::BrokenPipe {
            self.failure.get_or_insert(error);
        }
    }

    fn write_aside(&self, text: &str) {
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| write_stderr(text)),
            None => write_stderr(text),
        }
    }
}

/// Prints an error with its causes and what to do; returns the exit code.
pub(crate) fn report_error(error: &anyhow::Error) -> u8 {
    let mut said = error.to_string();
    write_stderr(&format!("{} {}", painted("error:", "1;31"), printable(&said)));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            write_stderr(&format!("caused by: {}", printable(&cause)));
            said = cause;
        }
    }
    let (hint, is_usage) = error.chain().find_map(judge).unwrap_or_default();
    if let Some(hint) = hint {
        write_stderr(&format!("{} {}", painted("hint:", "36"), printable(&hint)));
    }
    if is_usage { 2 } else { 1 }
}

/// The hint of an error of ours, and whether the command line or the configuration is at fault.
fn judge(cause: &(dyn Error + 'static)) -> Option<(Option<String>, bool)> {
    if let Some(error) = cause.downcast_ref::<dino::config::Error>() {
        return Some((error.hint(), error.is_usage()));
    }
    let error = cause.downcast_ref::<dino::error::Error>()?;
    Some((error.hint(), error.is_usage()))
}

/// What is said instead of a panic's message. Panics of image decoders are caught and counted as bad
/// images, so nothing is said about them here.
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

/// A line of text with control characters, and those that change the direction of writing, as escape
/// sequences of Rust: `\u{1b}`, `\n`.
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

/// JSON whose strings have no such characters either: outside of strings, there are none in it.
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
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns
}

fn write_stderr(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `text` in color where a person sees it and wants color.
fn painted(text: &str, code: &str) -> String {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|value| value == "dumb");
    if unwanted || !io::stderr().is_terminal() {
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
