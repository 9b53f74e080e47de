//! [`ValueSample`]: a fixed sample of the values of a data set, for percentiles, means and deviations
//! by channel.

use rayon::prelude::*;

use crate::dataset::{Dataset, spread};
use crate::decode::{self, Stored, ValueType};
use crate::error::{Error, SampleError};
use crate::image::Image;

/// Most images of a sample, spread evenly over the data set.
const IMAGES: usize = 256;
/// Most pixels of an image, spread evenly over it.
const PIXELS: usize = 4096;

/// Values of some images, in the units of their files. The same data set gives the same sample, for
/// any number of threads.
#[derive(Debug, Clone)]
pub struct ValueSample {
    /// Number of images in the sample.
    pub images: usize,
    /// The types of their values, each with its number of images; the most frequent first.
    pub types: Vec<(ValueType, usize)>,
    /// Number of images with values that are NaN or infinite, and of such values in all of their
    /// pixels.
    pub non_finite: (usize, usize),
    /// The finite values of each channel, ascending.
    channels: Vec<Vec<f32>>,
}

/// Mean and standard deviation of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}

impl ValueSample {
    /// Reads up to 256 images of `dataset`, spread evenly, and takes up to 4096 pixels of each.
    /// Images that cannot be read are left out.
    ///
    /// # Errors
    /// If none of them can be read; the error is that of the first.
    pub fn of(dataset: &dyn Dataset, options: &decode::Options) -> Result<Self, Error> {
        let indices: Vec<_> = spread(dataset.len(), IMAGES).collect();
        let read = |&index: &usize| dataset.read(index)?.decode_stored(options);
        let read = |index| read(index).map(|stored| Part::of(&stored));
        let parts: Vec<Result<Part, SampleError>> = indices.par_iter().map(read).collect();
        let mut sample = Self {
            images: 0,
            types: Vec::new(),
            non_finite: (0, 0),
            channels: vec![Vec::new(); options.channels],
        };
        let mut first_fault = None;
        for (&index, part) in indices.iter().zip(parts) {
            match part {
                Ok(part) => sample.add(part),
                Err(source) if first_fault.is_none() => first_fault = Some((index, source)),
                Err(_) => {}
            }
        }
        match first_fault {
            Some((index, source)) if sample.images == 0 => {
                return Err(Error::BadImage { index, name: dataset.name(index), source });
            }
            _ => {}
        }
        sample.channels.iter_mut().for_each(|values| values.sort_unstable_by(f32::total_cmp));
        sample.types.sort_by_key(|(_, images)| std::cmp::Reverse(*images));
        Ok(sample)
    }

    fn add(&mut self, part: Part) {
        self.images += 1;
        match self.types.iter_mut().find(|(known, _)| *known == part.value_type) {
            Some((_, images)) => *images += 1,
            None => self.types.push((part.value_type, 1)),
        }
        self.non_finite.0 += usize::from(part.non_finite > 0);
        self.non_finite.1 += part.non_finite;
        for (all, values) in self.channels.iter_mut().zip(part.channels) {
            all.extend(values);
        }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The value of a channel below which this fraction of its values lies: the value of nearest
    /// rank. 0 gives the smallest, 1 the largest value; `None` if no value is finite.
    pub fn percentile(&self, channel: usize, fraction: f64) -> Option<f32> {
        let values = &self.channels[channel];
        let rank = fraction * (values.len().checked_sub(1)? as f64);
        values.get(rank.round() as usize).copied()
    }

    /// Mean and standard deviation of a channel after `range`, low and high, is mapped to \[0, 1\]
    /// and values outside are cut off.
    pub fn moments(&self, channel: usize, [low, high]: [f64; 2]) -> Moments {
        let values = &self.channels[channel];
        let unit = |value: &f32| ((f64::from(*value) - low) / (high - low)).clamp(0.0, 1.0);
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(unit).sum::<f64>() / count;
        let square = |value: &f32| (unit(value) - mean).powi(2);
        Moments { mean, std: (values.iter().map(square).sum::<f64>() / count).sqrt() }
    }
}

/// What a sample takes from one image.
struct Part {
    value_type: ValueType,
    non_finite: usize,
    channels: Vec<Vec<f32>>,
}

impl Part {
    fn of(stored: &Stored) -> Self {
        let channels = match &stored.pixels {
            Image::U8(image) => sampled(image.pixels(), image.channels(), f32::from),
            Image::F32(image) => sampled(image.pixels(), image.channels(), |value| value),
        };
        Self { value_type: stored.value_type, non_finite: stored.non_finite(), channels }
    }
}

/// The finite values of every n-th pixel, by channel.
fn sampled<T: Copy>(pixels: &[T], channels: usize, value: impl Fn(T) -> f32) -> Vec<Vec<f32>> {
    let step = (pixels.len() / channels).div_ceil(PIXELS).max(1);
    let values = |channel: usize| {
        let values = pixels[channel..].iter().step_by(step * channels).map(|&v| value(v));
        values.filter(|value| value.is_finite()).collect()
    };
    (0..channels).map(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Sample;
    use crate::image::Image8;

    /// Images of one value each, the index modulo 256; every tenth cannot be read.
    struct Steps(usize);

    impl Dataset for Steps {
        fn len(&self) -> usize {
            self.0
        }
        fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
            match index % 10 {
                9 => Err(SampleError::Empty),
                _ => Ok(Sample::Pixels(Image8::filled(90, 80, &[index as u8, 7, 9]))),
            }
        }
        fn label(&self, _: usize) -> Option<u32> {
            None
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn describe(&self) -> String {
            "steps".to_owned()
        }
    }

    #[test]
    fn percentiles_and_moments_are_those_of_the_readable_images() {
        let sample = ValueSample::of(&Steps(101), &decode::Options::default()).unwrap();
        assert_eq!((sample.images, sample.types.len()), (91, 1));
        assert_eq!(sample.percentile(0, 0.0), Some(0.0));
        assert_eq!(sample.percentile(0, 1.0), Some(100.0));
        assert_eq!(sample.percentile(0, 0.5), Some(50.0));
        let flat = sample.moments(1, [0.0, 14.0]);
        assert!((flat.mean - 0.5).abs() < 1e-12 && flat.std < 1e-12, "{flat:?}");
        let channel = sample.moments(0, [0.0, 50.0]);
        assert!(channel.mean > 0.7 && channel.std > 0.3, "{channel:?}");
    }

    #[test]
    fn a_data_set_without_readable_images_is_refused() {
        struct Bad(Steps);
        impl Dataset for Bad {
            fn len(&self) -> usize {
                2
            }
            fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
                Err(SampleError::NotAnImage)
            }
            fn label(&self, index: usize) -> Option<u32> {
                self.0.label(index)
            }
            fn classes(&self) -> &[String] {
                self.0.classes()
            }
            fn name(&self, index: usize) -> String {
                self.0.name(index)
            }
            fn describe(&self) -> String {
                self.0.describe()
            }
        }
        let error = ValueSample::of(&Bad(Steps(2)), &decode::Options::default()).unwrap_err();
        assert!(error.to_string().contains("image 0, `0`, cannot be used: not an image"));
    }
}
