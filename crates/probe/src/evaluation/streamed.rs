//! Judgments of probes that take training rows as they come: only the features of test images are in memory.

use super::{Evaluation, Judged, judges, judgment};
use crate::definition::{Features, Stream};
use crate::error::Result;
use crate::matrix::Matrix;
use crate::pass::Chunk;
use crate::progress::Progress;
use crate::source::{Kind, Source, Wanted};

/// Values of training rows that are collected before probes get them, about.
const VALUES: usize = 1 << 20;

/// Training rows of one kind from one source, and the probes that get them.
struct Rows<'a> {
    waiting: Matrix,
    unit: bool,
    /// Each with the number of its probe.
    streams: Vec<(usize, Box<dyn Stream + 'a>)>,
}

impl Rows<'_> {
    fn push(&mut self, rows: &[f32], width: usize) {
        self.waiting.push(rows, width);
        if self.waiting.values.len() >= VALUES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.unit {
            self.waiting.normalize();
        }
        self.streams.iter_mut().for_each(|(_, stream)| stream.add(&self.waiting));
        self.waiting.clear();
    }
}

impl Evaluation {
    /// Whether there are probes, and all take training rows as they come. Without probes, features are held for the
    /// caller.
    pub(super) fn streams(&self) -> bool {
        let none = Features::default();
        !self.probes.is_empty() && self.probes.iter().all(|probe| probe.stream(&none).is_some())
    }

    /// [`judge`](Self::judge) if all probes take training rows as they come: first a pass over the test images, then
    /// one over the training images.
    pub(super) fn judge_streamed(
        &self,
        sources: &[&dyn Source],
        progress: &mut Progress<'_>,
    ) -> Result<Judged> {
        let (wanted, places) = self.wanted(sources);
        let test = self.pass(&self.test).extract_to(self.storage, sources, &wanted, progress)?;
        test.passed.require_finite()?;
        let mut rows = Vec::new();
        for (source, test) in sources.iter().zip(&test.features) {
            rows.push(self.rows_of(*source, &wanted, &places, test));
        }
        let kinds: Vec<Kind> = wanted.iter().map(|wanted| wanted.kind).collect();
        let train = self.pass(&self.train);
        let passed = train.for_each_batch(sources, &kinds, progress, &mut |chunk| {
            let Chunk { source, kind, rows: values, width, .. } = chunk;
            rows[source][kind].push(values, width);
        })?;
        passed.require_finite()?;
        let labels = self.train.labels_of(&passed.indices);
        let mut judgments = Vec::new();
        for (source, of_kinds) in sources.iter().zip(rows) {
            let mut finished = Vec::new();
            for mut rows in of_kinds {
                rows.flush();
                finished.extend(rows.streams.into_iter().map(|(i, of)| (i, of.finish(&labels))));
            }
            finished.sort_by_key(|(probe, _)| *probe);
            let finished = finished.into_iter();
            judgments.extend(
                finished.map(|(i, scores)| judgment(self.probes[i].as_ref(), *source, scores)),
            );
        }
        let read = (passed.indices.len(), test.passed.indices.len());
        let left_out = [passed.left_out, test.passed.left_out];
        let warnings = left_out.into_iter().flatten().chain(progress.take_notes());
        Ok(Judged { read, judgments, warnings: warnings.collect() })
    }

    /// For each kind of features of a source, the probes that judge them.
    fn rows_of<'a>(
        &'a self,
        source: &dyn Source,
        wanted: &[Wanted],
        places: &[Option<usize>],
        test: &'a [Features],
    ) -> Vec<Rows<'a>> {
        let of_kind = |(kind, wanted): (usize, &Wanted)| {
            let probes = self.probes.iter().enumerate().zip(places);
            let probes = probes.filter(|((_, probe), place)| {
                **place == Some(kind) && judges(probe.as_ref(), source)
            });
            let streams =
                probes.filter_map(|((i, probe), _)| Some((i, probe.stream(&test[kind])?)));
            Rows { waiting: Matrix::default(), unit: wanted.unit, streams: streams.collect() }
        };
        wanted.iter().enumerate().map(of_kind).collect()
    }
}
