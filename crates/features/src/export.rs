//! One export: from images to a file.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use probe::analysis::assignment::Components;
use probe::analysis::membership::Members;
use probe::{Chunk, Kind, Pass, Preprocess, Progress, Source, Subset, Views};

use crate::column::{Column, Values};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::spool::Spool;

/// What to write, and where.
pub struct Export<'a> {
    /// The images, in the order of the rows.
    pub images: &'a Subset,
    /// How they are decoded and normalized.
    pub preprocess: &'a Preprocess,
    /// What makes the features.
    pub source: &'a dyn Source,
    /// The mixture, if columns are measured in it.
    pub mixture: Option<&'a Components>,
    /// The columns.
    pub columns: &'a [Column],
    /// Names and values that the file has beside the features, such as the checkpoint. A partial export with
    /// other ones is not continued.
    pub description: &'a [(String, String)],
    /// The file; its extension says the format.
    pub out: &'a Path,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Rows of the file.
    pub images: usize,
    /// Images that could not be read, and have no row.
    pub left_out: usize,
    /// A sentence about the first of them that this run of the export met.
    pub note: Option<String>,
    /// Images that an earlier run had done already.
    pub continued_at: usize,
    /// The file, and a table of names and labels if the format has no place for them.
    pub files: Vec<PathBuf>,
}

impl Export<'_> {
    /// Writes the file. `report` gets images done and all images; it breaks to stop, and the next run
    /// continues.
    ///
    /// # Errors
    /// The file or its table exists, or another process writes it, or it has no format; a partial export of something else is
    /// in the same place; too many images cannot be read; the disk is full; `report` stops.
    ///
    /// # Panics
    /// If a column needs the mixture and there is none.
    pub fn run(&self, report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Result<Exported> {
        let format = Format::of(self.out, self.columns.len())?;
        if self.out.exists() {
            return Err(Error::Exists { path: self.out.to_owned() });
        }
        // Another file of features of the same images may have the same table.
        let table = format.files(self.out).into_iter().nth(1).filter(|table| table.exists());
        if let Some(path) = table.filter(|table| !self.is_table(table)) {
            return Err(Error::TableExists { path, out: self.out.to_owned() });
        }
        let mut spool = Spool::open(self)?;
        // Another process may have ended meanwhile.
        if self.out.exists() {
            spool.remove()?;
            return Err(Error::Exists { path: self.out.to_owned() });
        }
        let (continued_at, total) = (spool.done(), self.images.len());
        let note = if continued_at < total { self.compute(&mut spool, report)? } else { None };
        let rows = spool.finish()?;
        let files = format.write(self, &rows)?;
        let (images, left_out) = (rows.images.len(), total - rows.images.len());
        rows.remove()?;
        Ok(Exported { images, left_out, note, continued_at, files })
    }

    /// Computes the features of the images that are not done, and writes them to the spool.
    fn compute(
        &self,
        spool: &mut Spool,
        report: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<String>> {
        let (first, total) = (spool.done(), self.images.len());
        let rest = self.images.after(first);
        let pass = Pass { images: &rest, preprocess: self.preprocess, views: Views::Square };
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in self.columns.iter().map(Column::kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let mut members = self.mixture.map(Members::new);
        let (spool, failure) = (RefCell::new(spool), RefCell::new(None));
        let fail = |result: Result<()>| {
            if let Err(error) = result {
                failure.borrow_mut().get_or_insert(error);
            }
        };
        let mut after_batch = |done: usize, _: usize| {
            fail(spool.borrow_mut().end_batch(first + done));
            let flow = report(first + done, total);
            if failure.borrow().is_some() { ControlFlow::Break(()) } else { flow }
        };
        let progress = &mut Progress::new(rest.len(), &mut after_batch);
        let passed = pass.for_each_batch(&[self.source], &kinds, progress, &mut |chunk| {
            let mut spool = spool.borrow_mut();
            if chunk.kind == 0 {
                spool.add_images(chunk.images);
            }
            fail(self.write(kinds[chunk.kind], &chunk, members.as_mut(), &mut spool));
        });
        match failure.into_inner() {
            Some(error) => Err(error),
            None => {
                // What is done stays done, whether the pass was stopped or not.
                spool.into_inner().save()?;
                Ok(passed?.left_out)
            }
        }
    }

    /// Writes all columns that are made of vectors of this kind.
    fn write(
        &self,
        kind: Kind,
        chunk: &Chunk<'_>,
        members: Option<&mut Members<'_>>,
        spool: &mut Spool,
    ) -> Result<()> {
        let is_measured = |column: &Column| matches!(column.values, Values::Mixture(_));
        let measured = kind == Kind::Bottleneck && self.columns.iter().any(is_measured);
        let memberships = measured.then(|| {
            let members = members.expect("columns of the mixture come with the mixture");
            members.of(chunk.rows)
        });
        for (place, column) in self.columns.iter().enumerate() {
            let bytes: Vec<u8> = match (column.values, &memberships) {
                (Values::Features(of), _) if of == kind => {
                    chunk.rows.iter().flat_map(|x| x.to_le_bytes()).collect()
                }
                (Values::Mixture(measure), Some(memberships)) => {
                    memberships.iter().flat_map(|of| measure.bytes(of)).collect()
                }
                _ => continue,
            };
            spool.write(place, &bytes)?;
        }
        Ok(())
    }
}
