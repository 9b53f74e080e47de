//! The lines of a list as rows of fields.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::dataset::archive::json_label;
use crate::dataset::bytes::{Budget, malformed, open_file, unreadable};
use crate::dataset::detect::JSON;
use crate::error::Error;

/// Most bytes of a line: a path has some thousands at most, a caption hardly more.
const MAX_LINE: u64 = 1 << 20;
const TOO_LONG: &str = "a line has more than 1 MiB";

/// How lines become rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rows {
    /// A line is a path.
    Whole,
    /// Fields between these bytes, quoted as in CSV.
    Separated(u8),
    /// `path with spaces 17`
    LastSpace,
    /// A JSON object, with these fields in this order.
    Json(Vec<String>),
}

/// Calls `visit` with number and fields of the first rows that are not empty, `most` of them.
pub(super) fn for_each(
    path: &Path,
    rows: &Rows,
    most: usize,
    mut visit: impl FnMut(u64, &[&[u8]]) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = open_file(path).map_err(unreadable(path))?;
    let budget = Budget::new(file, MAX_LINE, TOO_LONG);
    let left = budget.left();
    match rows {
        Rows::Json(fields) => json(path, budget, &left, fields, most, &mut visit),
        _ => separated(path, budget, &left, rows, most, &mut visit),
    }
}

type Visit<'a> = dyn FnMut(u64, &[&[u8]]) -> Result<(), Error> + 'a;

fn separated(
    path: &Path,
    budget: Budget<File>,
    left: &Rc<Cell<u64>>,
    rows: &Rows,
    most: usize,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let mut reader = reader(budget, rows);
    // the reader takes the second byte of such a line's end for the start of the next line
    let ends_twice = ends_in_two_bytes(path).map_err(unreadable(path))?;
    let (mut row, mut count, mut first) = (ByteRecord::new(), 0, true);
    while count < most {
        left.set(MAX_LINE);
        if !reader.read_byte_record(&mut row).map_err(|error| damaged(path, &error))? {
            break;
        }
        let line = row.position().map_or(0, csv::Position::line) + u64::from(ends_twice && !first);
        first = false;
        if row.iter().all(|field| field.trim_ascii().is_empty()) {
            continue;
        }
        let fields: Vec<&[u8]> = match rows {
            Rows::Whole => row.iter().collect(),
            Rows::LastSpace => at_last_space(row.get(0).unwrap_or_default().trim_ascii()),
            _ => row.iter().map(<[u8]>::trim_ascii).collect(),
        };
        visit(line, &fields)?;
        count += 1;
    }
    Ok(())
}

/// Whether the first line ends as on Windows.
fn ends_in_two_bytes(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    open_file(path)?.take(64 << 10).read_to_end(&mut start)?;
    let end = start.iter().position(|&byte| byte == b'\n');
    Ok(end.is_some_and(|end| start[..end].ends_with(b"\r")))
}

fn damaged(path: &Path, error: &csv::Error) -> Error {
    match error.kind() {
        ErrorKind::Io(source) => unreadable_line(path, source),
        _ => malformed(path, format!("is a damaged list ({error}); write it again")),
    }
}

fn unreadable_line(path: &Path, source: &io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::InvalidData => malformed(
            path,
            format!("is no list of images: {source}, perhaps for lack of a closing quote"),
        ),
        kind => unreadable(path)(io::Error::new(kind, source.to_string())),
    }
}

fn reader(file: Budget<File>, rows: &Rows) -> Reader<Budget<File>> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    match rows {
        Rows::Separated(byte) => builder.delimiter(*byte),
        // no text has this byte
        _ => builder.delimiter(0).quoting(false),
    };
    builder.from_reader(file)
}

fn at_last_space(line: &[u8]) -> Vec<&[u8]> {
    match line.iter().rposition(|&byte| byte == b' ' || byte == b'\t') {
        Some(space) => vec![line[..space].trim_ascii_end(), &line[space + 1..]],
        None => vec![line],
    }
}

fn json(
    path: &Path,
    budget: Budget<File>,
    left: &Rc<Cell<u64>>,
    fields: &[String],
    most: usize,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let mut count = 0;
    objects(path, budget, left, |line, object| {
        let field = |name: &String| object.get(name).and_then(json_label).unwrap_or_default();
        let row: Vec<_> = fields.iter().map(field).collect();
        let row: Vec<_> = row.iter().map(|field| field.as_bytes()).collect();
        count += 1;
        visit(line, &row).map(|()| count < most)
    })
}

/// The names of all fields in the first objects, `most` of them, in their order; `None` if a line is no
/// object.
pub(super) fn json_fields(path: &Path, most: usize) -> Result<Option<Vec<String>>, Error> {
    let mut file = BufReader::new(open_file(path).map_err(unreadable(path))?);
    let start = file.fill_buf().map_err(unreadable(path))?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    if !start.starts_with(b"{") {
        return Ok(None);
    }
    let budget = Budget::new(open_file(path).map_err(unreadable(path))?, MAX_LINE, TOO_LONG);
    let left = budget.left();
    let (mut fields, mut count) = (Vec::<String>::new(), 0);
    objects(path, budget, &left, |_, object| {
        for name in object.keys() {
            if !fields.contains(name) {
                fields.push(name.clone());
            }
        }
        count += 1;
        Ok(count < most)
    })?;
    Ok(Some(fields))
}

/// Calls `visit` with number and contents of each line, as long as it wants more.
fn objects(
    path: &Path,
    budget: Budget<File>,
    left: &Rc<Cell<u64>>,
    mut visit: impl FnMut(u64, &Map<String, Value>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut reader = BufReader::new(budget);
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        left.set(MAX_LINE);
        bytes.clear();
        line += 1;
        let read = reader.by_ref().read_until(b'\n', &mut bytes);
        if read.map_err(|error| unreadable_line(path, &error))? == 0 {
            return Ok(());
        }
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes).trim_ascii();
        if text.is_empty() {
            continue;
        }
        let object = serde_json::from_slice(text).map_err(|error| {
            if line == 1 {
                return Error::UnknownFormat { path: path.into(), found: JSON.into() };
            }
            let reason = format!("has no JSON object in line {line} ({error}); repair that line");
            malformed(path, reason)
        })?;
        if !visit(line, &object)? {
            return Ok(());
        }
    }
}
