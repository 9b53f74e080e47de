//! A text file that lists images: a path in each line, or `path,label`.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::bytes::{malformed, read_file, unreadable};
use super::folder::walk::named_like_an_image;
use super::labels::{LABEL_NAMES, Labels};
use super::names::{Names, to_path};
use super::{Dataset, OpenOptions, Sample};
use crate::error::{Error, SampleError};

/// Lines from whose paths the form of a list is found out.
const LOOKED_AT: usize = 100;
/// Columns among which the paths are looked for.
const MAX_COLUMNS: usize = 8;
/// What stands between the columns of a list; tried in this order.
const SEPARATORS: [Separator; 5] = [
    Separator::None,
    Separator::Byte(b'\t'),
    Separator::Byte(b','),
    Separator::Byte(b';'),
    Separator::LastSpace,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Separator {
    /// A line is a path.
    None,
    Byte(u8),
    /// `path with spaces 17`
    LastSpace,
}

/// How the lines of a list are to be read.
#[derive(Debug, Clone, Copy)]
struct Form {
    separator: Separator,
    path: usize,
    label: Option<usize>,
    header: bool,
}

/// The images that a text file lists, in its order.
///
/// Paths are relative to the file's folder. Columns are separated by tabs, commas or semicolons
/// (quoted as in CSV), or the last space; the first line may be a header. Labels are class numbers,
/// or else names. A path that leads nowhere is a bad image.
pub struct List {
    path: PathBuf,
    folder: PathBuf,
    files: Names,
    labels: Labels,
}

impl List {
    /// Reads a list.
    ///
    /// # Errors
    /// If it cannot be read, none of its first 100 paths exists, or some lines only have a label.
    pub fn open(path: &Path, _options: &OpenOptions) -> Result<Self, Error> {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let form = find_form(path, &folder)?;
        let (mut files, mut labels) = (Names::default(), Names::default());
        let mut header = form.header;
        for_each_row(path, form.separator, usize::MAX, |line, row| {
            if std::mem::take(&mut header) {
                return Ok(());
            }
            let field = row.get(form.path).filter(|field| !field.is_empty());
            let Some(field) = field else {
                return Err(malformed(
                    path,
                    format!("has no path in line {line}; add or remove it"),
                ));
            };
            files.push(field);
            labels.push(form.label.and_then(|column| row.get(column)).unwrap_or_default());
            Ok(())
        })?;
        if files.is_empty() {
            return Err(Error::NoImages { path: path.into() });
        }
        files.shrink();
        let labels = Labels::from_texts(labels.iter().map(Some));
        Ok(Self { path: path.into(), folder, files, labels })
    }

    fn file(&self, index: usize) -> PathBuf {
        self.folder.join(to_path(self.files.get(index)))
    }
}

/// The form in which most of the first paths exist.
fn find_form(path: &Path, folder: &Path) -> Result<Form, Error> {
    let mut best: Option<(usize, Form)> = None;
    let mut first_line = String::new();
    for separator in SEPARATORS {
        let mut rows = Vec::new();
        for_each_row(path, separator, LOOKED_AT, |_, row| {
            rows.push(row.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            Ok(())
        })?;
        let Some(first) = rows.first() else { break };
        if separator == Separator::None {
            first_line = String::from_utf8_lossy(&first[0]).chars().take(80).collect();
        }
        let exists = |field: &[u8]| !field.is_empty() && folder.join(to_path(field)).is_file();
        for column in 0..rows.iter().map(Vec::len).max().unwrap_or(0).min(MAX_COLUMNS) {
            let fields = rows.iter().filter_map(|row| row.get(column));
            let count = fields.filter(|field| exists(field)).count();
            if count > best.map_or(0, |(count, _)| count) {
                let head = first.get(column).map_or(&[][..], |field| field);
                let header = !exists(head) && named_like_an_image(head) != Some(true);
                let label = label_column(first, column, header);
                best = Some((count, Form { separator, path: column, label, header }));
            }
        }
    }
    best.map(|(_, form)| form).ok_or_else(|| {
        let reason = format!(
            "is text, but none of its first lines names a file (line 1 is `{first_line}`); a list \
             has a path, or `path,label`, in each line, relative to its own folder `{}`",
            folder.display()
        );
        malformed(path, reason)
    })
}

/// The column of labels: by its name in the header, or else the one beside the paths.
fn label_column(first: &[Vec<u8>], path: usize, header: bool) -> Option<usize> {
    let named =
        |name: &&str| first.iter().position(|field| field.eq_ignore_ascii_case(name.as_bytes()));
    match LABEL_NAMES.iter().find_map(named).filter(|_| header) {
        Some(column) => Some(column),
        None if header && first.len() > 2 => None,
        None if path + 1 < first.len() => Some(path + 1),
        None => path.checked_sub(1),
    }
}

/// Calls `visit` with number and fields of the first rows that are not empty, `most` of them.
fn for_each_row(
    path: &Path,
    separator: Separator,
    most: usize,
    mut visit: impl FnMut(u64, &ByteRecord) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = reader(path, separator).map_err(unreadable(path))?;
    let (mut row, mut count) = (ByteRecord::new(), 0);
    while count < most {
        let more = reader.read_byte_record(&mut row).map_err(|error| {
            malformed(path, format!("is a damaged list ({error}); write it again"))
        })?;
        if !more {
            break;
        }
        let line = row.position().map_or(0, csv::Position::line);
        if separator != Separator::None {
            row.trim();
        }
        if row.iter().all(<[u8]>::is_empty) {
            continue;
        }
        if separator == Separator::LastSpace {
            row = split_at_last_space(&row);
        }
        visit(line, &row)?;
        count += 1;
    }
    Ok(())
}

fn reader(path: &Path, separator: Separator) -> std::io::Result<Reader<File>> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    match separator {
        Separator::Byte(byte) => builder.delimiter(byte),
        // no text has this byte
        Separator::None | Separator::LastSpace => builder.delimiter(0).quoting(false),
    };
    Ok(builder.from_reader(File::open(path)?))
}

fn split_at_last_space(row: &ByteRecord) -> ByteRecord {
    let line = row.get(0).unwrap_or_default();
    match line.iter().rposition(|&byte| byte == b' ' || byte == b'\t') {
        Some(space) => ByteRecord::from(vec![line[..space].trim_ascii_end(), &line[space + 1..]]),
        None => row.clone(),
    }
}

impl Dataset for List {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        read_file(&self.file(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn name(&self, index: usize) -> String {
        self.file(index).to_string_lossy().into_owned()
    }

    fn describe(&self) -> String {
        format!("list `{}`", self.path.display())
    }
}
