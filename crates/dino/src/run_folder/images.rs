//! [`Images`] identify the images of a run: their number, their names, and the bytes of some.

use multicrop::dataset::{Dataset, Sample, spread};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fingerprint::hex;

/// Images whose bytes are compared, spread evenly.
const SAMPLES: usize = 16;
/// Names that one thread hashes at a time.
const CHUNK: usize = 4096;

/// The identity of the images of a data set, independent of where they lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// How many there are.
    count: usize,
    /// SHA-256 of all names in their order, without the folder that all of them share.
    names: String,
    /// The first bytes of the SHA-256 of some images' content; `None` for an image that cannot be read.
    contents: Vec<Option<String>>,
}

impl Images {
    /// The identity of `dataset`. Reads all names and a few images; no images from an archive that would
    /// have to be unpacked first.
    pub fn of(dataset: &dyn Dataset) -> Self {
        let packed = dataset.shards().is_some_and(|shards| shards.slow);
        let contents = match packed {
            true => Vec::new(),
            false => spread(dataset.len(), SAMPLES).map(|index| content(dataset, index)).collect(),
        };
        Self { count: dataset.len(), names: names(dataset), contents }
    }

    /// How `now`, the images of `dataset`, differ from these, in words that follow "the images changed:".
    pub fn difference(&self, now: &Self, dataset: &dyn Dataset) -> Option<String> {
        if self.count != now.count {
            return Some(format!("there were {} and now there are {}", self.count, now.count));
        }
        if self.names != now.names {
            return Some(format!("not all of the {} have the names they had", self.count));
        }
        let mut pairs = spread(self.count, SAMPLES).zip(self.contents.iter().zip(&now.contents));
        let other = pairs.find(|(_, (then, now))| then.is_some() && now.is_some() && then != now);
        other.map(|(index, _)| format!("`{}` has another content", dataset.name(index)))
    }
}

fn content(dataset: &dyn Dataset, index: usize) -> Option<String> {
    let hash = match dataset.read(index).ok()? {
        Sample::Encoded(bytes) | Sample::Page { bytes, .. } => Sha256::digest(&bytes),
        Sample::Pixels(image) => Sha256::digest(image.pixels()),
    };
    Some(hex(&hash[..8]))
}

/// The SHA-256 of the SHA-256s of chunks of names, so that threads can share the work.
fn names(dataset: &dyn Dataset) -> String {
    let shared = shared_folder(dataset);
    let hash_chunk = |first: usize| {
        let mut hash = Sha256::new();
        for index in chunk(dataset, first) {
            hash.update(&dataset.name(index).as_bytes()[shared..]);
            hash.update([0]);
        }
        hash.finalize()
    };
    let chunks: Vec<_> =
        (0..dataset.len()).into_par_iter().step_by(CHUNK).map(hash_chunk).collect();
    let mut hash = Sha256::new();
    chunks.iter().for_each(|chunk| hash.update(chunk));
    hex(&hash.finalize())
}

/// The length of the folder with which all names begin, its last slash included.
fn shared_folder(dataset: &dyn Dataset) -> usize {
    if dataset.is_empty() {
        return 0;
    }
    let first = dataset.name(0);
    let folder_of = |len: usize| first[..len].rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    let shared = |start: usize| {
        let mut len = folder_of(first.len());
        for index in chunk(dataset, start) {
            let name = dataset.name(index);
            if !name.as_bytes().starts_with(&first.as_bytes()[..len]) {
                let pairs = name.bytes().zip(first.bytes());
                let equal = pairs.take_while(|(a, b)| a == b).count();
                len = folder_of(first.floor_char_boundary(equal));
            }
        }
        len
    };
    let lens = (0..dataset.len()).into_par_iter().step_by(CHUNK).map(shared);
    lens.min().unwrap_or(0)
}

fn chunk(dataset: &dyn Dataset, first: usize) -> std::ops::Range<usize> {
    first..dataset.len().min(first + CHUNK)
}

#[cfg(test)]
mod tests {
    use multicrop::SampleError;

    use super::*;

    /// Names, and bytes for those that can be read.
    struct Files(Vec<(String, Option<u8>)>);

    impl Dataset for Files {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
            let byte = self.0[index].1.ok_or(SampleError::Empty)?;
            Ok(Sample::Encoded(vec![byte].into()))
        }
        fn label(&self, _: usize) -> Option<u32> {
            None
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn name(&self, index: usize) -> String {
            self.0[index].0.clone()
        }
        fn describe(&self) -> String {
            "files".to_owned()
        }
    }

    fn files(names: &[&str]) -> Files {
        Files(names.iter().map(|name| ((*name).to_owned(), Some(7))).collect())
    }

    fn difference(then: &Files, now: &Files) -> Option<String> {
        Images::of(then).difference(&Images::of(now), now)
    }

    #[test]
    fn a_moved_data_set_has_the_same_images() {
        let then = files(&["data/photos/a/1.jpg", "data/photos/a/2.jpg", "data/photos/b/1.jpg"]);
        let now = files(&["/mnt/p/a/1.jpg", "/mnt/p/a/2.jpg", "/mnt/p/b/1.jpg"]);
        assert_eq!(difference(&then, &now), None);
        assert_eq!(difference(&files(&["é/1", "é/2"]), &files(&["è/1", "è/2"])), None);
    }

    #[test]
    fn more_fewer_renamed_and_replaced_images_are_told_apart() {
        let then = files(&["p/a/1.jpg", "p/a/2.jpg", "p/b/1.jpg"]);
        let fewer = difference(&then, &files(&["p/a/1.jpg", "p/b/1.jpg"])).expect("a difference");
        assert_eq!(fewer, "there were 3 and now there are 2");
        let renamed = difference(&then, &files(&["p/a/1.jpg", "p/a/3.jpg", "p/b/1.jpg"]));
        assert_eq!(renamed.as_deref(), Some("not all of the 3 have the names they had"));
        let swapped = difference(&then, &files(&["p/a/2.jpg", "p/a/1.jpg", "p/b/1.jpg"]));
        assert!(swapped.is_some(), "the order decides which image a step sees");
        let mut other = files(&["p/a/1.jpg", "p/a/2.jpg", "p/b/1.jpg"]);
        other.0[1].1 = Some(8);
        let replaced = difference(&then, &other);
        assert_eq!(replaced.as_deref(), Some("`p/a/2.jpg` has another content"));
        other.0[1].1 = None;
        assert_eq!(difference(&then, &other), None, "an image that cannot be read says nothing");
    }

    #[test]
    fn names_of_many_chunks_are_hashed_whatever_the_threads() {
        let names: Vec<String> = (0..3 * CHUNK + 5).map(|i| format!("p/{i:06}.jpg")).collect();
        let files = files(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let hash_with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| Images::of(&files))
        };
        assert_eq!(hash_with(1), hash_with(3));
    }
}
