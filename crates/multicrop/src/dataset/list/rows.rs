//! Parses the lines of a list into rows of fields.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::dataset::bytes::{LimitedReader, malformed, open_file, unreadable};
use crate::dataset::foreign::JSON;
use crate::dataset::json::json_label;
use crate::error::Error;

/// Limit on the bytes of a line: a path or a caption has a few thousand at most.
const MAX_LINE: u64 = 1 << 20;
const TOO_LONG: &str = "a line has more than 1 MiB";

/// The syntax of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Syntax {
    /// One path.
    Whole,
    /// Fields separated by this byte, quoted as in CSV.
    Separated(u8),
    /// `path with spaces 17`
    LastSpace,
    /// A JSON object, with these fields in this order.
    Json(Vec<String>),
}

/// Calls `visit` with the line number and the fields of the first `limit` rows that are not empty.
pub(super) fn for_each(
    path: &Path,
    syntax: &Syntax,
    limit: usize,
    mut visit: impl FnMut(u64, &[&[u8]]) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = open_file(path).map_err(unreadable(path))?;
    let input = Input::new(path, file);
    match syntax {
        Syntax::Json(fields) => json(input, fields, limit, &mut visit),
        _ => separated(input, syntax, limit, &mut visit),
    }
}

/// An open list whose lines have a limited length.
struct Input<'a> {
    path: &'a Path,
    reader: LimitedReader<File>,
    /// Bytes that the current line may still have.
    left: Rc<Cell<u64>>,
}

impl<'a> Input<'a> {
    fn new(path: &'a Path, file: File) -> Self {
        let reader = LimitedReader::new(file, MAX_LINE, TOO_LONG);
        let left = reader.left();
        Self { path, reader, left }
    }
}

type Visit<'a> = dyn FnMut(u64, &[&[u8]]) -> Result<(), Error> + 'a;

fn separated(
    input: Input<'_>,
    syntax: &Syntax,
    limit: usize,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let Input { path, reader, left } = input;
    let mut reader = csv_reader(reader, syntax);
    // the reader counts the second byte of a Windows line end as part of the next line
    let ends_twice = ends_in_two_bytes(path).map_err(unreadable(path))?;
    let (mut row, mut count, mut first) = (ByteRecord::new(), 0, true);
    while count < limit {
        left.set(MAX_LINE);
        if !reader.read_byte_record(&mut row).map_err(|error| damaged(path, &error))? {
            break;
        }
        let line = row.position().map_or(0, csv::Position::line) + u64::from(ends_twice && !first);
        first = false;
        if row.iter().all(|field| field.trim_ascii().is_empty()) {
            continue;
        }
        let fields: Vec<&[u8]> = match syntax {
            Syntax::Whole => row.iter().collect(),
            Syntax::LastSpace => at_last_space(row.get(0).unwrap_or_default().trim_ascii()),
            _ => row.iter().map(|field| unquoted(field.trim_ascii())).collect(),
        };
        visit(line, &fields)?;
        count += 1;
    }
    Ok(())
}

/// A field without quotes around it. Those after a space, as in `a.png, "cat"`, are none to CSV.
fn unquoted(field: &[u8]) -> &[u8] {
    let inside = field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inside.filter(|inside| !inside.contains(&b'"')).unwrap_or(field)
}

/// Whether the first line has a Windows line end.
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
            format!("is not a list of images: {source}; perhaps a closing quote is missing"),
        ),
        kind => unreadable(path)(io::Error::new(kind, source.to_string())),
    }
}

fn csv_reader(file: LimitedReader<File>, syntax: &Syntax) -> Reader<LimitedReader<File>> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    match syntax {
        Syntax::Separated(byte) => builder.delimiter(*byte),
        // this byte does not occur in text
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
    input: Input<'_>,
    fields: &[String],
    limit: usize,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let mut count = 0;
    objects(input, |line, object| {
        let field = |name: &String| object.get(name).and_then(json_label).unwrap_or_default();
        let row: Vec<_> = fields.iter().map(field).collect();
        let row: Vec<_> = row.iter().map(|field| field.as_bytes()).collect();
        count += 1;
        visit(line, &row).map(|()| count < limit)
    })
}

/// The names of all fields in the first `limit` objects, and of the `usual` ones in all others, in
/// order; `None` if the file does not start with an object.
pub(super) fn json_fields(
    path: &Path,
    limit: usize,
    usual: impl Fn(&str) -> bool,
) -> Result<Option<Vec<String>>, Error> {
    let mut file = BufReader::new(open_file(path).map_err(unreadable(path))?);
    let start = file.fill_buf().map_err(unreadable(path))?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    if !start.starts_with(b"{") {
        return Ok(None);
    }
    let input = Input::new(path, open_file(path).map_err(unreadable(path))?);
    let (mut fields, mut count) = (Vec::<String>::new(), 0);
    objects(input, |_, object| {
        for name in object.keys() {
            if (count < limit || usual(name)) && !fields.contains(name) {
                fields.push(name.clone());
            }
        }
        count += 1;
        Ok(true)
    })?;
    Ok(Some(fields))
}

/// Calls `visit` with the number and the object of each line, until it returns false.
fn objects(
    input: Input<'_>,
    mut visit: impl FnMut(u64, &Map<String, Value>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let Input { path, reader, left } = input;
    let mut reader = BufReader::new(reader);
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
