//! The standard data sets of transfer, and their measures.
//!
//! Source: `linear.py` of Ericsson et al., *How well do self-supervised models transfer?*, CVPR 2021.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A standard data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Known {
    Aircraft,
    #[value(name = "caltech101")]
    Caltech101,
    Cars,
    #[value(name = "cifar10")]
    Cifar10,
    #[value(name = "cifar100")]
    Cifar100,
    Dtd,
    Flowers,
    Food,
    Pets,
    #[value(name = "sun397")]
    Sun397,
    #[value(name = "voc2007")]
    Voc2007,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Metric {
    /// Share of the images that are classified correctly
    #[value(name = "top1")]
    #[serde(rename = "top1")]
    Top1,
    /// The mean of these shares over the classes
    MeanPerClass,
    /// Mean average precision at eleven points of recall, for images of several classes
    #[value(name = "map11")]
    #[serde(rename = "map11")]
    Map11,
}

impl Known {
    /// Side of the images, in pixels.
    pub(super) const SIDE: usize = 224;

    /// The data set of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value().expect("no data set is hidden from the flag");
        value.get_name().to_owned()
    }

    pub(super) fn metric(self) -> Metric {
        match self {
            Self::Aircraft | Self::Caltech101 | Self::Flowers | Self::Pets => Metric::MeanPerClass,
            Self::Voc2007 => Metric::Map11,
            _ => Metric::Top1,
        }
    }

    /// Whether it is published with validation images, on which the weight decay is usually chosen.
    pub(super) fn has_validation(self) -> bool {
        matches!(self, Self::Aircraft | Self::Dtd | Self::Flowers | Self::Voc2007)
    }
}

impl Metric {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Top1 => "top-1",
            Self::MeanPerClass => "mean per class",
            Self::Map11 => "11-point mAP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for known in Known::value_variants() {
            assert_eq!(Known::find(&known.name()), Some(*known), "{known:?}");
        }
        assert_eq!([Known::Pets, Known::Voc2007].map(Known::name), ["pets", "voc2007"]);
        assert_eq!(Known::find("photos"), None);
    }
}
