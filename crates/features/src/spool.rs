//! Features on disk while they are made: raw rows, one file for each column, and how far it is.
//!
//! ```text
//! OUT.partial/0.f32 …    rows of column 0 …, little-endian f32 (i32 for components)
//! OUT.partial/state.json what is exported, images done, and which of them have no row
//! OUT.partial/.lock      of the process that writes these
//! ```
//!
//! The first state is written before the first row, so that no other export takes these rows for its own. Later ones are
//! written after the rows that they count have reached the disk. What the files have beyond the state is cut off when the
//! export continues.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::error::{Error, Result, at};
use crate::export::Export;

/// Time between two states: what is lost at most.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// What is known of a partial export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    description: Vec<(String, String)>,
    columns: Vec<(String, Vec<usize>)>,
    /// All images.
    images: usize,
    /// Images that are done: the first ones.
    done: usize,
    /// Places of those among them that could not be read, in the order of the export.
    left_out: Vec<usize>,
}

/// A partial export.
pub(crate) struct Spool {
    folder: PathBuf,
    columns: Vec<Column>,
    files: Vec<BufWriter<File>>,
    state: State,
    /// Places in the source of all images.
    places: Vec<usize>,
    /// Images of the current batch that have a row.
    read: Vec<usize>,
    saved: Instant,
    lock: File,
}

/// The features of all images that could be read, on disk.
pub(crate) struct Rows {
    folder: PathBuf,
    columns: Vec<Column>,
    /// The images' places in the source.
    pub(crate) images: Vec<usize>,
    /// No other process writes the folder as long as this is open.
    _lock: File,
}

impl Spool {
    /// Starts a partial export, or continues one.
    pub(crate) fn open(export: &Export<'_>) -> Result<Self> {
        let mut name = export.out.as_os_str().to_owned();
        name.push(".partial");
        let folder = PathBuf::from(name);
        let columns = export.columns.to_vec();
        let fresh = State {
            description: export.description.to_vec(),
            columns: columns.iter().map(|c| (c.name.clone(), c.shape.clone())).collect(),
            images: export.images.len(),
            done: 0,
            left_out: Vec::new(),
        };
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let lock = lock(&folder, export.out)?;
        let state = State::read(&folder)?.unwrap_or_else(|| fresh.clone());
        if let Some(what) = state.difference(&fresh) {
            return Err(Error::OtherExport { path: folder, what });
        }
        let rows = (state.done - state.left_out.len()) as u64;
        let open = |(i, column): (usize, &Column)| {
            let bytes = rows * 4 * column.len() as u64;
            open_at(&column_file(&folder, i), bytes, &folder)
        };
        let files = columns.iter().enumerate().map(open).collect::<Result<_>>()?;
        let places = export.images.indices().to_vec();
        let (read, saved) = (Vec::new(), Instant::now());
        let mut spool = Self { folder, columns, files, state, places, read, saved, lock };
        spool.save()?;
        Ok(spool)
    }

    /// Removes the export, as far as it is.
    pub(crate) fn remove(self) -> Result<()> {
        let Self { folder, columns, lock, .. } = self;
        Rows { folder, columns, images: Vec::new(), _lock: lock }.remove()
    }

    /// Images that are done.
    pub(crate) fn done(&self) -> usize {
        self.state.done
    }

    /// The next rows of all columns are of these images.
    pub(crate) fn add_images(&mut self, images: &[usize]) {
        self.read.extend(images);
    }

    /// Adds rows of a column, four bytes for each value.
    pub(crate) fn write(&mut self, column: usize, rows: &[u8]) -> Result<()> {
        self.files[column].write_all(rows).map_err(at(&self.folder))
    }

    /// All columns of the images before `done` are written.
    pub(crate) fn end_batch(&mut self, done: usize) -> Result<()> {
        let batch = &self.places[self.state.done..done];
        let mut read = self.read.iter().peekable();
        for place in batch {
            if read.next_if_eq(&place).is_none() {
                self.state.left_out.push(*place);
            }
        }
        self.read.clear();
        self.state.done = done;
        if self.saved.elapsed() < SAVE_EVERY { Ok(()) } else { self.save() }
    }

    /// Writes down how far the export is.
    pub(crate) fn save(&mut self) -> Result<()> {
        for file in &mut self.files {
            let flushed = file.flush().and_then(|()| file.get_ref().sync_data());
            flushed.map_err(at(&self.folder))?;
        }
        let path = self.folder.join(STATE);
        let text = serde_json::to_vec(&self.state).map_err(|error| at(&path)(error.into()))?;
        atomic_file::write(&path, &text).map_err(at(&path))?;
        self.saved = Instant::now();
        Ok(())
    }

    /// All images are done.
    pub(crate) fn finish(mut self) -> Result<Rows> {
        self.save()?;
        let Self { folder, columns, places, state, lock, .. } = self;
        let mut left_out = state.left_out.iter().peekable();
        let images = places.into_iter().filter(|place| left_out.next_if_eq(&place).is_none());
        Ok(Rows { folder, columns, images: images.collect(), _lock: lock })
    }
}

const STATE: &str = "state.json";
const LOCK: &str = ".lock";

/// Makes this process the only one that writes the folder of `out`.
fn lock(folder: &Path, out: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let lock = atomic_file::lock(&path).map_err(at(&path))?;
    lock.ok_or_else(|| Error::InUse { path: out.to_owned() })
}

impl State {
    /// That of a folder, if it has one.
    fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(at(&path))?;
        let state: Option<Self> = serde_json::from_slice(&text).ok();
        let whole =
            state.filter(|state| state.left_out.len() <= state.done && state.done <= state.images);
        whole.map(Some).ok_or_else(|| Error::Damaged { path: folder.to_owned() })
    }

    /// What makes this another export than `wanted`, in words.
    fn difference(&self, wanted: &Self) -> Option<String> {
        if self.columns != wanted.columns {
            return Some("of other features".to_owned());
        }
        if self.images != wanted.images {
            return Some(format!("of {} images instead of {}", self.images, wanted.images));
        }
        let differs = |(found, wanted): &(&(String, String), &(String, String))| found != wanted;
        let mut pairs = self.description.iter().zip(&wanted.description);
        let ((name, found), (_, wanted)) = pairs.find(differs)?;
        Some(format!("with {name} `{found}` instead of `{wanted}`"))
    }
}

impl Rows {
    /// Values of a column, from the first to the last row.
    pub(crate) fn open(&self, column: usize) -> Result<BufReader<File>> {
        let path = column_file(&self.folder, column);
        Ok(BufReader::with_capacity(1 << 20, File::open(&path).map_err(at(&path))?))
    }

    /// The columns.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Removes the folder. If a user has put something else into it, that stays.
    pub(crate) fn remove(self) -> Result<()> {
        let columns = (0..self.columns.len()).map(|column| column_file(&self.folder, column));
        for path in columns.chain([STATE, LOCK].map(|name| self.folder.join(name))) {
            fs::remove_file(&path).map_err(at(&path))?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                Err(at(&self.folder)(error))
            }
            _ => Ok(()),
        }
    }
}

fn column_file(folder: &Path, column: usize) -> PathBuf {
    folder.join(format!("{column}.f32"))
}

/// A file whose first `bytes` bytes are kept and the rest is cut off.
fn open_at(path: &Path, bytes: u64, folder: &Path) -> Result<BufWriter<File>> {
    let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = options.map_err(at(path))?;
    if file.metadata().map_err(at(path))?.len() < bytes {
        return Err(Error::Damaged { path: folder.to_owned() });
    }
    file.set_len(bytes).map_err(at(path))?;
    file.seek(SeekFrom::Start(bytes)).map_err(at(path))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}
