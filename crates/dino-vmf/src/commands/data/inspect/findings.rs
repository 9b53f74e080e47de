//! The report of `data inspect`, as text and as JSON.

use std::collections::BTreeMap;

use dino::config::{Data, Pages};
use multicrop::dataset::{LeftOut, Part};
use multicrop::decode::{self, Stored};
use multicrop::{Dataset, SampleError};
use report::number::counted;
use serde::Serialize;

use super::values::Values;
use crate::commands::throughput::Throughput;
use crate::console::Console;

/// Classes that the text lists. JSON lists all.
const LISTED_CLASSES: usize = 10;
/// Bad images per kind of fault that the text lists. JSON lists all.
const LISTED_BAD: usize = 5;

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    source: String,
    data: String,
    images: usize,
    /// Width and height of the images with the fewest, the median and the largest number of pixels.
    smallest: Option<(u32, u32)>,
    median: Option<(u32, u32)>,
    largest: Option<(u32, u32)>,
    /// Number of different sizes.
    sizes: usize,
    /// Number of images by their number of channels, as stored.
    channels: BTreeMap<usize, usize>,
    /// Number of files with several pages by their number of pages.
    pages: BTreeMap<usize, usize>,
    /// Range, mean and standard deviation of a sample of the values; `None` if no image can be read.
    pub(super) values: Option<Values>,
    classes: Vec<Class>,
    /// Number of images that have a label.
    labelled: usize,
    /// Contents of the source that are not used as images.
    left_out: Vec<LeftOut>,
    remarks: Vec<String>,
    /// The parts of the source, such as `train` and `test`.
    parts: Vec<Part>,
    bad: Vec<Bad>,
    /// Speed of the loader on this machine.
    pub(super) loader: Option<Speed>,
    /// The setting `data.pages`.
    #[serde(skip)]
    pages_are: Pages,
    /// Number of images of each size: pixels, width, height.
    #[serde(skip)]
    by_size: BTreeMap<(u64, u32, u32), usize>,
}

#[derive(Debug, Serialize)]
struct Class {
    name: String,
    images: usize,
}

#[derive(Debug, Serialize)]
struct Bad {
    index: usize,
    name: String,
    kind: String,
    reason: String,
}

/// Speed of the loader, and the crops that it made.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    img_per_s: f64,
    workers: usize,
    global: usize,
    local: usize,
    locals: usize,
}

impl Speed {
    pub(super) fn new(measured: &Throughput, workers: usize, data: &Data) -> Self {
        let (global, local, locals) = (data.global_size, data.local_size, data.local_crops);
        Self { img_per_s: measured.images_per_second(), workers, global, local, locals }
    }
}

/// Size and channels of an image.
pub(super) struct Format {
    width: u32,
    height: u32,
    /// Channels of the file, before conversion to those of the network.
    channels: usize,
    /// Pages of the file.
    pages: usize,
}

impl Format {
    /// Reads and decodes an image.
    pub(super) fn read(
        dataset: &dyn Dataset,
        index: usize,
        decode: &decode::Options,
    ) -> Result<Self, SampleError> {
        let stored = dataset.read(index)?.decode_stored(decode)?;
        let Stored { channels, pages, .. } = stored;
        let image = stored.into_image(decode)?;
        Ok(Self { width: image.width(), height: image.height(), channels, pages })
    }
}

impl Findings {
    pub(super) fn new(source: &str, data: &Data, dataset: &dyn Dataset) -> Self {
        Self {
            source: source.to_owned(),
            pages_are: data.pages,
            data: dataset.describe(),
            images: dataset.len(),
            classes: classes(dataset),
            labelled: multicrop::dataset::labelled(dataset),
            left_out: dataset.left_out().to_vec(),
            remarks: dataset.remarks().to_vec(),
            parts: dataset.parts().to_vec(),
            ..Self::default()
        }
    }

    /// Adds an image, or the reason why it is bad.
    pub(super) fn add(
        &mut self,
        dataset: &dyn Dataset,
        index: usize,
        format: Result<Format, SampleError>,
    ) {
        match format {
            Ok(Format { width, height, channels, pages }) => {
                let pixels = u64::from(width) * u64::from(height);
                *self.by_size.entry((pixels, width, height)).or_default() += 1;
                *self.channels.entry(channels).or_default() += 1;
                if pages > 1 {
                    *self.pages.entry(pages).or_default() += 1;
                }
            }
            Err(error) => self.bad.push(Bad {
                index,
                name: dataset.name(index),
                kind: error.kind(),
                reason: error.to_string(),
            }),
        }
    }

    /// Computes the summary after all images were added.
    pub(super) fn finish(&mut self) {
        let size = |(&(_, width, height), _): (&(u64, u32, u32), &usize)| (width, height);
        let good = self.images - self.bad.len();
        let mut counted = 0;
        let median = self.by_size.iter().find(|(_, images)| {
            counted += **images;
            2 * counted >= good
        });
        self.median = median.map(size);
        self.sizes = self.by_size.len();
        self.smallest = self.by_size.iter().next().map(size);
        self.largest = self.by_size.iter().next_back().map(size);
    }

    pub(super) fn print(&self, console: &mut Console) {
        console.text(format!("{}: {}", self.data, counted(self.images, "image")));
        self.print_parts(console);
        let text = |size: Option<(u32, u32)>| {
            size.map_or("none".to_owned(), |(width, height)| format!("{width} x {height}"))
        };
        let (smallest, largest) = (text(self.smallest), text(self.largest));
        console.text(match self.sizes {
            0 | 1 => format!("size: {smallest}"),
            sizes => format!(
                "sizes: {sizes}, from {smallest} to {largest}, median {}",
                text(self.median)
            ),
        });
        let channels = self.channels.iter().map(|(count, images)| format!("{count} ({images})"));
        let channels: Vec<_> = channels.collect();
        if !channels.is_empty() {
            console.text(format!("channels (images): {}", channels.join(", ")));
        }
        self.print_pages(console);
        if let Some(values) = &self.values {
            values.print(console);
        }
        self.print_classes(console);
        self.print_left_out(console);
        self.remarks.iter().for_each(|text| console.text(text.clone()));
        self.print_bad(console);
        self.print_speed(console);
    }

    /// Prints the numbers of pages, and what is done with them.
    fn print_pages(&self, console: &mut Console) {
        // The number that most files have: those with another one cannot be read with it.
        let Some((most, _)) = self.pages.iter().max_by_key(|(_, files)| **files) else { return };
        let counts = self.pages.iter().map(|(pages, files)| format!("{pages} ({files})"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        console.text(match self.pages_are {
            Pages::First => format!(
                "pages (files): {counts}; only the first page of each is read. `--set \
                 data.pages=channels --channels {most}` takes pages as channels, `--set \
                 data.pages=images` as images"
            ),
            Pages::Channels => format!("pages (files): {counts}, taken as channels"),
            Pages::Images => "pages: each page of a file counts as an image".to_owned(),
        });
    }

    /// The first bad image, if all are bad.
    pub(super) fn all_bad(&self) -> Option<String> {
        let first = self.bad.first().filter(|_| self.bad.len() == self.images)?;
        Some(format!(
            "none of the {} images can be read; the first is `{}`: {}",
            self.images, first.name, first.reason
        ))
    }

    /// Prints the parts, and which of them is read.
    fn print_parts(&self, console: &mut Console) {
        if self.parts.is_empty() {
            return;
        }
        let part = |part: &Part| format!("{} ({} {})", part.name, part.count, part.unit);
        let all: Vec<_> = self.parts.iter().map(part).collect();
        let read = self.parts.iter().filter(|part| part.read).map(|part| &part.name[..]);
        let read: Vec<_> = read.collect();
        console.text(format!("parts: {}; reading {}", all.join(", "), read.join(" and ")));
    }

    /// Prints what is not used as images, by kind.
    fn print_left_out(&self, console: &mut Console) {
        if self.left_out.is_empty() {
            return;
        }
        console.text("left out:");
        for LeftOut { count, what, example } in &self.left_out {
            console.text(format!("  {count:7}  {what}"));
            console.text(format!("           {example}"));
        }
    }

    /// Prints the largest classes.
    fn print_classes(&self, console: &mut Console) {
        console.text(match self.classes.len() {
            0 => "classes: none, the images have no labels".to_owned(),
            classes if self.labelled == self.images => format!("classes: {classes}"),
            classes => format!(
                "classes: {classes}; {} of {} images have a label",
                self.labelled, self.images
            ),
        });
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.images));
        for class in classes.iter().take(LISTED_CLASSES) {
            console.text(format!("  {:7}  {}", class.images, class.name));
        }
        if let Some(more) = classes.get(LISTED_CLASSES..).filter(|more| !more.is_empty()) {
            let images: usize = more.iter().map(|class| class.images).sum();
            console.text(format!("  {images:7}  in {} more", more.len()));
        }
    }

    /// Prints the kinds of faults, the most frequent first, with the first images of each.
    fn print_bad(&self, console: &mut Console) {
        if self.bad.is_empty() {
            console.text("bad images: none");
            return;
        }
        let percent = 100.0 * self.bad.len() as f64 / self.images as f64;
        console.text(format!("bad images: {} ({percent:.1} %)", self.bad.len()));
        let mut kinds = BTreeMap::<_, Vec<_>>::new();
        for bad in &self.bad {
            kinds.entry(&bad.kind).or_default().push(bad);
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, images)| std::cmp::Reverse(images.len()));
        for (kind, images) in kinds {
            console.text(format!("  {:7}  {kind}", images.len()));
            for bad in images.iter().take(LISTED_BAD) {
                console.text(format!("           {}: {}", bad.name, bad.reason));
            }
            if images.len() > LISTED_BAD {
                console.text(format!("           ... {} more", images.len() - LISTED_BAD));
            }
        }
    }

    fn print_speed(&self, console: &mut Console) {
        let Some(Speed { img_per_s, workers, global, local, locals }) = &self.loader else {
            return;
        };
        console.text(format!(
            "loader: about {img_per_s:.0} images/s with {} (2 x {global} + {locals} x {local})",
            counted(*workers, "worker")
        ));
    }
}

/// The classes with their number of images.
fn classes(dataset: &dyn Dataset) -> Vec<Class> {
    let named = dataset.classes().iter().map(|name| Class { name: name.clone(), images: 0 });
    let mut classes: Vec<_> = named.collect();
    for label in (0..dataset.len()).filter_map(|index| dataset.label(index)) {
        if let Some(class) = classes.get_mut(label as usize) {
            class.images += 1;
        }
    }
    classes
}
