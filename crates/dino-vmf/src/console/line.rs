//! The line of a terminal that a progress bar is drawn on.

use std::io;

use console::{Term, truncate_str};
use indicatif::TermLike;

/// One line of stderr. After each drawing, the cursor waits at the start of the line.
///
/// When a terminal becomes narrower, it wraps the line into several rows, and the cursor stays with its
/// character. From the first row, everything can be cleared at the next drawing. `indicatif` fills the line
/// and leaves the cursor at its end, so it would clear the last row alone.
#[derive(Debug)]
pub(super) struct Line<T = Term>(T);

/// What [`Line`] needs of a terminal.
pub(super) trait Screen: std::fmt::Debug + Send + Sync {
    /// Its width in columns.
    fn columns(&self) -> u16;

    /// Writes text as it is, at once or at the next [`flush`](Self::flush).
    fn put(&self, text: &str) -> io::Result<()>;

    /// Shows what is written.
    fn flush(&self) -> io::Result<()>;
}

impl Screen for Term {
    fn columns(&self) -> u16 {
        self.size().1
    }

    fn put(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn flush(&self) -> io::Result<()> {
        Self::flush(self)
    }
}

impl Line {
    pub(super) fn of_stderr() -> Self {
        Self(Term::buffered_stderr())
    }
}

impl<T: Screen> TermLike for Line<T> {
    fn width(&self) -> u16 {
        self.0.columns()
    }

    // There is one line, so the cursor never leaves it.
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // Blanks only fill the rest of the line.
        let text = text.trim_end();
        if text.is_empty() {
            return Ok(());
        }
        let columns = usize::from(self.width()).saturating_sub(1);
        self.0.put(&truncate_str(text, columns, ""))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.put("\r\x1b[J")
    }

    fn flush(&self) -> io::Result<()> {
        self.0.put("\r")?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::*;

    /// A terminal that wraps again what is on it when its width changes, as most do.
    #[derive(Debug, Clone, Copy)]
    struct Fake(&'static Mutex<Rows>);

    #[derive(Debug)]
    struct Rows {
        width: usize,
        /// The line above, and the text from the start of the line on.
        line: String,
        /// Characters of the line before the cursor.
        cursor: usize,
    }

    impl Screen for Fake {
        fn columns(&self) -> u16 {
            self.0.lock().unwrap().width as u16
        }

        fn put(&self, text: &str) -> io::Result<()> {
            let mut rows = self.0.lock().unwrap();
            let parts = text.split("\x1b[J");
            for (place, part) in parts.enumerate() {
                if place > 0 {
                    let cursor = rows.cursor;
                    rows.line.truncate(cursor);
                }
                for letter in part.chars() {
                    if letter == '\r' {
                        // The start of the row, not of the line.
                        rows.cursor -= rows.cursor % rows.width;
                    } else {
                        let cursor = rows.cursor;
                        rows.line.truncate(cursor);
                        rows.line.push(letter);
                        rows.cursor += 1;
                    }
                }
            }
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_becomes_narrower_keeps_nothing_of_the_old_line() {
        let rows = Mutex::new(Rows { width: 80, line: String::new(), cursor: 0 });
        let rows: &'static Mutex<Rows> = Box::leak(Box::new(rows));
        let target = ProgressDrawTarget::term_like(Box::new(Line(Fake(rows))));
        let bar = ProgressBar::with_draw_target(Some(9), target);
        bar.set_style(ProgressStyle::with_template("step {pos}/{len}{wide_msg}").unwrap());
        bar.set_message(" loss 4.677 (chance 5.545)  entropy 1.983  412 images/s  0s left");
        bar.tick();
        assert!(rows.lock().unwrap().line.starts_with("step 0/9 loss 4.677"));
        for width in [50, 21, 7] {
            rows.lock().unwrap().width = width;
            bar.tick();
            let line = rows.lock().unwrap().line.clone();
            assert!(line.starts_with("step 0") && line.len() < width, "{line:?}");
        }
        bar.finish_and_clear();
        assert_eq!(rows.lock().unwrap().line, "");
    }
}
