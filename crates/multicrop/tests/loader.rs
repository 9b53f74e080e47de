//! Tests of the guarantees about batches: contents, order, and replacement of bad images.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use half::bf16;
use multicrop::dataset::Sample;
use multicrop::decode::Options;
use multicrop::loader::{Batch, Loader, LoaderConfig, batch_at, steps_per_epoch};
use multicrop::recipe::Recipe;
use multicrop::{Dataset, Error, Image8, SampleError, open};
use tempfile::tempdir;

/// A data set of distinct images; those in `bad` cannot be loaded.
struct Colors {
    len: usize,
    bad: Vec<usize>,
}

impl Dataset for Colors {
    fn len(&self) -> usize {
        self.len
    }
    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        if self.bad.contains(&index) {
            return Err(SampleError::Empty);
        }
        let pixels = (0..20 * 16 * 3).map(|i| (i * (index + 1)) as u8).collect();
        Ok(Sample::Pixels(Image8::new(20, 16, pixels).unwrap()))
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn name(&self, index: usize) -> String {
        format!("color {index}")
    }
    fn describe(&self) -> String {
        "colors".into()
    }
}

fn colors(len: usize, bad: &[usize]) -> Arc<dyn Dataset> {
    Arc::new(Colors { len, bad: bad.to_vec() })
}

fn recipe() -> Arc<Recipe> {
    Arc::new(Recipe::dino(12, 8, 3))
}

fn config(batch_size: usize, workers: usize) -> LoaderConfig {
    LoaderConfig { batch_size, workers, seed: 5, ..LoaderConfig::default() }
}

fn start(data: &Arc<dyn Dataset>, config: LoaderConfig, first: u64, last: u64) -> Loader {
    Loader::start(Arc::clone(data), recipe(), config, first, last).unwrap()
}

fn batches(data: &Arc<dyn Dataset>, workers: usize, first: u64, last: u64) -> Vec<Batch> {
    start(data, config(4, workers), first, last).map(Result::unwrap).collect()
}

#[test]
fn batches_of_bf16_are_those_of_f32_rounded() {
    let data = colors(12, &[5]);
    let config = config(4, 2);
    let rounded = Loader::<bf16>::start(Arc::clone(&data), recipe(), config.clone(), 0, 6).unwrap();
    for (batch, rounded) in start(&data, config, 0, 6).zip(rounded) {
        let (batch, rounded) = (batch.unwrap(), rounded.unwrap());
        assert_eq!(batch.indices, rounded.indices);
        let pairs = [(&batch.globals, &rounded.globals), (&batch.locals, &rounded.locals)];
        for (single, half) in pairs {
            let expected: Vec<bf16> = single.data.iter().map(|&x| bf16::from_f32(x)).collect();
            assert_eq!(*half.data, *expected);
        }
    }
}

#[test]
fn batches_do_not_depend_on_workers_or_on_where_a_run_started() {
    // 4 steps in an epoch, 2 images left over; image 3 is bad
    let data = colors(18, &[3]);
    let all = batches(&data, 1, 0, 10);
    assert_eq!(
        all.iter().map(|batch| (batch.step, batch.epoch)).collect::<Vec<_>>()[7..9],
        [(7, 1), (8, 2)]
    );
    assert_eq!(all, batches(&data, 2, 0, 10));
    assert_eq!(all, batches(&data, 7, 0, 10));
    assert_eq!(all[6..], batches(&data, 3, 6, 10));
    for batch in &all {
        assert_eq!(*batch, batch_at(&*data, &*recipe(), &config(4, 1), batch.step).unwrap());
    }
    assert!(all.iter().any(|batch| !batch.bad.is_empty()));
}

#[test]
fn recycled_memory_changes_nothing() {
    let data = colors(18, &[]);
    let all = batches(&data, 2, 0, 9);
    let mut loader = start(&data, config(4, 2), 0, 9);
    for expected in &all {
        let batch = loader.next().unwrap().unwrap();
        assert_eq!(batch, *expected);
        loader.recycle(batch);
    }
    assert!(loader.next().is_none() && loader.next().is_none());
}

#[test]
fn crops_are_ordered_by_crop_and_come_from_the_stream_of_their_sample() {
    use streams::{Key, Purpose};
    let (data, recipe) = (colors(9, &[]), recipe());
    let batch = batch_at::<f32>(&*data, &*recipe, &config(4, 1), 3).unwrap();
    assert_eq!((batch.epoch, batch.globals.crops, batch.locals.crops), (1, 2, 3));
    for (place, &index) in batch.indices.iter().enumerate() {
        for crop in 0..5 {
            let key = Key::new(5, Purpose::Augment).time(1).index(index as u64).part(crop as u32);
            let mut expected = vec![0.0; recipe.crop_len(crop)];
            let image = data.load(index, &Options::default()).unwrap().into_8_bits();
            recipe.augment_crop(&image, crop, &mut key.open(), &mut expected);
            let found = match crop {
                0 | 1 => batch.globals.crop(crop, place),
                _ => batch.locals.crop(crop - 2, place),
            };
            assert_eq!(found, expected, "crop {crop} of image {place}");
        }
    }
}

#[test]
fn an_epoch_visits_no_image_twice() {
    let data = colors(20, &[]);
    let mut seen: Vec<_> =
        batches(&data, 2, 0, 5).iter().flat_map(|batch| batch.indices.clone()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_recipe_may_have_no_local_crops() {
    let recipe = Arc::new(Recipe::dino(12, 8, 0));
    let mut loader = Loader::<f32>::start(colors(8, &[]), recipe, config(4, 2), 0, 1).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert!(batch.locals.data.is_empty() && batch.locals.crops == 0);
    assert_eq!(batch.globals.data.len(), 2 * 4 * 3 * 12 * 12);
}

#[test]
fn bad_images_are_replaced_by_the_next_ones_and_listed() {
    let data = colors(12, &[4, 5, 11]);
    let clean = colors(12, &[]);
    for (batch, expected) in batches(&data, 2, 0, 3).iter().zip(batches(&clean, 2, 0, 3)) {
        for (&index, &wanted) in batch.indices.iter().zip(&expected.indices) {
            let replaced = match wanted {
                4 | 5 => 6,
                11 => 0,
                other => other,
            };
            assert_eq!(index, replaced);
        }
    }
    let bad: Vec<_> = batches(&data, 1, 0, 3).into_iter().flat_map(|batch| batch.bad).collect();
    assert_eq!(bad.len(), 4, "image 5 occurs for itself and in place of 4");
    assert!(bad.iter().all(|image| image.kind == "empty" && image.name.starts_with("color ")));
}

/// Counts how often each image is read. Image 3 is damaged, image 5 is unavailable for the first
/// two reads.
struct Counted([AtomicUsize; 8]);

impl Dataset for Counted {
    fn len(&self) -> usize {
        8
    }
    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let reads = self.0[index].fetch_add(1, Ordering::Relaxed) + 1;
        match index {
            3 => Err(SampleError::Damaged { reason: "cut".into() }),
            5 if reads < 3 => Err(SampleError::Unavailable { reason: "the share is gone".into() }),
            _ => Ok(Sample::Pixels(Image8::filled(20, 16, &[index as u8, 2, 3]))),
        }
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn name(&self, index: usize) -> String {
        format!("counted {index}")
    }
    fn describe(&self) -> String {
        "counted".into()
    }
}

#[test]
fn a_bad_image_is_read_once_and_a_temporarily_unavailable_one_is_used() {
    let counted = Arc::new(Counted(Default::default()));
    let data: Arc<dyn Dataset> = counted.clone();
    // six epochs
    let batches = batches(&data, 1, 0, 12);
    let bad =
        |index| batches.iter().flat_map(|batch| &batch.bad).filter(|b| b.index == index).count();
    assert_eq!((bad(3), bad(5)), (6, 0), "listed each time it occurs");
    assert_eq!(counted.0[3].load(Ordering::Relaxed), 1);
    assert!(batches.iter().any(|batch| batch.indices.contains(&5)));
}

#[test]
fn a_strict_run_stops_at_the_first_bad_image() {
    let config = LoaderConfig { strict: true, ..config(4, 2) };
    let errors: Vec<_> = start(&colors(4, &[2]), config, 0, 5).filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].to_string(), "image 2, `color 2`, cannot be used: the file is empty");
}

#[test]
fn many_bad_images_stop_the_run_with_a_summary() {
    let bad: Vec<_> = (0..11).collect();
    let ended = |workers| {
        let results: Vec<_> = start(&colors(60, &bad), config(6, workers), 0, 10).collect();
        let mut listed: Vec<_> = results
            .iter()
            .flatten()
            .flat_map(|batch| batch.bad.iter().map(|bad| bad.index))
            .collect();
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed, bad, "all of them are in a batch");
        (results.len(), results.into_iter().find_map(Result::err).unwrap())
    };
    let (batches, error) = ended(1);
    let message = error.to_string();
    assert!(matches!(error, Error::TooManyBadImages { images: 60, allowed: 10, .. }), "{message}");
    assert!(message.contains("empty, first `color"), "{message}");
    for workers in [2, 7] {
        let (same, error) = ended(workers);
        assert_eq!((same, error.to_string()), (batches, message.clone()), "{workers} workers");
    }
    let mut ten = start(&colors(60, &bad[..10]), config(6, 2), 0, 10);
    assert!(ten.all(|batch| batch.is_ok()), "ten are tolerated");
    let all = start(&colors(3, &[0, 1, 2]), config(3, 1), 0, 1).find_map(Result::err).unwrap();
    assert!(matches!(all, Error::NoReplacement { tries: 3, .. }), "{all}");
}

#[test]
fn too_few_images_for_a_batch_are_refused() {
    let error = steps_per_epoch(&*colors(3, &[]), 4).unwrap_err().to_string();
    assert_eq!(
        error,
        "a batch needs 4 images, but colors has only 3; lower the batch size or add images"
    );
    assert!(steps_per_epoch(&*colors(3, &[]), 0).is_err());
    assert_eq!(steps_per_epoch(&*colors(9, &[]), 4).unwrap(), 2);
}

#[test]
fn dropping_a_loader_stops_it_at_once() {
    let data = open("shapes").unwrap();
    let recipe = Arc::new(Recipe::dino(224, 96, 8));
    let config = LoaderConfig { batch_size: 2000, workers: 2, ..LoaderConfig::default() };
    let begin = Instant::now();
    drop(Loader::<f32>::start(data, recipe, config, 0, 1000).unwrap());
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
}

#[test]
fn images_bytes_and_times_are_counted() {
    let mut loader = start(&colors(16, &[3]), config(4, 2), 0, 4);
    assert!(loader.waited().is_zero());
    assert!(loader.by_ref().all(|batch| batch.is_ok()));
    let stats = loader.stats();
    assert_eq!((stats.images, stats.bytes), (16, 16 * 20 * 16 * 3));
    assert!(stats.augment > stats.decode && stats.busy() >= stats.augment);
    assert!(!stats.data_wait.is_zero() && stats.data_wait < stats.elapsed);
    assert!((0.0..=1.0).contains(&stats.data_wait_share()));
    assert_eq!(stats.data_wait, loader.waited());
}

#[test]
fn ranks_share_the_batch_of_one_process() {
    // 12 images in the shared batch, 3 left over in every epoch; image 7 is bad
    let data = colors(39, &[7]);
    let whole: Vec<_> = start(&data, config(12, 2), 0, 5).map(Result::unwrap).collect();
    for ranks in [1, 2, 3, 4, 6, 12] {
        for rank in 0..ranks {
            let config = LoaderConfig { rank, ranks, ..config(12 / ranks, 2) };
            let part: Vec<_> = start(&data, config, 0, 5).map(Result::unwrap).collect();
            for (part, whole) in part.iter().zip(&whole) {
                assert_eq!((part.step, part.epoch), (whole.step, whole.epoch));
                assert_eq!(part.indices.len(), 12 / ranks);
                for (place, index) in part.indices.iter().enumerate() {
                    let there = rank + place * ranks;
                    assert_eq!(*index, whole.indices[there]);
                    assert_eq!(part.globals.crop(1, place), whole.globals.crop(1, there));
                    assert_eq!(part.locals.crop(2, place), whole.locals.crop(2, there));
                }
            }
        }
    }
    let config = LoaderConfig { rank: 1, ranks: 4, ..config(10, 1) };
    let error = batch_at::<f32>(&*data, &*recipe(), &config, 0).unwrap_err();
    assert!(matches!(error, Error::TooFewImages { images: 39, batch_size: 40, .. }), "{error}");
}

/// The first read waits until five others have started.
struct Slow(Mutex<usize>, Condvar);

impl Dataset for Slow {
    fn len(&self) -> usize {
        12
    }
    fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
        let mut read = self.0.lock().unwrap();
        *read += 1;
        self.1.notify_all();
        if *read == 1 {
            let limit = Duration::from_secs(60);
            let waited = self.1.wait_timeout_while(read, limit, |read| *read < 6).unwrap();
            assert!(!waited.1.timed_out(), "no worker started the next batch");
        }
        Ok(Sample::Pixels(Image8::filled(4, 4, &[1, 2, 3])))
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn name(&self, _: usize) -> String {
        "slow".into()
    }
    fn describe(&self) -> String {
        "slow".into()
    }
}

#[test]
fn a_slow_image_does_not_delay_the_next_batch() {
    let data: Arc<dyn Dataset> = Arc::new(Slow(Mutex::new(0), Condvar::new()));
    assert_eq!(batches(&data, 2, 0, 3).len(), 3);
}

#[test]
fn no_more_batches_are_prefetched_than_allowed() {
    let config = LoaderConfig { prefetch: 1, ..config(4, 2) };
    let loader = start(&colors(400, &[]), config, 0, 100);
    let limit = Instant::now() + Duration::from_secs(60);
    while loader.stats().images < 8 && Instant::now() < limit {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(100));
    // one waiting, one in progress
    assert_eq!(loader.stats().images, 8);
}

/// A data set whose decoder panics.
struct Panics;

impl Dataset for Panics {
    fn len(&self) -> usize {
        8
    }
    fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
        panic!("this panic is part of a test")
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn name(&self, _: usize) -> String {
        "panics".into()
    }
    fn describe(&self) -> String {
        "panics".into()
    }
}

#[test]
fn a_panic_of_a_worker_is_an_error_not_a_hang() {
    for workers in [1, 3] {
        let data: Arc<dyn Dataset> = Arc::new(Panics);
        let results: Vec<_> = start(&data, config(4, workers), 0, 2).collect();
        assert_eq!(results.len(), 1);
        let error = results[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("ended by a panic"), "{error}");
    }
}

fn jpeg() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_fn(24, 24, |x, y| image::Rgb([(x * y) as u8, 9, 200]));
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// Twenty good JPEGs, one of each kind of broken file, and an animation, which is good too.
fn broken_folder(root: &Path) {
    for i in 0..20 {
        fs::write(root.join(format!("{i:02}.jpg")), jpeg()).unwrap();
    }
    fs::write(root.join("03-zero.jpg"), b"").unwrap();
    fs::write(root.join("05-cut.jpg"), &jpeg()[..300]).unwrap();
    fs::write(root.join("07-text.png"), b"this is no image").unwrap();
    let mut deep = jpeg();
    let frame = deep.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    deep[frame + 4] = 12; // bits per sample
    fs::write(root.join("09-deep.jpg"), deep).unwrap();
    let gif = fs::File::create(root.join("11-moving.gif")).unwrap();
    let frame = || image::Frame::new(image::RgbaImage::new(8, 8));
    image::codecs::gif::GifEncoder::new(gif).encode_frames([frame(), frame()]).unwrap();
}

#[test]
fn broken_files_are_named_with_their_reasons() {
    let root = tempdir().unwrap();
    broken_folder(root.path());
    let data = open(root.path().to_str().unwrap()).unwrap();
    assert_eq!(data.len(), 25);
    let mut bad: Vec<_> = batches(&data, 2, 0, 12).into_iter().flat_map(|b| b.bad).collect();
    bad.sort_by_key(|image| image.index);
    bad.dedup();
    let kinds: Vec<_> = bad.iter().map(|image| image.kind.as_str()).collect();
    let deep = "not yet supported: JPEG with more than 8 bits per sample";
    let expected = ["empty", "damaged", "not an image", deep];
    assert_eq!(kinds, expected);
    assert!(bad[0].name.ends_with("03-zero.jpg"));
}
