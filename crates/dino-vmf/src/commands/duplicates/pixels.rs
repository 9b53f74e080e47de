//! The pixels of near-duplicates: how many there are, and which images are equal.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use multicrop::Image;
use probe::similarity::duplicates::Found;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::commands::compared::Bank;
use crate::console::{Console, Progress};

/// Images that are decoded between two reports of progress.
const AT_ONCE: usize = 256;

/// What is known of an image.
struct Look {
    pixels: u64,
    /// Of its size and its values.
    digest: [u8; 32],
}

/// What is known of all images that are in a pair, by their rows.
pub(super) struct Looks {
    own: BTreeMap<usize, Look>,
    /// Those of the other source.
    other: Option<BTreeMap<usize, Look>>,
}

impl Looks {
    /// Decodes the images of all pairs.
    ///
    /// # Errors
    /// One cannot be read any more.
    pub(super) fn of(
        found: &Found,
        bank: &Bank,
        other: Option<&Bank>,
        console: &mut Console,
    ) -> Result<Self> {
        let left = || found.pairs.iter().map(|pair| pair.left);
        let right = || found.pairs.iter().map(|pair| pair.right);
        let own = match other {
            Some(_) => look(bank, left().collect(), console)?,
            None => look(bank, left().chain(right()).collect(), console)?,
        };
        let other = other.map(|other| look(other, right().collect(), console)).transpose()?;
        console.end_progress();
        Ok(Self { own, other })
    }

    /// Pixels of an image.
    pub(super) fn pixels(&self, row: usize) -> u64 {
        self.own.get(&row).map_or(0, |look| look.pixels)
    }

    /// Whether the image that is kept and one that is dropped are equal pixel by pixel.
    pub(super) fn equal(&self, kept: usize, dropped: usize) -> bool {
        let kept = self.other.as_ref().unwrap_or(&self.own).get(&kept);
        kept.zip(self.own.get(&dropped)).is_some_and(|(a, b)| a.digest == b.digest)
    }
}

fn look(bank: &Bank, mut rows: Vec<usize>, console: &mut Console) -> Result<BTreeMap<usize, Look>> {
    rows.sort_unstable();
    rows.dedup();
    let dataset = bank.images.dataset();
    let of_row = |&row: &usize| -> Result<(usize, Look)> {
        let image = dataset.load(bank.place(row), &bank.decode);
        let image = image.with_context(|| format!("cannot read `{}`", bank.name(row)))?;
        Ok((row, Look::new(&image)))
    };
    let mut looks = BTreeMap::new();
    for some in rows.chunks(AT_ONCE) {
        looks.extend(some.par_iter().map(of_row).collect::<Result<Vec<_>>>()?);
        let (done, total) = (looks.len() as u64, rows.len() as u64);
        let text = " images, comparing pixels".to_owned();
        console.progress(&Progress { what: "pixels", done, total, text }, false);
    }
    Ok(looks)
}

impl Look {
    fn new(image: &Image) -> Self {
        let (width, height) = (image.width(), image.height());
        let mut digest = Sha256::new();
        digest.update(width.to_le_bytes());
        digest.update(height.to_le_bytes());
        match image {
            Image::U8(image) => digest.update(image.pixels()),
            Image::F32(image) => {
                digest.update(b"f32");
                image.pixels().iter().for_each(|value| digest.update(value.to_le_bytes()));
            }
        }
        Self { pixels: u64::from(width) * u64::from(height), digest: digest.finalize().into() }
    }
}
